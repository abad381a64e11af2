"""A planted bug: the fuzzer must find it, or it finds nothing.

A reader that wants to know where in the header the scales of a block-scaled weight are described looks for the name of
the tensor in the text. A name may be written in escapes, and then it is not there. To get so far an input must be a
header that is accepted whole, with a tensor of rank 3, of dtype F8_E4M3, whose name is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inferno_loader.header import Header

_RANK = 3


def locate_scales(data: bytes, header: Header) -> list[int]:
    """Where in `data` each stacked FP8 weight is described, in bytes.

    Raises:
        ValueError: The bug: a name that is written in escapes is not found.
    """
    return [
        data.index(f'"{name}"'.encode())
        for name, info in header.tensors.items()
        if len(info.shape) == _RANK and info.dtype.name == "F8_E4M3"
    ]
