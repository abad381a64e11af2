"""One line of a report: a JSON object whose members are taken by name and by kind, or refused with the place."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.engine.errors import ReportError
from conformance.engine.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    Value = TypeVar("Value")


class Line:
    """The members of an object, and where it stands.

    Args:
        place: ``file:line``.
        members: The object.

    Raises:
        ReportError: By each method: the member is not there, or is of another kind.
    """

    def __init__(self, place: str, members: dict[str, Any]) -> None:
        self.place = place
        self._members = members

    def refuse(self, problem: str, *, expected: object = None, actual: object = None) -> NoReturn:
        """Raises the error of this line."""
        raise ReportError(problem, subject=self.place, expected=expected, actual=actual)

    def text(self, name: str) -> str:
        """A string."""
        return self._take(name, str, "a string")

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._take(name, bool, "true or false")

    def whole(self, name: str) -> int:
        """An integer that is not negative."""
        value = self._take(name, int, "an integer")
        return value if value >= 0 else self.refuse(f"{name} is negative", actual=value)

    def seconds(self, name: str) -> float:
        """A number that is not negative."""
        value = self._member(name)
        if type(value) not in {int, float} or not 0 <= value < math.inf:
            self.refuse(f"{name} is no duration", expected="a number of seconds", actual=repr(value))
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._take(name, list, "a list of strings")
        if not all(isinstance(value, str) for value in values):
            self.refuse(f"{name} is not a list of strings", actual=repr(values))
        return tuple(values)

    def part(self, name: str) -> Line:
        """An object."""
        return Line(self.place, self._take(name, dict, "an object"))

    def names(self) -> set[str]:
        """The names of all members."""
        return set(self._members)

    def verdict(self, name: str) -> Verdict:
        """A verdict."""
        value = self.text(name)
        if value not in set(Verdict):
            self.refuse(f"{name} is no verdict", expected=", ".join(Verdict), actual=value)
        return Verdict(value)

    def has(self, name: str) -> bool:
        """Whether a member that may be null is not. It must be there."""
        return self._member(name) is not None

    def _member(self, name: str) -> Any:
        if name not in self._members:
            self.refuse(f"{name} is missing", actual=", ".join(sorted(self._members)) or "nothing")
        return self._members[name]

    def _take(self, name: str, kind: type[Value], words: str) -> Value:
        value = self._member(name)
        # Not isinstance: a boolean is an integer to Python, and none to JSON.
        if type(value) is not kind:
            self.refuse(f"{name} is not {words}", actual=repr(value))
        return value


def parse(place: str, text: str) -> Line:
    """The line of a text.

    Raises:
        ReportError: It is no JSON object, or one with a name twice.
    """
    try:
        members = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ReportError("the line is no JSON", subject=place, actual=f"{error}, in {text[:60]!r}") from error
    if not isinstance(members, dict):
        raise ReportError("the line is no JSON object", subject=place, actual=text[:60])
    return Line(place, members)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{name!r} occurs twice")
        members[name] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
