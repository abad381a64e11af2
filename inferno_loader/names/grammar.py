"""How a tensor name is read: module, layer index and suffix, by the table of a dialect. No torch.

The grammar is strict: the parts of a name are not empty, and the index of a layer is written in the ASCII digits 0 to 9
as a writer prints it, without sign, underscore or leading zero, and below 10^9. ``layers.07`` would be a second name of
layer 7, and Python's `int` takes more than digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.errors import TensorNameError
from inferno_loader.names.tables import DIALECTS, LAYER, LAYER_PREFIXES, TABLES, UNPAIRED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.names.tables import Dialect, Row

_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ParsedName:
    """A tensor name that a row of a table matches.

    Attributes:
        row: That row.
        layer: The layer index as written, or None outside the layers.
        suffix: What follows the module; empty for a whole tensor.
    """

    row: Row
    layer: str | None
    suffix: str

    def named(self, row: Row) -> str:
        """The same tensor as `row` spells it: the row of this module in another table."""
        name = row.name if self.layer is None else row.name.replace(LAYER, self.layer)
        return f"{name}.{self.suffix}" if self.suffix else name


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The table of one dialect, ready to be searched.

    Attributes:
        prefix: What stands before a layer index.
        modules: The rows of modules, by their name in the dialect.
        whole: The rows of whole tensors, by their name in the dialect.
        by_huggingface: All rows, by their name in the ``huggingface`` dialect.
        unpaired: Tensors of this dialect alone, and what stands for them elsewhere.
        stems: Every beginning of a name in the table that is no name yet: a tensor called so was cut off.
        depth: Parts of the longest name of a module.
    """

    prefix: str
    modules: Mapping[str, Row]
    whole: Mapping[str, Row]
    by_huggingface: Mapping[str, Row]
    unpaired: Mapping[str, str]
    stems: frozenset[str]
    depth: int


def _beginnings(name: str) -> list[str]:
    """``a``, ``a.b`` for ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _lexicon(dialect: Dialect) -> Lexicon:
    rows = TABLES[dialect]
    modules = {row.name: row for row in rows if not row.whole}
    stems = {stem for row in rows for stem in _beginnings(row.name)} | set(modules)
    whole = {row.name: row for row in rows if row.whole}
    return Lexicon(
        prefix=LAYER_PREFIXES[dialect],
        modules=MappingProxyType(modules),
        whole=MappingProxyType(whole),
        by_huggingface=MappingProxyType({row.huggingface: row for row in rows}),
        unpaired=UNPAIRED[dialect],
        stems=frozenset(stems),
        depth=max(name.count(".") + 1 for name in modules),
    )


_LEXICONS: Mapping[str, Lexicon] = MappingProxyType({dialect: _lexicon(dialect) for dialect in DIALECTS})


def lexicon(dialect: str) -> Lexicon:
    """The lexicon of `dialect`.

    Raises:
        TensorNameError: There is no such dialect.
    """
    found = _LEXICONS.get(dialect)
    if found is None:
        raise TensorNameError(
            "there is no such dialect of tensor names",
            expected=", ".join(DIALECTS),
            actual=dialect,
            remedy="name one of the dialects listed",
        )
    return found


def is_layer_index(text: str) -> bool:
    """Whether `text` is a layer index as a writer prints it: ASCII digits, no leading zero, at most nine of them."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and (text == "0" or text[0] != "0")


def split_layer(name: str, prefix: str) -> tuple[str | None, str]:
    """The layer index in `name`, and the name with ``{layer}`` in its place; None and the name where it has none."""
    if not name.startswith(prefix):
        return None, name
    layer, dot, tail = name.removeprefix(prefix).partition(".")
    return layer, f"{prefix}{LAYER}{dot}{tail}"


def has_empty_part(name: str) -> bool:
    """Whether `name` begins or ends with a dot, or has two in a row."""
    return name.startswith(".") or name.endswith(".") or ".." in name


def parse(name: str, dialect: str) -> ParsedName | None:
    """What `name` says in `dialect`, or None where it is malformed or in no row of the table.

    Raises:
        TensorNameError: There is no such dialect.
    """
    words = lexicon(dialect)
    layer, pattern = split_layer(name, words.prefix)
    if layer is not None and not is_layer_index(layer):
        return None
    row = words.whole.get(pattern)
    if row is not None:
        return ParsedName(row, layer, "")
    parts = pattern.split(".", words.depth)
    for count in range(len(parts) - 1, 0, -1):
        row = words.modules.get(".".join(parts[:count]))
        if row is not None:
            suffix = ".".join(parts[count:])
            return None if not suffix or has_empty_part(suffix) else ParsedName(row, layer, suffix)
    return None


def defect(name: str, dialect: str, *, tensor: str | None = None) -> TensorNameError | None:
    """The error that says why `name` can be no tensor name at all, or None where it is well formed.

    Well formed is every name without empty parts, with a true layer index where `dialect` has one, and that does not
    stop before the name of its tensor is complete.

    Args:
        name: What to judge.
        dialect: By whose table.
        tensor: The name as stored, for the error, where `name` is only a part of it.

    Raises:
        TensorNameError: There is no such dialect.
    """
    words, stored = lexicon(dialect), tensor or name
    if not name:
        return TensorNameError(
            "a tensor name is empty", remedy="give the whole name, as its writer should have stored it"
        )
    if has_empty_part(name):
        return TensorNameError(
            "a tensor name is cut off, or has an empty part",
            tensor=stored,
            expected="parts between dots, none of them empty",
            remedy="give the whole name, as its writer should have stored it",
        )
    layer, pattern = split_layer(name, words.prefix)
    if layer is not None and not is_layer_index(layer):
        return TensorNameError(
            "the layer index of a tensor name is not in plain digits",
            tensor=stored,
            expected=f"{words.prefix}N, N in ASCII digits without a leading zero, at most {_MOST_DIGITS} of them",
            actual=layer,
            remedy="give the whole name, as its writer should have stored it",
        )
    if pattern in words.stems:
        return TensorNameError(
            "a tensor name is cut off",
            tensor=stored,
            expected=f"more after {pattern!r}, for example '.weight'",
            remedy="give the whole name, as its writer should have stored it",
        )
    return None
