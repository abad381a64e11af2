"""Strategies for the arguments of a way of editing, from its signature: a new way is searched without a word here.

A parameter is drawn for by the words for this way, else by its name, else by its type. One whose type nothing is known
of is an error, which a test of every way shows.
"""

from __future__ import annotations

import inspect
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from conformance.search.bases import DTYPES, names, shapes
from conformance.search.entries import added_entries, edited_entries
from conformance.search.places import INDEX
from conformance.search.texts import blanks, file_names, json_values, placed_safely, words
from conformance.tools.steps import WAYS, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypothesis.strategies import DrawFn, SearchStrategy

    from conformance.search.places import Place
    from conformance.tools.container import Spec

_DEEP = (1, 100, 125, 126, 127, 128, 200, 1200)
_FACTS = ("hidden_size", "num_attention_heads", "num_key_value_heads", "tie_word_embeddings", "vocab_size")


class UndrawableError(Exception):
    """A way has a parameter of a type that the search knows no values of."""


def _file_of(place: Place, so_far: Mapping[str, Any]) -> str:
    chosen = str(so_far.get("file"))
    return chosen if chosen in place.files else next(iter(place.files))


def _files(place: Place, _: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.sampled_from(sorted(place.files))


def _any_file(place: Place, _: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.sampled_from(sorted([*place.files, *place.others]))


def _tensors(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    """A tensor: of the file that is edited, where one is."""
    held = [spec.name for spec in place.files[so_far["file"]]] if so_far.get("file") in place.files else place.tensors
    return st.sampled_from(sorted(held)) if held else st.just("")


def _some_name(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.one_of(_tensors(place, so_far), names())


def _counts(*numbers: int) -> Callable[..., SearchStrategy[Any]]:
    return lambda *_: st.one_of(st.integers(0, 12), st.sampled_from(numbers or (1,)))


def _header_words(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    """A text that the header of the file holds: an entry, a name, the metadata, its braces."""
    file = _file_of(place, so_far)
    found = [*place.entries(file).values(), '"format":"pt"', '"__metadata__"', place.headers[file]]
    return st.sampled_from(found)


def _instead(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    """What stands instead of a text of the header: an entry with one thing changed, or another text."""
    entries = place.entries(_file_of(place, so_far)).values()
    return edited_entries(so_far["old"]) if so_far["old"] in entries else words()


def _own_entry(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.just(place.entries(_file_of(place, so_far)).get(so_far["tensor"], '"":{"dtype":"F32"}'))


def _body_of(entry: str) -> SearchStrategy[Any]:
    """The value of an entry with one thing changed."""
    return edited_entries(entry).map(lambda text: text[text.index(":") + 1 :]) if "shape" in entry else words()


def _entries(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    return added_entries(sum(spec.nbytes for spec in place.files[_file_of(place, so_far)]))


def _headers(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    whole = place.headers[_file_of(place, so_far)]
    return st.one_of(words(), st.sampled_from((whole + "{}", whole + ",", "[" + whole + "]", "{}", whole[:-1])))


def _lengths(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Lengths of the header of a file: at its own, and at the limits of 64 bits."""
    own = len(place.headers[_file_of(place, so_far)].encode())
    return st.one_of(st.integers(own, own + 40), st.sampled_from((0, 1, 2, 7, 8, 10**8, 10**8 + 1, 2**63, 2**64 - 1)))


def _digits(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    specs = {spec.name: spec for spec in place.files[_file_of(place, so_far)]}
    count = specs[tensor].nbytes if (tensor := so_far.get("tensor")) in specs else 4
    return st.binary(min_size=count, max_size=count).map(bytes.hex)


def _shapes(_: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    return shapes(so_far.get("dtype", "F32"))


def _same_size(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Other shapes with as many elements as a tensor has."""
    found = [spec for specs in place.files.values() for spec in specs if spec.name == so_far["name"]]
    shape, elements = (found[0].shape, found[0].elements) if found else ((), 1)
    return st.sampled_from((shape[::-1], (elements,), (1, *shape), (*shape, 1), (elements, 1)))


def _of_the_first(place: Place, _: Mapping[str, Any]) -> SearchStrategy[Any]:
    """A tensor of the first file."""
    return st.sampled_from(sorted(map(_named, next(iter(place.files.values())))) or [""])


def _named(spec: Spec) -> str:
    return spec.name


def _keys(place: Place, _: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.sampled_from((*_FACTS, *place.keys))


def _just(*values: Any) -> Callable[..., SearchStrategy[Any]]:
    return lambda *_: st.sampled_from(values)


def _strict(*_: Any) -> SearchStrategy[Any]:
    return json_values(strict=True)


def _pairs(place: Place, so_far: Mapping[str, Any]) -> SearchStrategy[Any]:
    return st.tuples(_some_name(place, so_far), _some_name(place, so_far))


_BY_WAY: Mapping[tuple[str, str], Any] = MappingProxyType(
    {
        ("length_word", "value"): _lengths,
        ("pad_header_to", "length"): lambda place, so_far: _lengths(place, so_far).filter(lambda size: size < 10**6),
        ("set_header", "text"): _headers,
        ("append", "text"): lambda *_: st.text(st.characters(max_codepoint=255), max_size=9),
        ("replace_text", "old"): _header_words,
        ("replace_text", "new"): _instead,
        ("break_letter", "word"): _header_words,
        ("spell_entry", "text"): lambda place, so_far: _own_entry(place, so_far).flatmap(_body_of),
        ("add_member", "member"): lambda *_: json_values().map('"note":{}'.format),
        ("spoil_scale", "value"): _just("nan", "inf", "-inf", "0.0", "-1.0"),
        ("spoil_scale", "name"): lambda place, _: st.sampled_from(
            sorted(name for name in place.tensors if "scale" in name) or ["weight_scale"]
        ),
        ("nest", "depth"): _just(*_DEEP),
        ("deepen_config", "depth"): _just(*_DEEP),
        ("cut", "count"): _counts(100, 10**6),
        ("keep", "count"): _counts(100, 10**6),
        ("set_index_key", "key"): _just("weight_map", "metadata"),
        ("name_again", "count"): lambda *_: st.integers(1, 12),
        ("resize", "change"): lambda *_: st.integers(-12, 100),
        ("number_shards", "pattern"): _just("model-{n:05d}-of-{of:05d}.safetensors", "model-{n}.safetensors"),
        ("rename_shards", "files"): lambda *_: st.sampled_from(("a.safetensors", "b.safetensors", "c.safetensors")),
        ("config_text", "old"): _just(*(f'"{key}": ' for key in _FACTS)),
        ("config_text", "new"): lambda _, so_far: json_values().map(lambda value: f'{so_far["old"]}{value}, "x": '),
        ("rename_shard", "old"): _files,
        ("rename_shard", "new"): lambda *_: file_names(),
        ("split_sparse", "count"): lambda *_: st.integers(1, 3),
        ("copies_everywhere", "home"): lambda place, _: st.just(next(iter(place.files))),
        ("copies_everywhere", "tensor"): _of_the_first,
        ("same_copy", "tensor"): _of_the_first,
        ("same_copy", "source"): lambda place, _: st.just(next(iter(place.files))),
        ("same_copy", "target"): _files,
        ("exchange_copies", "first"): lambda place, _: st.sampled_from(
            [_named(each[0]) for each in place.files.values()]
        ),
        ("exchange_copies", "second"): lambda place, _: st.sampled_from(
            [_named(each[0]) for each in place.files.values()]
        ),
        ("reshape_tensor", "name"): _tensors,
        ("reshape_tensor", "shape"): _same_size,
        ("rewrite", "rule"): _just("dtype-name-padded", "name-unpadded", "given"),
        ("nest_config", "outer"): _just("{}", '{"model_type":"llama"}', '{"hidden_size":1}'),
        ("nest_at", "place"): lambda place, so_far: st.one_of(st.just("__metadata__"), _tensors(place, so_far)),
        ("delete_file", "file"): _any_file,
        ("write_text", "file"): _any_file,
        ("rename_file", "old"): _any_file,
        ("rename_file", "new"): lambda *_: file_names(),
        ("shards_beside", "count"): lambda *_: st.integers(1, 4),
    }
)
_BY_NAME: Mapping[str, Any] = MappingProxyType(
    {
        "file": _files, "shard": _files, "tensor": _tensors, "unwanted": _tensors, "old": _some_name, "new": _some_name,
        "name": _some_name, "other": _some_name, "one": _tensors, "source": _tensors, "parts": _tensors,
        "dtype": _just("F32", "BF16", *DTYPES), "shape": _shapes, "seed": _counts(), "count": _counts(100),
        "field": _just("dtype", "shape", "data_offsets", "note"), "value": _strict, "first": _strict, "second": _strict,
        "entry": _entries, "digits": _digits, "before": lambda *_: blanks(), "after": lambda *_: blanks(),
        "key": _keys, "keys": _keys, "spelling": _just("parent", "inner", "absolute"), "index": _just(INDEX),
        "total": _counts(), "encoding": _just("utf-16", "utf-8-sig", "latin-1", "utf-32"),
        "size": _counts(100, 10**6), "path": _just("", "inner"), "depth": _just(*_DEEP), "kept": _keys,
    },
)  # fmt: skip
_BY_TYPE: Mapping[str, Any] = MappingProxyType(
    {
        "str": lambda place, so_far: st.one_of(_some_name(place, so_far), _any_file(place, so_far), words()).filter(
            placed_safely
        ),
        "int": _counts(100),
        "bool": lambda *_: st.booleans(),
        "float": lambda *_: st.sampled_from((0.0, 1.0, -1.0, 0.5, 8.0)),
        "tuple[int, ...]": _shapes,
        "tuple[str, ...]": lambda place, so_far: st.lists(_some_name(place, so_far), max_size=3).map(tuple),
        "tuple[str, str]": _pairs,
    },
)


def _spoken_of(way: str) -> Callable[..., SearchStrategy[Any]] | None:
    """The words that a way sets as code in its docstring: where a text is one of a few, they stand there."""
    found = sorted(set(re.findall(r"``([\w-]+)``", inspect.getdoc(WAYS[way].apply) or "")))
    return _just(*found) if found else None


def drawer_of(way: str, parameter: inspect.Parameter) -> Any:
    """What draws an argument of a way.

    Raises:
        UndrawableError: Nothing is known of its type.
    """
    kind = str(parameter.annotation)
    found = _BY_WAY.get((way, parameter.name)) or _BY_NAME.get(parameter.name)
    found = found or (_spoken_of(way) if kind == "str" else None) or _BY_TYPE.get(kind.removesuffix(" | None"))
    if found is None:
        raise UndrawableError(f"{way}: no values are known for {parameter.name}: {kind}; say them in {__name__}")
    if not kind.endswith(" | None"):
        return found
    return lambda place, so_far: st.one_of(st.none(), found(place, so_far))


def parameters_of(way: str) -> list[inspect.Parameter]:
    """The parameters of a way, without the directory."""
    return list(inspect.signature(WAYS[way].apply).parameters.values())[1:]


@st.composite
def edits(draw: DrawFn, way: str, place: Place) -> Step:
    """A step by a way, with arguments that suit what a base holds; not all of them can be applied."""
    so_far: dict[str, Any] = {}
    arguments: list[Any] = []
    for parameter in parameters_of(way):
        strategy = drawer_of(way, parameter)(place, so_far)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            arguments += draw(st.lists(strategy, min_size=1, max_size=2, unique=True))
        else:
            so_far[parameter.name] = draw(strategy)
            arguments.append(so_far[parameter.name])
    return Step(way, tuple(arguments))
