"""The survivors that are known, each with the reason why no test kills it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.mutation.mutant import Mutant

    Key = tuple[str, str, str, int]

#: The list, under version control: ``reasons`` by a word, and ``survivors`` by function.
JUDGED = Path(__file__).parents[1] / "fixtures" / "mutation.json"


@dataclass(frozen=True, slots=True)
class Judged:
    """The list of survivors.

    Attributes:
        reasons: What each word says.
        survivors: The word of each survivor, by what it changes.
    """

    reasons: Mapping[str, str]
    survivors: Mapping[Key, str]

    def complaints(self, survived: Iterable[Mutant], killed: Iterable[Mutant], whole: Iterable[Key]) -> list[str]:
        """What does not agree with a run, a sentence each.

        Args:
            survived: The mutants that no test killed.
            killed: Those that were killed.
            whole: Every mutant that there is in the parts that were looked at, tried or not.
        """
        there, survivors = set(whole), list(survived)
        unknown = [f"not judged: {_spell(each.key)}" for each in survivors if each.key not in self.survivors]
        stale = [f"judged, and killed now: {_spell(each.key)}" for each in killed if each.key in self.survivors]
        functions = {key[0].rpartition(".")[0] for key in there}
        gone = [
            f"judged, and no longer there: {_spell(key)}"
            for key in self.survivors
            if key not in there and any(key[0].startswith(f"{name}.") for name in functions)
        ]
        unsaid = [
            f"no reason {word!r}: {_spell(key)}" for key, word in self.survivors.items() if word not in self.reasons
        ]
        return [*unknown, *stale, *gone, *unsaid]


def _spell(key: Key) -> str:
    function, was, becomes, nth = key
    return f"{function}{f' ({nth})' if nth > 1 else ''}\n    - {was}\n    + {becomes}"


def read_judged(path: Path = JUDGED) -> Judged:
    """The list of survivors; an empty one where there is no such file yet."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    entries = content.get("survivors", {})
    survivors = {
        (function, was, becomes, nth): word for function, found in entries.items() for was, becomes, nth, word in found
    }
    return Judged(content.get("reasons", {}), survivors)


def write_judged(judged: Judged, path: Path = JUDGED) -> None:
    """Writes the list, sorted by function, a survivor a line."""
    by_function: dict[str, list[str]] = defaultdict(list)
    for (function, *change), word in sorted(judged.survivors.items()):
        by_function[function].append(json.dumps([*change, word], ensure_ascii=False))
    reasons = json.dumps(dict(judged.reasons), indent=2, ensure_ascii=False)
    blocks = [f"  {json.dumps(name)}: [\n   " + ",\n   ".join(lines) + "\n  ]" for name, lines in by_function.items()]
    text = f'{{\n "reasons": {reasons},\n "survivors": {{\n' + ",\n".join(blocks) + "\n }\n}\n"
    path.write_text(text, encoding="utf-8")
