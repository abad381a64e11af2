"""Memory for large tensors, in large pages where the system has them to give. Imports torch when it makes a tensor.

The first touch of a page costs the system several times what is then written there, and a large page is one touch in
place of 512 (``MADV_HUGEPAGE``, https://man7.org/linux/man-pages/man2/madvise.2.html). NumPy asks for them for its
arrays as well (https://numpy.org/doc/stable/reference/global_state.html#madvise-hugepage-on-linux). Memory that begins
in the middle of one, as most does, has none there and at its end: here it begins where one does.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LARGE = 2 << 20


def large_pages(nbytes: int) -> tuple[mmap.mmap, int] | None:
    """New memory that is in large pages as far as it fills them.

    Args:
        nbytes: How much is needed.

    Returns:
        A private mapping, and where in it a large page and the memory begin. What lies around is never touched, and
        takes nothing. None where less than one page is needed, and where the system does not know how, or refuses.
    """
    if sys.platform != "linux" or nbytes < _LARGE:
        return None
    try:
        memory = mmap.mmap(-1, nbytes + _LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return None
    start = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % _LARGE
    # A kernel without large pages gives small ones.
    with suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE, start, nbytes // _LARGE * _LARGE)
    return memory, start


def new_tensor(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | None = None) -> torch.Tensor:
    """A tensor of whatever its memory holds, like `torch.empty`; a large one on the CPU in large pages.

    Args:
        shape: Its sizes.
        dtype: Its dtype.
        device: Where it lies; None for the CPU.
    """
    import torch  # noqa: PLC0415 - planning never imports it

    here = device is None or device.type == "cpu"
    found = large_pages(math.prod(shape) * dtype.itemsize) if here else None
    if found is None:
        return torch.empty(shape, dtype=dtype, device=device)
    memory, start = found
    return torch.frombuffer(memory, dtype=dtype, count=math.prod(shape), offset=start).view(shape)
