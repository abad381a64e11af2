"""The values of a quantization block: of the type and range that a key asks for, or an error naming it. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization.targets import cost, flaw

if TYPE_CHECKING:
    from pathlib import Path

_SIDE = re.compile("[1-9][0-9]{0,8}")
#: The most that all expressions of one list may cost, see `cost`: some seconds for the 882 Linears of a 405B.
_MOST_COST = 2000


@dataclass(frozen=True, slots=True)
class BlockReader:
    """Reads values of one block. It carries the file for its errors."""

    path: Path | None

    def mapping(self, value: Any, key: str) -> Mapping[str, Any]:
        """An object.

        Raises:
            ConfigValueError: It is none. So raises each of these, for what it asks for.
        """
        if not isinstance(value, Mapping):
            raise self.bad(key, "an object", value)
        return value

    def sequence(self, value: Any, key: str) -> list[Any]:
        """A list."""
        if not isinstance(value, list):
            raise self.bad(key, "a list", value)
        return value

    def words(self, value: Any, key: str) -> tuple[str, ...]:
        """A list of texts; null is an empty one."""
        found = self.sequence([] if value is None else value, key)
        if not all(isinstance(each, str) for each in found):
            raise self.bad(key, "a list of texts", found)
        return tuple(found)

    def word(self, value: Any, key: str) -> str | None:
        """A text in lower case, or null."""
        if value is not None and not isinstance(value, str):
            raise self.bad(key, "a text", value)
        return value.lower() if value else None

    def integer(self, value: Any, key: str) -> int:
        """A positive integer."""
        if type(value) is not int or value <= 0:
            raise self.bad(key, "a positive integer", value)
        return value

    def block(self, value: Any, key: str) -> tuple[int, int] | None:
        """Rows and columns of a block, as a list or as ``128x128``; null is none."""
        if value is None:
            return None
        sides = value.split("x") if isinstance(value, str) else value
        pair = isinstance(sides, list) and len(sides) == 2  # noqa: PLR2004 - rows and columns
        if not pair or not all(_SIDE.fullmatch(str(side)) for side in sides):
            raise self.bad(key, "two positive integers [rows, columns]", value)
        return int(sides[0]), int(sides[1])

    def targets(self, value: Any, key: str) -> tuple[str, ...]:
        """Names and expressions behind ``re:``, none of which may take for ever."""
        targets = tuple(map(str, self.sequence(value, key)))
        self.expressions(targets, key)
        return targets

    def expressions(self, targets: tuple[str, ...], key: str) -> None:
        """Hold expressions behind ``re:`` against what may be matched, each by itself and all of them together."""
        for target in targets:
            if problem := flaw(target):
                raise self.bad(key, "a regular expression behind re:", f"{target[:40]}: {problem}")
        if sum(map(cost, targets)) > _MOST_COST:
            raise self.bad(key, "fewer expressions that repeat", f"{len(targets)} expressions, matched too slowly")

    def bad(self, key: str, expected: str, actual: object) -> ConfigValueError:
        """The error of a wrong value."""
        return ConfigValueError(
            "a value of the quantization block is wrong",
            key=f"quantization_config.{key}",
            path=self.path,
            expected=expected,
            actual=str(actual)[:80],
            remedy="correct the configuration",
        )

    def unread(self, expected: str, actual: str, remedy: str) -> UnknownSchemeError:
        """The error of something that is known, and not read."""
        return UnknownSchemeError(
            "the weights are quantized in a way that is not read",
            path=self.path,
            expected=expected,
            actual=actual,
            remedy=remedy,
        )
