"""What of a sparse file is no hole."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def data_ranges(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges of an open file between two offsets that have data, each as its first byte and the one behind it."""
    position = start
    while position < end:
        try:
            first = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # there are no more data
                return
            raise
        if first >= end:
            return
        position = min(end, os.lseek(descriptor, first, os.SEEK_HOLE))
        yield first, position
