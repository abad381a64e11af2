"""The dtype that a configuration claims for its weights. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.dtypes import DTYPES, parse_dtype
from inferno_loader.errors import UnsupportedDtypeError

if TYPE_CHECKING:
    from inferno_loader.config.reader import Reader
    from inferno_loader.dtypes import Dtype

_ALLOWED = ", ".join(dtype.torch_name for dtype in DTYPES.values() if dtype.dense and dtype.torch_name)


def read_dtype(reader: Reader) -> Dtype | None:
    """The dtype under ``dtype`` (since transformers 4.56) or ``torch_dtype``; the first wins, as in transformers.

    Raises:
        ConfigValueError: One of them is no string, or names no floating dtype that computes by itself.
    """
    new, old = _one(reader, "dtype"), _one(reader, "torch_dtype")
    if new is not None and old is not None:
        names = f"{reader.name('dtype')} ({new}) and {reader.name('torch_dtype')} ({old})"
        if new is old:
            reader.note("config.spelled_twice", f"{names} are both there, and agree")
        else:
            reader.warn("config.spelled_twice", f"{names} are both there: {new} is taken, as transformers does")
    return new or old


def _one(reader: Reader, key: str) -> Dtype | None:
    name = reader.text(key)
    if name is None:
        return None
    if name == "auto":
        reader.note("config.default", f"{reader.name(key)} is auto: the tensors tell their dtype")
        return None
    try:
        dtype = parse_dtype(name)
    except UnsupportedDtypeError as error:
        raise reader.error(key, "names no dtype", expected=_ALLOWED) from error
    if not dtype.dense:
        raise reader.error(key, "is no dtype to compute in", expected=_ALLOWED)
    return dtype
