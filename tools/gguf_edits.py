"""Edits of a GGUF draft, as data: the name of a way and its arguments. No loader, no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.gguf_file import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.tools.gguf_file import Draft, Entry


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit.

    Attributes:
        way: A key of `EDITS`.
        arguments: Numbers, strings, booleans, None, and tuples of them; bytes are written as hexadecimal digits.
        part: The part of a split file that is edited, from 0.
    """

    way: str
    arguments: tuple[Any, ...] = ()
    part: int = 0

    def apply(self, draft: Draft) -> None:
        """Edits a draft."""
        EDITS[self.way](draft, *self.arguments)


def edit(way: str, *arguments: Any, part: int = 0) -> Edit:
    """An edit by its name.

    Raises:
        KeyError: There is no such way.
    """
    if way not in EDITS:
        raise KeyError(f"{way!r} is no way to edit a GGUF file: known are {', '.join(sorted(EDITS))}")
    return Edit(way, arguments, part)


def find(draft: Draft, name: str) -> Entry:
    """The entry of a tensor.

    Raises:
        KeyError: There is none.
    """
    for entry in draft.entries:
        if entry.name == name:
            return entry
    raise KeyError(name)


def _set(draft: Draft, field: str, value: Any) -> None:
    """Sets one of the plain fields of a draft."""
    setattr(draft, field, value)


def _magic(draft: Draft, digits: str) -> None:
    draft.magic = bytes.fromhex(digits)


def _big_endian(draft: Draft) -> None:
    """Every number the other way round, those of the tensors too, which must be F32."""
    draft.big_endian = True
    for entry in draft.entries:
        entry.data = np.frombuffer(entry.data, "<f4").astype(">f4").tobytes()


def _pair(draft: Draft, key: str, kind: str, value: Any) -> None:
    """Sets a pair, or puts it behind the others."""
    pair = Pair(key, kind, value)
    places = [place for place, each in enumerate(draft.pairs) if each.key == key]
    if places:
        draft.pairs[places[0]] = pair
    else:
        draft.pairs.append(pair)


def _pair_twice(draft: Draft, key: str, kind: str, value: Any) -> None:
    """Puts a pair behind the others, whatever they are called."""
    draft.pairs.append(Pair(key, kind, value))


def _raw_pair(draft: Draft, key: str, kind: str, digits: str) -> None:
    """A pair whose value is given in hexadecimal digits, whatever its type."""
    _pair(draft, key, kind, bytes.fromhex(digits))


def _drop_pair(draft: Draft, key: str) -> None:
    draft.pairs = [pair for pair in draft.pairs if pair.key != key]


def _align(draft: Draft, alignment: int) -> None:
    """Another alignment, said and kept."""
    draft.alignment = alignment
    _pair(draft, "general.alignment", "u32", alignment)


def _entry(draft: Draft, name: str, field: str, value: Any) -> None:
    """Sets one field of an entry; its data stays."""
    setattr(find(draft, name), field, value)


def _shift(draft: Draft, name: str, distance: int) -> None:
    """Says that a tensor lies elsewhere."""
    entry = find(draft, name)
    position = 0
    for each in draft.entries:
        if each is entry:
            break
        position += len(each.data) + -len(each.data) % draft.alignment
    entry.offset = position + distance


def _drop_entry(draft: Draft, name: str) -> None:
    draft.entries.remove(find(draft, name))


def _twice(draft: Draft, name: str) -> None:
    """A tensor once more, behind all others."""
    draft.entries.append(replace(find(draft, name)))


def _add(draft: Draft, name: str, kind: int, sizes: tuple[int, ...], digits: str) -> None:
    """A tensor more."""
    first = draft.entries[0]
    draft.entries.append(replace(first, name=name, kind=kind, sizes=tuple(sizes), data=bytes.fromhex(digits)))


def _poke(draft: Draft, name: str, place: int, digits: str) -> None:
    """Other bytes in a tensor."""
    entry, new = find(draft, name), bytes.fromhex(digits)
    entry.data = entry.data[:place] + new + entry.data[place + len(new) :]


def _reverse(draft: Draft) -> None:
    """The tensors the other way round, their data with them."""
    draft.entries.reverse()


def _tail(draft: Draft, count: int) -> None:
    draft.tail = b"\xa5" * count


#: Every way to edit a draft, by its name.
EDITS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "set": _set,
        "magic": _magic,
        "big_endian": _big_endian,
        "pair": _pair,
        "pair_twice": _pair_twice,
        "raw_pair": _raw_pair,
        "drop_pair": _drop_pair,
        "align": _align,
        "entry": _entry,
        "shift": _shift,
        "drop_entry": _drop_entry,
        "twice": _twice,
        "add": _add,
        "poke": _poke,
        "reverse": _reverse,
        "tail": _tail,
    },
)
