"""What this machine and this torch can hold and compute. Only a device other than the CPU imports torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from inferno_loader.dtypes import parse_dtype
from inferno_loader.errors import DeviceUnavailableError, MissingDependencyError, UnsupportedDtypeError

if TYPE_CHECKING:
    from inferno_loader.dtypes import Dtype

#: Dtypes in which every device of torch multiplies matrices. MPS has no F64.
_COMPUTES = ("F64", "F32", "F16", "BF16")
_MEMINFO = Path("/proc/meminfo")
#: Limit and use of a container, and the line of ``memory.stat`` that says which of it is page cache to be had back:
#: a checkpoint that was read lies there.
_CGROUP_FILES = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"), "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        "total_inactive_file",
    ),
)


@dataclass(frozen=True, slots=True)
class Capability:
    """A device, and what it can do.

    Attributes:
        device: As torch spells it.
        memory_bytes: Memory of the device; None where nothing tells.
        available_bytes: What of it is free now, limits of a container counted; None where nothing tells.
        computes: Container dtypes in which it multiplies matrices.
    """

    device: str
    memory_bytes: int | None
    available_bytes: int | None
    computes: tuple[str, ...]

    def holds(self, nbytes: int) -> bool | None:
        """Whether `nbytes` fit into what is free now; None where nothing tells."""
        return None if self.available_bytes is None else nbytes <= self.available_bytes

    def to_json(self) -> dict[str, Any]:
        """The capability as a JSON object."""
        return {
            "device": self.device,
            "memory_bytes": self.memory_bytes,
            "available_bytes": self.available_bytes,
            "computes": list(self.computes),
        }


def capability(device: str = "cpu") -> Capability:
    """What `device` can do.

    Raises:
        DeviceUnavailableError: It is not there; the error names what is.
        MissingDependencyError: Only torch could tell, and it is not installed.
    """
    if device == "cpu":
        return Capability("cpu", _total_memory(), _available_memory(), _COMPUTES)
    found = _torch_device(device)
    computes = tuple(name for name in _COMPUTES if not (found.type == "mps" and name == "F64"))
    free, total = _device_memory(found)
    return Capability(str(found), total, free, computes)


def require_device(device: str, dtype: object = None, *, fallback: Literal["cpu"] | None = None) -> str:
    """The device to use: `device`, or the `fallback` that the caller allows.

    Args:
        device: As torch spells it.
        dtype: The dtype to hold and compute with, or None.
        fallback: ``"cpu"`` allows the CPU where `device` is not there.

    Raises:
        DeviceUnavailableError: The device is not there, and no fallback is allowed.
        UnsupportedDtypeError: The device cannot compute with the dtype.
    """
    try:
        found = capability(device)
    except DeviceUnavailableError:
        if fallback is None:
            raise
        found = capability(fallback)
    if dtype is not None:
        require_dtype(parse_dtype(dtype), found)
    return found.device


def require_dtype(dtype: Dtype, on: Capability) -> None:
    """Make sure that a device computes with `dtype`.

    Raises:
        UnsupportedDtypeError: It does not; the error names what it does.
    """
    if dtype.name not in on.computes:
        raise UnsupportedDtypeError(
            f"{on.device} does not compute with this dtype",
            expected=", ".join(on.computes),
            actual=dtype,
            remedy="choose a dtype that it computes with; quantized weights are kept with dequantize=False",
        )


def _torch_device(name: str) -> Any:
    try:
        import torch  # noqa: PLC0415 - looking at the CPU needs no torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "torch is not installed, and only torch knows of devices other than the CPU",
            expected="torch",
            actual=name,
            remedy="pip install torch",
        ) from error
    there = ["cpu", *_accelerators(torch)]
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unavailable(name, there) from error
    indexed = f"{device.type}:{device.index or 0}"
    if device.type != "cpu" and indexed not in there:
        raise _unavailable(name, there)
    return device


def _accelerators(torch: Any) -> list[str]:
    if not torch.accelerator.is_available():
        return []
    kind = torch.accelerator.current_accelerator().type
    return [f"{kind}:{number}" for number in range(torch.accelerator.device_count())]


def _unavailable(name: str, there: list[str]) -> DeviceUnavailableError:
    return DeviceUnavailableError(
        "the device is not there",
        expected=f"one of {', '.join(there)}",
        actual=name,
        remedy='name one that is, or allow the CPU with fallback="cpu"',
    )


def _device_memory(device: Any) -> tuple[int | None, int | None]:
    import torch  # noqa: PLC0415

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    return (_available_memory(), _total_memory()) if device.type == "cpu" else (None, None)


def _total_memory() -> int:
    """Physical memory, or the limit of the container where that is less."""
    limits = [_number(limit) for limit, _, _ in _CGROUP_FILES]
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *(limit for limit in limits if limit)])


def _available_memory() -> int | None:
    """Free memory, and what a container has left of its limit, whichever is less."""
    free = _line(_MEMINFO, "MemAvailable:")
    room = [] if free is None else [free * 1024]
    for limit_file, usage_file, cache in _CGROUP_FILES:
        limit, usage = _number(limit_file), _number(usage_file)
        if limit is not None and usage is not None:
            usage -= _line(usage_file.with_name("memory.stat"), cache) or 0
            room.append(max(limit - usage, 0))
    return min(room, default=None)


def _number(path: Path) -> int | None:
    """The number in a file of the kernel; None where it is missing, or says "max"."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _line(path: Path, key: str) -> int | None:
    """The number behind `key` in a file of the kernel; None where either is missing."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(fields[1]) for line in lines if (fields := line.split())[:1] == [key]), None)
