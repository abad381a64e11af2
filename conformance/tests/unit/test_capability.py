"""What a machine can hold and compute: its memory, the limits of a container, and the devices that are there."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import refused
from inferno_loader import capabilities
from inferno_loader.capabilities import Capability, capability, require_device
from inferno_loader.errors import DeviceUnavailableError, MissingDependencyError, UnsupportedDtypeError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_ALL = ("F64", "F32", "F16", "BF16")
_PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class _Machine:
    """The files in which a kernel tells of its memory, and of the limits of a container."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        monkeypatch.setattr(capabilities, "_MEMINFO", directory / "meminfo")
        files = [(directory / f"{n}.max", directory / f"{n}" / "usage", f"{n}_cache") for n in ("v1", "v2")]
        monkeypatch.setattr(capabilities, "_CGROUP_FILES", tuple(files))

    def free(self, kibibytes: int) -> None:
        text = f"MemTotal:       64000000 kB\nMemFree:  1 kB\nMemAvailable:   {kibibytes} kB\nBuffers: 2 kB\n"
        (self.directory / "meminfo").write_text(text)

    def limit(self, version: str, limit: str, usage: int, cache: int | None = None) -> None:
        (self.directory / f"{version}.max").write_text(f"{limit}\n")
        (self.directory / version).mkdir()
        (self.directory / version / "usage").write_text(f"{usage}\n")
        if cache is not None:
            text = f"anon 5\n{version}_cache {cache}\n{version}_cache_more 7\n"
            (self.directory / version / "memory.stat").write_text(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Machine:
    """A machine that says nothing yet."""
    return _Machine(tmp_path, monkeypatch)


def _torch(monkeypatch: pytest.MonkeyPatch, kind: str | None = None, count: int = 0) -> None:
    """A torch that sees `count` accelerators of one kind, with 6 of 8 GiB free on each."""

    class Device:
        def __init__(self, name: str) -> None:
            self.name = name
            self.type, _, index = name.partition(":")
            if self.type not in {"cpu", "cuda", "mps", "meta"}:
                raise RuntimeError(f"Invalid device string: {name!r}")
            self.index = int(index) if index else None

        def __str__(self) -> str:
            return self.name

    accelerator = SimpleNamespace(
        is_available=lambda: kind is not None,
        current_accelerator=lambda: SimpleNamespace(type=kind),
        device_count=lambda: count,
    )
    cuda = SimpleNamespace(mem_get_info=lambda _: (6 * 2**30, 8 * 2**30))
    fake: Any = SimpleNamespace(device=Device, accelerator=accelerator, cuda=cuda)
    monkeypatch.setitem(sys.modules, "torch", fake)


def test_free_memory_is_what_the_kernel_says(machine: _Machine) -> None:
    """MemAvailable, in kibibytes: page cache can be had back, so MemFree would be too little."""
    machine.free(2048)
    assert capability() == Capability("cpu", _PHYSICAL, 2048 * 1024, _ALL)


@pytest.mark.parametrize(
    ("limit", "usage", "cache", "free"),
    [
        ("1000000", 400_000, None, 600_000),
        ("1000000", 400_000, 100_000, 700_000),
        ("1000000", 1_200_000, None, 0),
        ("9000000", 1_000_000, None, 2_097_152),
        ("max", 1_000_000, None, 2_097_152),
        ("9223372036854771712", 1_000_000, None, 2_097_152),
    ],
    ids=["limited", "cache counted as free", "beyond the limit", "roomy", "no limit", "no limit of old"],
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_container_has_what_is_left_of_its_limit(
    machine: _Machine, version: str, limit: str, usage: int, cache: int | None, free: int
) -> None:
    """Its use, less the page cache that can be had back, off its limit; or the memory of the machine, if less."""
    machine.free(2048)
    machine.limit(version, limit, usage, cache)
    found = capability()
    assert found.available_bytes == free
    assert found.memory_bytes == (min(int(limit), _PHYSICAL) if limit != "max" else _PHYSICAL)


@pytest.mark.parametrize("limited", [False, True])
def test_a_machine_that_says_nothing(machine: _Machine, *, limited: bool) -> None:
    """Where the kernel tells nothing the answer is that nothing is known, or what the container says."""
    if limited:
        machine.limit("v2", "1000", 400)
    found = capability()
    assert found.available_bytes == (600 if limited else None)
    assert found.memory_bytes == (1000 if limited else _PHYSICAL)


def test_this_machine_says_how_much_memory_it_has() -> None:
    """The real files are where they are looked for."""
    found = capability()
    assert found.memory_bytes is not None
    assert found.available_bytes is not None
    assert 0 < found.available_bytes <= found.memory_bytes <= _PHYSICAL


@pytest.mark.parametrize(("available", "needed", "fits"), [(10, 10, True), (10, 11, False), (None, 1, None)])
def test_what_fits_is_what_is_free(available: int | None, needed: int, fits: bool | None) -> None:
    """Exactly what is free fits; where nothing is known, nothing is claimed."""
    assert Capability("cpu", 100, available, _ALL).holds(needed) is fits


def test_a_capability_is_json() -> None:
    """Every fact, under its own name."""
    found = Capability("cuda:0", 100, None, ("F32", "F16"))
    facts = {"device": "cuda:0", "memory_bytes": 100, "available_bytes": None, "computes": ["F32", "F16"]}
    assert json.loads(json.dumps(found.to_json())) == facts


def test_looking_at_the_cpu_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The half that only looks works where torch cannot be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert capability().device == "cpu"
    assert require_device("cpu", "BF16") == "cpu"


@pytest.mark.parametrize(("device", "name"), [("cuda", "cuda"), ("cuda:1", "cuda:1")])
def test_an_accelerator_has_its_own_memory(monkeypatch: pytest.MonkeyPatch, device: str, name: str) -> None:
    """Free and whole memory as its driver says."""
    _torch(monkeypatch, "cuda", 2)
    assert capability(device) == Capability(name, 8 * 2**30, 6 * 2**30, _ALL)
    assert require_device(device, "torch.float64") == name


def test_mps_has_no_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it say how much memory is free."""
    _torch(monkeypatch, "mps", 1)
    assert capability("mps") == Capability("mps", None, None, ("F32", "F16", "BF16"))
    refused(
        lambda: require_device("mps", "F64"),
        UnsupportedDtypeError,
        code="capability.dtype",
        path=None,
        expected="F32, F16, BF16",
        actual="F64",
        remedy="choose a dtype",
    )


def test_the_cpu_may_have_a_number(monkeypatch: pytest.MonkeyPatch, machine: _Machine) -> None:
    """Torch spells it cpu:0 as well."""
    _torch(monkeypatch)
    machine.free(3)
    assert capability("cpu:0") == Capability("cpu:0", _PHYSICAL, 3072, _ALL)


@pytest.mark.parametrize(
    ("kind", "count", "device", "there"),
    [
        (None, 0, "cuda", "one of cpu"),
        (None, 0, "meta", "one of cpu"),
        (None, 0, "gpu", "one of cpu"),
        ("cuda", 2, "cuda:2", "one of cpu, cuda:0, cuda:1"),
        ("cuda", 1, "mps", "one of cpu, cuda:0"),
        ("cuda", 1, "banana", "one of cpu, cuda:0"),
    ],
)
def test_a_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, kind: str | None, count: int, device: str, there: str
) -> None:
    """The error names those that are; the CPU stands in only where the caller allows it."""
    _torch(monkeypatch, kind, count)
    error = refused(
        lambda: require_device(device),
        DeviceUnavailableError,
        code="capability.device",
        path=None,
        expected=there,
        actual=device,
        remedy='fallback="cpu"',
    )
    assert error.expected == there
    assert require_device(device, "F32", fallback="cpu") == "cpu"


@pytest.mark.parametrize("dtype", ["F8_E4M3", "I8", "BOOL", "torch.int64"])
def test_a_dtype_that_does_not_compute(dtype: str) -> None:
    """Codes need a scale: no device multiplies matrices of them here."""
    refused(
        lambda: require_device("cpu", dtype),
        UnsupportedDtypeError,
        code="capability.dtype",
        path=None,
        expected="F64, F32, F16, BF16",
        actual="I64" if dtype == "torch.int64" else dtype,
        remedy="dequantize=False",
    )


@pytest.mark.parametrize("dtype", [None, "F64", "float32", "half", "torch.bfloat16"])
def test_a_dtype_that_computes(dtype: str | None) -> None:
    """Every spelling of a dense dtype, or none asked for."""
    assert require_device("cpu", dtype) == "cpu"


def test_without_torch_a_device_is_refused_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only torch knows of devices other than the CPU: where it is missing, the error is ours and says so."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError) as caught:
        capability("cuda")
    assert caught.value.code == "dependency.missing"
    assert caught.value.remedy == "pip install torch"
