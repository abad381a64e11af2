"""Fakes whose answers are not what they should be, or whose class is not what the contract asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.contract import Unsupported
from conformance.planted.fake_base import Reading, made_wrong, read_right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class AlwaysWrong(Reading):
    """Gives wrong bytes for a sound file, and nothing at all for a broken one: it is never right."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors with every bit turned over."""
        try:
            return made_wrong(read_right(path))
        except Exception:  # noqa: BLE001 - whatever is wrong with the file, this fake does not care
            return {}


class AlwaysRejects(Reading):
    """Refuses every file."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{path.name}: not today")


class AcceptsEverything(Reading):
    """Takes every file for one without tensors."""

    def read_file(self, path: Path) -> Mapping[str, Any]:  # noqa: ARG002 - the contract has it
        """No tensor."""
        return {}


class RaisesUnsupported(Reading):
    """Says of every file that it is not supported, though it claims all that is needed."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            Unsupported: Always.
        """
        raise Unsupported(f"{path.name}: files of this kind are not read")


class ReturnsWrongType(Reading):
    """Returns a list where the contract asks for a mapping."""

    def read_file(self, path: Path) -> Any:
        """The tensors without their names."""
        return list(read_right(path).values())


class ReturnsDeviceTensor(Reading):
    """Returns tensors that do not lie on the CPU: they have no bytes."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Tensors of torch's device ``meta``."""
        import torch  # noqa: PLC0415 - the other fakes need no torch

        return {name: torch.empty(each.shape, device="meta") for name, each in read_right(path).items()}


class NondeterministicByHashSeed(Reading):
    """Lets the order of a set decide: right under PYTHONHASHSEED=0 and wrong under 1, 2, 3 and 4."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors, or wrong ones."""
        first = next(iter({"left", "right"}))
        return read_right(path) if first == "right" else made_wrong(read_right(path))


class NondeterministicByCall(Reading):
    """Is right in its first call, and wrong in every later one of the same process: a cache gone stale."""

    def __init__(self) -> None:
        self._calls = 0

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors, or wrong ones."""
        self._calls += 1
        return read_right(path) if self._calls == 1 else made_wrong(read_right(path))


class BadReason(Reading):
    """Gives a reason that is no reason code."""

    def reason(self, error: Exception) -> str:  # noqa: ARG002 - the contract has it
        """What nobody knows."""
        return "bad_weather"


class BadReport(Reading):
    """Reports a list that no report has."""

    def report(self, directory: Path) -> Mapping[str, Any]:
        """A category of its own."""
        return {"forgotten": [directory.name]}


class ReportRaises(Reading):
    """Fails while it reports on a load that went well."""

    def report(self, directory: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"no report on {directory.name}")


class UnknownClaim(Reading):
    """Claims what is no feature."""

    claims = Reading.claims | {"telepathy"}


class NoLevel:
    """Has a name and claims, and no method of any level."""

    name = "NoLevel"
    claims: frozenset[str] = frozenset()


class NoName(Reading):
    """Has an empty name."""

    name = ""


class RaisesOnConstruction(Reading):
    """Cannot be made.

    Raises:
        RuntimeError: Always.
    """

    def __init__(self) -> None:
        raise RuntimeError("this adapter does not start")
