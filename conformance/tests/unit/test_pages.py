"""Large tensors lie in large pages from their first byte on, and free their memory one by one."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

import pytest
import torch

from inferno_loader import pages
from inferno_loader.pages import large_pages, new_tensor

_LARGE = 2 << 20


def _flags(address: int) -> list[str]:
    """What the system knows of the memory at an address (``VmFlags``)."""
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first, _, rest = line.partition("-")
        if rest and all(sign in "0123456789abcdef" for sign in first):
            inside = int(first, 16) <= address < int(rest.split()[0], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    return []


def test_memory_begins_with_a_large_page() -> None:
    """All of it is marked for them but the last part of one, which would take memory that nobody asked for."""
    found = large_pages(2 * _LARGE + 4096)
    assert found is not None
    memory, start = found
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + start
    assert address % _LARGE == 0
    assert ["hg" in _flags(address + place) for place in (0, 2 * _LARGE - 1, 2 * _LARGE)] == [True, True, False]
    assert len(memory) - start >= 2 * _LARGE + 4096


def test_little_memory_is_left_to_torch() -> None:
    """It fills no large page."""
    assert large_pages(_LARGE - 1) is None
    assert new_tensor((3, 5), torch.int64).shape == (3, 5)


def test_elsewhere_memory_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems have other means."""
    monkeypatch.setattr(pages, "sys", type("Elsewhere", (), {"platform": "darwin"}))
    assert large_pages(4 * _LARGE) is None
    assert new_tensor((4 * _LARGE,), torch.uint8).nbytes == 4 * _LARGE


def test_memory_that_the_system_refuses_is_left_to_torch() -> None:
    """Which says so as it always does."""
    assert sys.platform == "linux"
    assert large_pages(1 << 60) is None
    with pytest.raises(RuntimeError, match="allocate"):
        new_tensor((1 << 60,), torch.uint8)


def test_pages_that_are_refused_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that knows no large pages gives the memory in small ones."""
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 1 << 20)
    found = large_pages(_LARGE)
    assert found is not None
    assert "hg" not in _flags(ctypes.addressof(ctypes.c_char.from_buffer(found[0])) + found[1])


def test_a_large_tensor_has_memory_of_its_own() -> None:
    """As much as its numbers take, writable, and another than the next one has."""
    one, other = (new_tensor((1024, 1536), torch.bfloat16) for _ in range(2))
    assert (one.shape, one.dtype, one.is_contiguous()) == ((1024, 1536), torch.bfloat16, True)
    assert one.untyped_storage().nbytes() == one.nbytes == 3 << 20
    assert one.data_ptr() % _LARGE == 0
    one.fill_(3)
    other.fill_(5)
    assert bool((one == 3).all())


def test_memory_goes_with_its_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is deleted is given back, though tensors that were made beside it stay."""
    made: list[mmap.mmap] = []

    def noted(nbytes: int) -> tuple[mmap.mmap, int] | None:
        found = large_pages(nbytes)
        assert found is not None
        made.append(found[0])
        return found

    monkeypatch.setattr(pages, "large_pages", noted)
    first, second = (new_tensor((_LARGE,), torch.uint8) for _ in range(2))
    counts = [sys.getrefcount(memory) for memory in made]
    del first
    assert [sys.getrefcount(memory) for memory in made] == [counts[0] - 1, counts[1]]
    assert second.nbytes == _LARGE
