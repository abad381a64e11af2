"""Facts in ``fixtures`` that commands read: the catalogue; and write and read again: the digests, the killers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The digests of every case, under version control: a change of a generator shows as a change of this file.
CORPUS = "corpus.json"
#: The case that kills each planted loader of the project, to be tried first.
KILLERS = "killers.json"

#: The defects that real loaders have had, a row each: what the checkpoint looks like, how bad it is, where it is told.
CATALOGUE = "catalogue.json"

#: Beside this module, in a checkout and in the wheel alike.
_FIXTURES = Path(__file__).parent / "fixtures"


def read(name: str) -> dict[str, Any]:
    """What is recorded under a name; nothing where there is no such file yet."""
    path = _FIXTURES / name
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(name: str, content: Mapping[str, Any]) -> Path:
    """Records `content` under a name, and returns the file."""
    path = _FIXTURES / name
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
