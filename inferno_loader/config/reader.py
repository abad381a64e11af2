"""Typed access to the keys of a JSON object: every value is checked, and every error names its key. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from inferno_loader.errors import ConfigValueError
from inferno_loader.findings import Finding

if TYPE_CHECKING:
    from pathlib import Path

_Number = TypeVar("_Number", int, float)

_LONGEST = 80
_MOST_BITS = 256


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range that a number must lie in, both ends included; `above` excludes the lower end."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"above {self.low}, at most {self.high}" if self.above else f"{self.low} to {self.high}"


def shown(value: object) -> str:
    """`value` as a short text for a message, whatever its size and depth."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} values"
    # Python refuses to print integers of more than 4300 digits.
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class Reader:
    """The keys of one JSON object. A key that is null counts as absent.

    Args:
        data: The object.
        path: The file that holds it, for messages.
        prefix: What stands before every key in messages, ``rope_scaling.`` for instance.
        names: Full names of the keys that came from elsewhere than `prefix` says.
        findings: Where notes go; a list of its own if None.
    """

    __slots__ = ("_data", "_names", "_seen", "findings", "path", "prefix")

    def __init__(
        self,
        data: Mapping[str, object],
        *,
        path: Path | None = None,
        prefix: str = "",
        names: Mapping[str, str] | None = None,
        findings: list[Finding] | None = None,
    ) -> None:
        self._data = data
        self._names = names or {}
        self._seen: set[str] = set()
        self.path = path
        self.prefix = prefix
        self.findings = [] if findings is None else findings

    def name(self, key: str) -> str:
        """The full name of `key`, as a reader of the file finds it."""
        return self._names.get(key, f"{self.prefix}{key}")

    def absent(self, key: str) -> bool:
        """Whether the object lacks `key` altogether; null is not absent."""
        return key not in self._data

    def get(self, key: str) -> object:
        """The value of `key` as it is, None where it is absent."""
        self._seen.add(key)
        return self._data.get(key)

    def unread(self) -> dict[str, object]:
        """Keys that nobody asked for, with their values."""
        return {key: value for key, value in self._data.items() if key not in self._seen}

    def note(self, code: str, message: str) -> None:
        """Record a note on this object."""
        self.findings.append(Finding.note(code, message, path=self.path))

    def note_default(self, key: str, taken: object) -> None:
        """Record that `key` is missing, and what is taken for it."""
        self.note("config.default", f"{self.name(key)} is missing: {taken} is taken")

    def warn(self, code: str, message: str) -> None:
        """Record a warning on this object."""
        self.findings.append(Finding.warning(code, message, path=self.path))

    def error(self, key: str, problem: str, *, expected: object, actual: object = None) -> ConfigValueError:
        """The error that says what is wrong with `key`; `actual` is its value unless given."""
        value = self._data.get(key)
        found = actual or ("no such key" if value is None else shown(value))
        return ConfigValueError(
            f"{self.name(key)} {problem}",
            key=self.name(key),
            path=self.path,
            expected=expected,
            actual=found,
            remedy=f"correct {self.name(key)} in the file, or download the file again",
        )

    def optional_number(self, key: str, bounds: Bounds) -> float | None:
        """The finite number at `key`, None where it is absent.

        Raises:
            ConfigValueError: It is no number (a boolean or a string is none), not finite, or out of `bounds`.
        """
        value = self.get(key)
        return None if value is None else self._number(key, value, bounds)

    def number(self, key: str, bounds: Bounds, default: float | None = None) -> float:
        """The number at `key`; a `default` that is taken is noted.

        Raises:
            ConfigValueError: As for `optional_number`, or the key is missing and has no default.
        """
        value = self.optional_number(key, bounds)
        return value if value is not None else self._defaulted(key, default, f"a number, {bounds}")

    def optional_integer(self, key: str, bounds: Bounds) -> int | None:
        """The whole number at `key`, None where it is absent. ``4096.0`` is the whole number 4096.

        Raises:
            ConfigValueError: It is no whole number, or out of `bounds`.
        """
        value = self.get(key)
        return None if value is None else self.whole(key, value, bounds)

    def integer(self, key: str, bounds: Bounds, default: int | None = None) -> int:
        """The whole number at `key`; a `default` that is taken is noted.

        Raises:
            ConfigValueError: As for `optional_integer`, or the key is missing and has no default.
        """
        value = self.optional_integer(key, bounds)
        return value if value is not None else self._defaulted(key, default, f"a whole number, {bounds}")

    def whole(self, key: str, value: object, bounds: Bounds) -> int:
        """`value`, found at `key`, as a whole number within `bounds`.

        Raises:
            ConfigValueError: It is none.
        """
        fits = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits or value not in bounds:
            raise self.error(
                key, "is no whole number in range", expected=f"a whole number, {bounds}", actual=shown(value)
            )
        return int(value)

    def numbers(self, key: str, bounds: Bounds, count: int) -> tuple[float, ...]:
        """The list of exactly `count` numbers at `key`.

        Raises:
            ConfigValueError: It is missing, no list, of another length, or an item is no number within `bounds`.
        """
        value = self.get(key)
        if not isinstance(value, list | tuple) or len(value) != count:
            raise self.error(key, "is no list of the right length", expected=f"a list of {count} numbers, {bounds}")
        return tuple(self._number(key, item, bounds) for item in value)

    def flag(self, key: str, *, default: bool) -> bool:
        """The boolean at `key`, or `default`.

        Raises:
            ConfigValueError: It is something else; 0 and 1 are no booleans.
        """
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "is no boolean", expected="true or false")
        return value

    def text(self, key: str) -> str | None:
        """The string at `key`, None where it is absent.

        Raises:
            ConfigValueError: It is something else.
        """
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, "is no string", expected="a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of strings at `key`, empty where it is absent.

        Raises:
            ConfigValueError: It is something else.
        """
        value = self.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "is no list of strings", expected="a list of strings")
        return tuple(value)

    def block(self, key: str) -> Mapping[str, object] | None:
        """The object at `key`, None where it is absent or empty.

        Raises:
            ConfigValueError: It is something else.
        """
        value = self.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise self.error(key, "is no object", expected="an object or null")
        return value or None

    def _number(self, key: str, value: object, bounds: Bounds) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not isinstance(value, int | float) or value not in bounds:
            raise self.error(key, "is no number in range", expected=f"a number, {bounds}", actual=shown(value))
        return float(value)

    def _defaulted(self, key: str, default: _Number | None, expected: str) -> _Number:
        if default is None:
            raise self.error(key, "is missing", expected=expected)
        self.note_default(key, default)
        return default
