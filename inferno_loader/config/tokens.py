"""Token ids: which one begins, which ones end, which one pads. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.config.reader import Bounds

if TYPE_CHECKING:
    from inferno_loader.config.reader import Reader

# -1 is written by old exporters for "there is none".
_IDS = Bounds(-1, 2**31 - 1)


@dataclass(frozen=True, slots=True)
class TokenIds:
    """The special tokens of a checkpoint.

    Attributes:
        bos: Begins a text, None if there is none.
        eos: Each of these ends a text, in the order of the file.
        pad: Fills up a batch, None if there is none.
    """

    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None


def read_tokens(reader: Reader) -> TokenIds:
    """The ids that the object names. ``eos_token_id`` may be one id or a list; -1 means none, and is noted.

    Raises:
        ConfigValueError: An id is no whole number from -1 to 2**31 - 1.
    """
    bos, pad = _ids(reader, "bos_token_id", single=True), _ids(reader, "pad_token_id", single=True)
    return TokenIds(bos[0] if bos else None, _ids(reader, "eos_token_id"), pad[0] if pad else None)


def prefer(first: TokenIds, second: TokenIds, reader: Reader) -> TokenIds:
    """The ids of `first`, and those of `second` where `first` has none; differences are noted on `reader`."""
    for word, mine, other in (
        ("bos", first.bos, second.bos),
        ("eos", first.eos, second.eos),
        ("pad", first.pad, second.pad),
    ):
        if mine not in (None, (), other) and other not in (None, ()):
            reader.note(
                "config.token_ids", f"{word}_token_id is {mine} here and {other} in the configuration: {mine} is taken"
            )
    return TokenIds(
        second.bos if first.bos is None else first.bos,
        first.eos or second.eos,
        second.pad if first.pad is None else first.pad,
    )


def _ids(reader: Reader, key: str, *, single: bool = False) -> tuple[int, ...]:
    value = reader.get(key)
    if value is None:
        return ()
    listed = value if isinstance(value, list | tuple) and not single else [value]
    ids = [reader.whole(key, item, _IDS) for item in listed]
    if -1 in ids:
        reader.note("config.token_ids", f"{reader.name(key)} is -1: there is none")
    return tuple(dict.fromkeys(item for item in ids if item != -1))
