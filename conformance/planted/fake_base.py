"""What the fakes have in common: they read one file right, and one of them does something else besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors import deserialize

from conformance.engine.claims import CONTAINER_DTYPES
from conformance.engine.contract import RawTensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Reading:
    """Reads one file right, with the reference implementation, whole and in memory. Each fake is called as its class.

    Attributes:
        name: The name of the class.
        claims: Every dtype of the container.
    """

    name: str = "Reading"
    claims: frozenset[str] = frozenset(f"dtype:{dtype}" for dtype in CONTAINER_DTYPES)

    def __init_subclass__(cls) -> None:
        """Names the fake, if it does not name itself."""
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Every tensor of one file, as stored.

        Raises:
            SafetensorError: The file breaks a rule of the format.
        """
        return read_right(path)


def read_right(path: Path) -> dict[str, RawTensor]:
    """Every tensor of one file, as stored.

    Raises:
        SafetensorError: The file breaks a rule of the format.
    """
    found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    return {
        name: RawTensor(each["dtype"], tuple(each["shape"]), memoryview(each["data"])) for name, each in sorted(found)
    }


def made_wrong(tensors: Mapping[str, RawTensor]) -> dict[str, RawTensor]:
    """The tensors with every bit of their bytes turned over. Where there is no byte, one tensor too many."""
    wrong = {
        name: each._replace(data=bytes(byte ^ 0xFF for byte in bytes(each.data))) for name, each in tensors.items()
    }
    if any(each.data for each in wrong.values()):
        return wrong
    return {**wrong, "nowhere in the file": RawTensor("U8", (1,), b"\x01")}
