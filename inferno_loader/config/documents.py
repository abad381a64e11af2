"""Reading the JSON files beside the weights: small, strict, and never blocking. No torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from inferno_loader.errors import ConfigError, MissingFileError
from inferno_loader.files import read_small
from inferno_loader.strict_json import JsonObject, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The largest configuration file that is read, in bytes. The largest known one (per-layer quantization) is below 2 MiB.
MAX_BYTES = 16 * 2**20

#: How many objects and lists may lie inside each other. Known files stay below 10.
MAX_DEPTH = 64

_REMEDY = "correct the file, or download it again"


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Raises:
        MissingFileError: The file is not there.
        UnreadableFileError: It is no regular file, is larger than `MAX_BYTES`, or cannot be read.
        ConfigError: It is no JSON object in UTF-8, names a key twice, holds a number that is not finite, or nests
            deeper than `MAX_DEPTH`.
    """
    data = read_small(path, MAX_BYTES)
    try:
        value = parse_json(data)
    except ValueError as error:
        raise ConfigError(
            f"{path.name} is no JSON", path=path, expected="a JSON object in UTF-8", actual=error, remedy=_REMEDY
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path.name} is no JSON object",
            path=path,
            expected="a JSON object",
            actual=f"a JSON {type(value).__name__}",
            remedy=_REMEDY,
        )
    reject_unsound(value, path)
    return value


def read_optional(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, None where nothing has that name. A link that leads nowhere is an error.

    Raises:
        MissingFileError: The name is a link, and what it leads to is missing.
        UnreadableFileError: As for `read_object`.
        ConfigError: As for `read_object`.
    """
    try:
        return read_object(path)
    except MissingFileError:
        # In a cache a dangling link is a file that was not downloaded: to pass over it could lose a quantization block.
        if path.is_symlink():
            raise
        return None


def reject_unsound(value: Mapping[str, object], path: Path | None) -> None:
    """Refuse what Python's parser takes and others do not: repeated keys, numbers beyond a double, endless nesting.

    Raises:
        ConfigError: One of them occurs.
    """
    layer: list[object] = [value]
    for _ in range(MAX_DEPTH):
        for item in layer:
            _reject_item(item, path)
        layer = [child for item in layer for child in _children(item)]
        if not layer:
            return
    raise ConfigError("nested too deeply", path=path, expected=f"at most {MAX_DEPTH} levels", remedy=_REMEDY)


def _children(item: object) -> list[object]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _reject_item(item: object, path: Path | None) -> None:
    if isinstance(item, JsonObject) and item.duplicates:
        raise ConfigError(
            "a key occurs twice in one object",
            path=path,
            expected="each key once",
            actual=", ".join(repr(key) for key in item.duplicates[:5]),
            remedy=_REMEDY,
        )
    if isinstance(item, float) and not math.isfinite(item):
        raise ConfigError(
            "a number is not finite",
            path=path,
            expected="numbers that a double can hold",
            actual=item,
            remedy=_REMEDY,
        )
