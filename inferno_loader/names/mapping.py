"""From names of one dialect to names of another. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.errors import NameCollisionError, TensorNameError
from inferno_loader.names.grammar import defect, lexicon, parse
from inferno_loader.names.suggestion import suggest
from inferno_loader.names.tables import DIALECTS, LAYER, LAYER_PREFIXES, SUFFIXES, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferno_loader.names.tables import Dialect, Row

_PREFIX = LAYER_PREFIXES["huggingface"]
_OPENING = len(_PREFIX) + 3  # an index of up to three digits
_ROWS = TABLES["inferno"]


def _openings() -> dict[str, tuple[str, int]]:
    """For the first 16 characters of a layer's name: its prefix in ``inferno``, and where the index ends.

    Behind an index of one digit stand a dot and the first letter of the module.
    """
    letters = {row.huggingface.removeprefix(f"{_PREFIX}{LAYER}.")[0] for row in _ROWS if LAYER in row.name}
    return {
        f"{_PREFIX}{layer}.{letter}"[:_OPENING]: (f"layers.{layer}", len(f"{_PREFIX}{layer}"))
        for layer in range(1000)
        for letter in letters
    }


def _spellings(row: Row) -> dict[str, str]:
    """The tensors of `row` by their Hugging Face name, without what `_openings` covers, for every known suffix."""
    here = row.huggingface.removeprefix(f"{_PREFIX}{LAYER}")
    there = row.name.removeprefix(f"layers.{LAYER}")
    return {here: there} if row.whole else {f"{here}.{suffix}": f"{there}.{suffix}" for suffix in SUFFIXES}


_OPENINGS = _openings()
_IN_LAYER = {here: there for row in _ROWS if LAYER in row.name for here, there in _spellings(row).items()}
_OUTSIDE = {here: there for row in _ROWS if LAYER not in row.name for here, there in _spellings(row).items()}


def map_weight_name(name: str) -> str:
    """The Inferno name of a Hugging Face tensor.

    ``model.`` is dropped, ``self_attn`` is ``attention``, ``mlp`` is ``feed_forward``; norms, ``embed_tokens``,
    ``lm_head`` and every suffix stay. An Inferno name stays as it is. A name outside the table passes with ``model.``
    dropped; `translate` refuses it instead.

    Args:
        name: For example ``model.layers.0.self_attn.q_proj.weight``.

    Returns:
        For example ``layers.0.attention.q_proj.weight``.

    Raises:
        TensorNameError: `name` is empty, has an empty part, stops before it is complete (``model.layers.0``), or its
            layer index is not in ASCII digits as a writer prints them (``x``, ``-1``, ``1_0``, ``07``).
    """
    try:
        head, end = _OPENINGS[name[:_OPENING]]
        return head + _IN_LAYER[name[end:]]
    except KeyError:
        return _OUTSIDE.get(name) or _map_rare_name(name)


def _map_rare_name(name: str) -> str:
    """`map_weight_name` for what its tables do not hold: rare suffixes, high layers, other names, bad ones."""
    found = lookup(name, "huggingface", "inferno")
    if found is not None:
        return found
    bare = name.removeprefix("model.")
    problem = defect(name, "huggingface") or defect(bare, "inferno", tensor=name)
    if problem is not None:
        raise problem
    return bare


def lookup(name: str, source: str, target: str) -> str | None:
    """`translate` for many names: None, where that raises an error, without the cost of a suggestion.

    Raises:
        TensorNameError: There is no such dialect.
    """
    rows = lexicon(target).by_huggingface
    parsed = parse(name, source)
    return None if parsed is None else parsed.named(rows[parsed.row.huggingface])


def translate(name: str, source: str, target: str) -> str:
    """The name in dialect `target` of the tensor that dialect `source` calls `name`. Only names of the table have one.

    Rows of q and k may stand in another order in `target`: see `layout_change`.

    Args:
        name: For example ``blk.0.attn_q.weight``.
        source: ``huggingface``, ``inferno``, ``meta`` or ``gguf``.
        target: One of the same.

    Returns:
        For example ``model.layers.0.self_attn.q_proj.weight``.

    Raises:
        TensorNameError: `name` is malformed, or in no row of the table of `source` (the remedy names the nearest one),
            or there is no such dialect.
    """
    found = lookup(name, source, target)
    if found is None:
        raise defect(name, source) or _outside(name, source)
    return found


def _outside(name: str, source: str) -> TensorNameError:
    """The error for a well-formed name that the table of `source` does not have."""
    reason = lexicon(source).unpaired.get(name)
    if reason is not None:
        return TensorNameError("no other dialect has a name for this tensor", tensor=name, remedy=reason)
    near = suggest(name, source)
    return TensorNameError(
        "a tensor name is in no row of the table",
        tensor=name,
        expected=f"a name of the {source} dialect",
        remedy="rename the tensor, or leave it out" if near is None else f"did you mean {near!r}?",
    )


def check_bijective(names: Iterable[str], source: str, target: str) -> dict[str, str]:
    """The map of all `names` of a checkpoint from `source` to `target`, proved to keep them apart.

    From ``huggingface`` to ``inferno`` the names go by `map_weight_name`: one outside the table passes there, and may
    land on the name of another tensor. Between any other two dialects they go by `translate`.

    Raises:
        NameCollisionError: Two names map to one, or a name occurs twice.
        TensorNameError: A name has no translation.
    """
    lenient = (source, target) == ("huggingface", "inferno")
    mapped: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in names:
        new = map_weight_name(name) if lenient else translate(name, source, target)
        if new in owners:
            raise NameCollisionError(
                f"two tensors, {owners[new]!r} and {name!r}, map to one name",
                tensor=name,
                expected="a name of its own for each tensor",
                actual=new,
                remedy="remove or rename one of the two",
            )
        owners[new] = name
        mapped[name] = new
    return mapped


def detect_dialect(names: Iterable[str]) -> Dialect:
    """The dialect whose table matches the most of `names`.

    Some names are in two tables (``norm.weight`` in ``inferno`` and ``meta``). A tie goes to the first of
    ``huggingface``, ``inferno``, ``meta``, ``gguf``.

    Raises:
        TensorNameError: No table matches any of them.
    """
    stored = list(names)
    scores: dict[Dialect, int] = {}
    for dialect in DIALECTS:
        unpaired = lexicon(dialect).unpaired
        scores[dialect] = sum(parse(name, dialect) is not None or name in unpaired for name in stored)
        if scores[dialect] == len(stored):
            break  # none can match more, and a tie goes to the first
    if not any(scores.values()):
        raise TensorNameError(
            "the tensor names are of no known dialect",
            expected=", ".join(DIALECTS),
            actual=", ".join(stored[:3]) or "no names",
            remedy="this loader reads Llama checkpoints: check that the directory holds one",
        )
    return max(scores, key=lambda dialect: scores[dialect])
