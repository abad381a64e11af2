"""An independent checker of one header: what the reader accepted must obey the rules that the text itself states.

It shares no code and no table with the loader: the sizes of the dtypes are those of the generators.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.fuzz.pairs import Pairs, loads
from conformance.tools.container import DTYPE_BITS

if TYPE_CHECKING:
    from inferno_loader.header import Header

_LENGTH_BYTES = 8


class DisagreementError(AssertionError):
    """The loader accepted what a rule of the format forbids, or read another thing than the text says."""


def demand(condition: bool, rule: str) -> None:
    """Raises `DisagreementError` with `rule` unless `condition` holds."""
    if not condition:
        raise DisagreementError(rule)


def check_header(data: bytes, header: Header) -> None:
    """Hold the accepted `header` against the bytes of its file.

    Raises:
        DisagreementError: A name occurs twice, a span is not shape times dtype, the tensors leave a hole, overlap or do
            not end where the file does, or the header tells of another tensor than the text.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    text = data[_LENGTH_BYTES : _LENGTH_BYTES + length]
    demand(len(text) == length == header.length, "the length word is that of the text")
    demand(header.data_start == _LENGTH_BYTES + length, "the data begin behind the text")
    try:
        root = loads(text)
    except ValueError as error:
        raise DisagreementError("the text is JSON") from error
    demand(isinstance(root, Pairs), "the text is an object")
    names = [name for name, _ in root]
    demand(len(set(names)) == len(names), "each name occurs once")
    entries = {name: entry for name, entry in root if name != "__metadata__"}
    demand(entries.keys() == header.tensors.keys(), "the header has the names of the text")
    spans = sorted(_span(name, entry, header) for name, entry in entries.items())
    _check_spans(spans, len(data) - _LENGTH_BYTES - length)


def _span(name: str, entry: Any, header: Header) -> tuple[int, int]:
    info = header.tensors[name]
    shape, (start, end) = entry.find("shape"), entry.find("data_offsets")
    demand(all(type(size) is int and size >= 0 for size in (*shape, start, end)), f"{name}: sizes are whole numbers")
    demand((end - start) * 8 == math.prod(shape) * DTYPE_BITS[entry.find("dtype")], f"{name}: span = shape x dtype")
    demand((info.start, info.end, info.shape) == (start, end, tuple(shape)), f"{name}: as the text has it")
    demand((info.dtype.name, info.elements) == (entry.find("dtype"), math.prod(shape)), f"{name}: as the text has it")
    return start, end


def _check_spans(spans: list[tuple[int, int]], data_bytes: int) -> None:
    position = 0
    for start, end in spans:
        demand(start == position, "no hole and no overlap")
        position = end
    demand(position == data_bytes, "the tensors end where the file does")
