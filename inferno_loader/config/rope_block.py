"""One rope block out of the places where configurations write it. No torch.

Up to transformers 4 the base is a key of its own, ``rope_theta``, and the rest is in ``rope_scaling``, whose type is
``type`` (2023) or ``rope_type`` (since 2024). From version 5 on all of it is in ``rope_parameters``, in some models by
kind of attention. Files exist with several of these at once; they must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.config.reader import Reader, shown

if TYPE_CHECKING:
    from inferno_loader.errors import ConfigValueError

_PLACES = ("rope_parameters", "rope_scaling")

# Keys that some models keep outside the block.
_OUTSIDE = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")

# Keys that a block may hold without naming its type.
_TYPELESS = frozenset({"rope_type", *_OUTSIDE})

_ALIASES = {"su": "longrope", "none": "default"}


class _Found(NamedTuple):
    value: object
    name: str


def rope_block(reader: Reader) -> Reader:
    """All that the configuration says about the rope, under the keys of transformers 5, ``rope_type`` always there.

    Raises:
        ConfigValueError: A place holds no object, two places contradict each other, or a block names no type.
    """
    inside: dict[str, _Found] = {}
    for place in _PLACES:
        inside = _merged(reader, inside, _canonical(reader, place))
    if "rope_type" not in inside:
        _reject_typeless(reader, inside)
    found = _merged(reader, inside, _outside(reader, inside))
    values = {"rope_type": "default", **{key: item.value for key, item in found.items()}}
    return Reader(
        values,
        path=reader.path,
        prefix=_prefix(found),
        names={"rope_theta": reader.name("rope_theta"), **{key: item.name for key, item in found.items()}},
        findings=reader.findings,
    )


def _outside(reader: Reader, inside: Mapping[str, _Found]) -> dict[str, _Found]:
    found = {key: _Found(value, reader.name(key)) for key in _OUTSIDE if (value := reader.get(key)) is not None}
    if "rope_type" not in inside or inside["rope_type"].value == "default":
        # Phi-3 and its kin write the length also where nothing is scaled.
        found.pop("original_max_position_embeddings", None)
    return found


def _canonical(reader: Reader, place: str) -> dict[str, _Found]:
    block = reader.block(place) or {}
    prefix = reader.name(place)
    if any(isinstance(value, Mapping) for value in block.values()):
        block, prefix = _full_attention(reader, place, block), f"{prefix}.full_attention"
    found = {key: _Found(value, f"{prefix}.{key}") for key, value in block.items() if value is not None}
    types = [found.pop(key) for key in ("rope_type", "type") if key in found]
    if types:
        found["rope_type"] = _one_type(reader, types)
    return found


def _full_attention(reader: Reader, place: str, block: Mapping[str, object]) -> Mapping[str, object]:
    chosen = block.get("full_attention")
    if not isinstance(chosen, Mapping):
        raise reader.error(place, "has no full_attention", expected="one block, or one under full_attention")
    ignored = [key for key, value in block.items() if value not in (None, chosen)]
    if ignored:
        reader.warn("config.ignored", f"{reader.name(place)} differs for {', '.join(ignored)}: full_attention is taken")
    return chosen


def _one_type(reader: Reader, types: list[_Found]) -> _Found:
    known = [
        _Found(_ALIASES.get(item.value, item.value) if isinstance(item.value, str) else item.value, item.name)
        for item in types
    ]
    if len(known) > 1:
        _agree(reader, known[0], known[1])
        reader.note("config.spelled_twice", f"{known[0].name} and {known[1].name} are both there, and agree")
    return known[0]


def _merged(reader: Reader, first: Mapping[str, _Found], second: Mapping[str, _Found]) -> dict[str, _Found]:
    for key in first:
        if key in second:
            _agree(reader, first[key], second[key])
    return {**second, **first}


def _agree(reader: Reader, first: _Found, second: _Found) -> None:
    same = first.value == second.value and isinstance(first.value, bool) == isinstance(second.value, bool)
    if not same:
        raise _contradiction(reader, first, second)


def _contradiction(reader: Reader, first: _Found, second: _Found) -> ConfigValueError:
    named = Reader({}, path=reader.path, names={"second": second.name})
    return named.error(
        "second",
        f"contradicts {first.name}",
        expected=f"{shown(first.value)}, as {first.name} has it, or only one of the two",
        actual=shown(second.value),
    )


def _reject_typeless(reader: Reader, inside: Mapping[str, _Found]) -> None:
    strange = [item.name for key, item in inside.items() if key not in _TYPELESS]
    if strange:
        place = inside[next(key for key in inside if key not in _TYPELESS)].name.rpartition(".")[0]
        named = Reader({}, path=reader.path, names={"type": f"{place}.rope_type"})
        raise named.error("type", f"is missing, and {', '.join(strange[:5])} need it", expected="the type of the rope")


def _prefix(found: Mapping[str, _Found]) -> str:
    name = found["rope_type"].name if "rope_type" in found else "rope_parameters.rope_type"
    return f"{name.rpartition('.')[0]}."
