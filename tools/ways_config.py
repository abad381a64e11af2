"""Ways to edit ``config.json`` where a value alone does not say it: its text, its bytes, its nesting. No loader."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.tools.edits import edit_json
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONFIG = "config.json"


def config_text(directory: Path, old: str, new: str) -> None:
    """Where the text of the configuration has `old`, which it has once, it has `new`.

    Args:
        directory: The checkpoint.
        old: What stands there.
        new: What stands there afterwards, one byte a character (Latin-1).

    Raises:
        ValueError: The text does not have it once.
    """
    path = directory / _CONFIG
    text = path.read_bytes()
    if text.count(old.encode()) != 1:
        raise ValueError(f"{path}: {old!r} stands there {text.count(old.encode())} times, not once")
    path.write_bytes(text.replace(old.encode(), new.encode("latin-1")))


def encode_config(directory: Path, encoding: str) -> None:
    """The configuration is written in another encoding, by Python's name: ``utf-8-sig`` begins with a mark."""
    path = directory / _CONFIG
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))


def repeat_figure(directory: Path, key: str, first: str, second: str) -> None:
    """A key of the configuration stands there twice, with a value each time, given as JSON text."""
    path = directory / _CONFIG
    rest = json.loads(path.read_text(encoding="utf-8"))
    rest.pop(key, None)
    text = json.dumps(rest, indent=2, sort_keys=True)
    path.write_text(f'{{\n  "{key}": {first},{text[1:-2]},\n  "{key}": {second}\n}}\n', encoding="utf-8")


def nest_config(directory: Path, outer: str, *kept: str) -> None:
    """All keys move under ``text_config``; around it are those of `outer`, which is JSON text.

    Args:
        directory: The checkpoint.
        outer: An object.
        kept: Keys that stay where they are, and are not under ``text_config``.
    """

    def change(config: dict[str, Any]) -> None:
        inner = {key: value for key, value in config.items() if key not in kept}
        for key in inner:
            del config[key]
        config.update(json.loads(outer))
        config["text_config"] = inner

    edit_json(directory / _CONFIG, change)


def deepen_config(directory: Path, depth: int) -> None:
    """The configuration has one more key, ``note``, which holds arrays in arrays, `depth` levels of them."""
    edit_json(directory / _CONFIG, lambda config: config.update({"note": "here"}))
    config_text(directory, '"note": "here"', '"note": ' + "[" * depth + "]" * depth)


#: The ways of this module, by name. None of them changes a stored tensor.
CONFIG_WAYS: Mapping[str, Way] = MappingProxyType(
    {way.__name__: Way(way) for way in (config_text, encode_config, repeat_figure, nest_config, deepen_config)},
)
