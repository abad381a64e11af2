"""Which rule of the tables fired for a name, and what it did. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.names.grammar import defect, lexicon, parse
from inferno_loader.names.layout import change_between, has_rows
from inferno_loader.names.mapping import map_weight_name
from inferno_loader.names.suggestion import suggest

if TYPE_CHECKING:
    from inferno_loader.names.grammar import ParsedName
    from inferno_loader.names.tables import Heads


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one name was mapped.

    Attributes:
        name: The name asked about.
        result: Its name in the target dialect; None where it has none.
        rule: The row that fired, as ``model.layers.{layer}.self_attn.q_proj -> layers.{layer}.attention.q_proj``, or a
            sentence where none did.
        layer: The layer index; None outside the layers, or where no row fired.
        suffix: What follows the module; empty for a whole tensor, or where no row fired.
        layout: ``rotary-interleaved->rotary-half`` or the other way round where the order of the rows changes; empty
            where it does not.
        heads: The heads within which the rows move, ``q`` or ``kv``; empty where they do not.
        suggestion: Where no row fired, the name that was probably meant.
    """

    name: str
    result: str | None
    rule: str
    layer: int | None = None
    suffix: str = ""
    layout: str = ""
    heads: Heads = ""
    suggestion: str | None = None


def explain(name: str, source: str = "huggingface", target: str = "inferno") -> Explanation:
    """Which rule maps `name` from `source` to `target`, and to what.

    From ``huggingface`` to ``inferno`` the result is that of `map_weight_name`, between other dialects that of
    `translate`; for a name outside the table, where that would raise an error, it is None.

    Raises:
        TensorNameError: `name` is empty, cut off or has a bad layer index, or there is no such dialect.
    """
    rows = lexicon(target).by_huggingface
    parsed = parse(name, source)
    if parsed is None:
        return _without_row(name, source, target)
    here, there = parsed.row, rows[parsed.row.huggingface]
    change = change_between(here, there)
    moves = has_rows(parsed.suffix)
    return Explanation(
        name,
        parsed.named(there),
        f"{here.name} -> {there.name}",
        layer=_index(parsed),
        suffix=parsed.suffix,
        layout=change.word if moves else "",
        heads=change.heads if moves else "",
    )


def _without_row(name: str, source: str, target: str) -> Explanation:
    lenient = (source, target) == ("huggingface", "inferno")
    if lenient and (parsed := parse(name, "inferno")):
        return Explanation(name, name, "an inferno name stays as it is", layer=_index(parsed), suffix=parsed.suffix)
    result = map_weight_name(name) if lenient else None
    if (problem := defect(name, source)) is not None:
        raise problem
    rule = lexicon(source).unpaired.get(name) or f"in no row of the {source} table"
    if result is not None:
        rule += ": it passes, with `model.` dropped" if result != name else ": it passes"
    return Explanation(name, result, rule, suggestion=suggest(name, source))


def _index(parsed: ParsedName) -> int | None:
    return None if parsed.layer is None else int(parsed.layer)
