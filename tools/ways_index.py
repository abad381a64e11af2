"""Ways to edit the index of a checkpoint as text, and the names in it. The shards stay as they are. No loader."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.tools.edits import INDEX_FILE, edit_json
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def encode_index(directory: Path, encoding: str) -> None:
    """The text of the index is written in another encoding: ``utf-8-sig``, which begins with a mark, or ``utf-16``."""
    path = directory / INDEX_FILE
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))


def wrap_index(directory: Path, before: str, after: str) -> None:
    """Text stands before the JSON of the index, and behind it."""
    path = directory / INDEX_FILE
    path.write_text(before + path.read_text(encoding="utf-8").strip() + after, encoding="utf-8", newline="")


def replace_in_index(directory: Path, old: str, new: str) -> None:
    """The text `old`, which the index holds once, is `new`; characters up to 0xFF are single bytes.

    Raises:
        ValueError: The index does not hold it once.
    """
    path = directory / INDEX_FILE
    content = path.read_bytes()
    if content.count(old.encode("latin-1")) != 1:
        raise ValueError(f"{path}: {old!r} does not stand in the index once")
    path.write_bytes(content.replace(old.encode("latin-1"), new.encode("latin-1")))


def nest_index(directory: Path, depth: int) -> None:
    """The metadata of the index hold arrays in arrays, `depth` levels of them."""
    edit_json(directory / INDEX_FILE, lambda index: index.update(metadata={"note": "here"}))
    replace_in_index(directory, '"here"', "[" * depth + "]" * depth)


def respell_index(directory: Path, how: str) -> None:
    """The index says the same in another writing.

    Args:
        directory: The checkpoint.
        how: ``reversed``, the names in the opposite order, and the map before the metadata; ``compact``, without white
            space; ``windows``, lines that end as on Windows, and tabs; ``escaped``, names with an escape.

    Raises:
        KeyError: There is no such writing.
    """
    path = directory / INDEX_FILE
    index = json.loads(path.read_text(encoding="utf-8"))
    backwards = {"weight_map": dict(reversed(index["weight_map"].items())), "metadata": index["metadata"]}
    plain = json.dumps(index, indent=2)
    text = {
        "reversed": json.dumps(backwards, indent=2),
        "compact": json.dumps(index, separators=(",", ":")),
        "windows": json.dumps(index, indent="\t").replace("\n", "\r\n") + "\r\n",
        "escaped": plain.replace("model.", "\\u006dodel.").replace("-of-", "-\\u006Ff-"),
    }[how]
    path.write_bytes(text.encode())


def point_index(directory: Path, shard: str, name: str) -> None:
    """The index calls a shard by another name; the file keeps its own."""
    _place(directory, lambda file: name if file == shard else file)


def spell_twice(directory: Path, shard: str, name: str) -> None:
    """The index calls a shard by two names, in turn: its own, and another one."""
    turns = iter(range(1 << 20))
    _place(directory, lambda file: name if file == shard and next(turns) % 2 else file)


def crowd_index(directory: Path, count: int, shard: str) -> None:
    """The index names `count` tensors more, all of them in `shard`."""
    more = {f"crowd.{number}.weight": shard for number in range(count)}
    edit_json(directory / INDEX_FILE, lambda index: index["weight_map"].update(more))


def _place(directory: Path, file_of: Callable[[str], str]) -> None:
    """Gives every entry of the weight map a file by the one that it has."""

    def change(index: dict[str, dict[str, str]]) -> None:
        placed = index["weight_map"]
        placed.update({tensor: file_of(file) for tensor, file in placed.items()})

    edit_json(directory / INDEX_FILE, change)


def repeat_in_index(directory: Path, tensor: str, file: str, where: str) -> None:
    """The index names a tensor once more, with another file: ``first`` or ``last`` in the weight map."""
    _insert(directory, f'"{tensor}":"{file}"', where)


def _insert(directory: Path, member: str, where: str) -> None:
    """Writes a member into the weight map as text, so that a name that is there already stands there twice.

    Raises:
        KeyError: There is no such place.
    """
    path = directory / INDEX_FILE
    index = json.loads(path.read_text(encoding="utf-8"))
    placed = json.dumps(index.pop("weight_map"), indent=1)[1:-1].rstrip()
    both = {"first": f"{{{member},{placed}}}", "last": f"{{{placed},{member}}}"}[where]
    path.write_text(f'{json.dumps(index)[:-1]},"weight_map":{both}}}', encoding="utf-8")


def repeat_weight_map(directory: Path, tensor: str, file: str, where: str) -> None:
    """The index has two weight maps, of which the other one places one tensor elsewhere: ``first`` or ``last``.

    Raises:
        KeyError: There is no such place.
    """
    path = directory / INDEX_FILE
    index = json.loads(path.read_text(encoding="utf-8"))
    mine = index["weight_map"]
    maps = [json.dumps(each) for each in (mine, {**mine, tensor: file})]
    order = {"first": maps[::-1], "last": maps}[where]
    path.write_text(f'{{"weight_map":{order[0]},"weight_map":{order[1]}}}', encoding="utf-8")


#: The ways of this module, by name.
INDEX_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        way.__name__: Way(way)
        for way in (
            encode_index,
            wrap_index,
            replace_in_index,
            nest_index,
            respell_index,
            point_index,
            spell_twice,
            repeat_in_index,
            repeat_weight_map,
            crowd_index,
        )
    },
)
