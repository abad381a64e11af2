"""Planted loaders: one bug each in the text of a header: its letters, its grammar, its fields and numbers."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_container import METADATA
from conformance.planted.right_types import Object

if TYPE_CHECKING:
    from pathlib import Path


class NormalizedNames(Right):
    """Names are brought into a normal form, so that two of them become one, or come back as nobody wrote them.

    File systems do so, and loaders that keep a file for each tensor; then two entries are one, as in A01.
    https://www.rfc-editor.org/rfc/rfc8259#section-8.3
    """

    name = "normalized-names"
    clause = "container.names"
    level = Level.CONTAINER

    def json_object(self, pairs: list[tuple[str, Any]]) -> Object:
        """Composes the letters of each name."""
        return super().json_object([(unicodedata.normalize("NFC", name), value) for name, value in pairs])


class NamesUpToNul(Right):
    """A name ends at its first NUL, as a string of C.

    The reference takes NUL in a name (``tensor.rs``), and readers in C hand out the part before it. A32,
    https://www.rfc-editor.org/rfc/rfc8259#section-7
    """

    name = "names-up-to-nul"
    clause = "container.names"
    level = Level.CONTAINER

    def json_object(self, pairs: list[tuple[str, Any]]) -> Object:
        """Cuts each name."""
        return super().json_object([(name.partition("\0")[0], value) for name, value in pairs])


class HalfPairsReplaced(Right):
    """Half of a surrogate pair in a name becomes a question mark, and the tensor comes back under another name.

    What Python does on the way to UTF-8 with ``errors="replace"``. A30,
    https://www.rfc-editor.org/rfc/rfc8259#section-8.2
    """

    name = "half-pairs-replaced"
    clause = "container.names"
    level = Level.CONTAINER

    def json_object(self, pairs: list[tuple[str, Any]]) -> Object:
        """Replaces what UTF-8 does not have."""
        return super().json_object([(name.encode(errors="replace").decode(), value) for name, value in pairs])


class LooseGrammar(Right):
    """A comma behind the last member passes, as in the files of editors that the parser was written for.

    A30, https://www.rfc-editor.org/rfc/rfc8259#section-4
    """

    name = "loose-grammar"
    clause = "container.header-json"
    level = Level.CONTAINER

    def parse(self, text: str, path: Path) -> Object:
        """Drops commas before a closing bracket."""
        return super().parse(re.sub(r",(\s*[\]}])", r"\1", text), path)


class LiteralNan(Right):
    """NaN and Infinity pass for numbers: what ``json.loads`` does unless it is told otherwise.

    A12, https://docs.python.org/3/library/json.html#infinite-and-nan-number-values
    """

    name = "literal-nan"
    clause = "container.header-json"
    level = Level.CONTAINER

    def no_constant(self, word: str) -> float:
        """Takes the word for a number."""
        return float(word)


class FirstObjectCounts(Right):
    """The first object of the header is read, and what follows it is not looked at.

    What a parser for streams does; a second object may tell a scanner another story. A32,
    https://github.com/safetensors/safetensors (``tensor.rs``, ``test_invalid_header_not_json``)
    """

    name = "first-object-counts"
    clause = "container.padding"
    level = Level.CONTAINER

    def header_text(self, header: bytes, path: Path) -> str:
        """Cuts the text where its first object ends."""
        text = super().header_text(header, path)
        start = text.index("{")
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            return text
        return text[:end]


class GuessedEncoding(Right):
    """A header that is no UTF-8 is taken for Latin-1, which has a letter for each byte.

    A30, https://github.com/safetensors/safetensors (``tensor.rs``, ``test_invalid_header_non_utf8``)
    """

    name = "guessed-encoding"
    clause = "container.utf8"
    level = Level.CONTAINER

    def header_text(self, header: bytes, path: Path) -> str:
        """Tries UTF-8 first."""
        try:
            header.decode()
        except UnicodeDecodeError:
            return header.decode("latin-1")
        return super().header_text(header, path)


class LastFieldWins(Right):
    """Of a field that stands twice in an entry the last one counts.

    A01, https://github.com/safetensors/safetensors (README, "Duplicate keys are disallowed")
    """

    name = "last-field-wins"
    clause = "container.unique-fields"
    level = Level.CONTAINER

    def entry(self, name: str, fields: Any, path: Path) -> Any:
        """Forgets that a field stood there twice."""
        return super().entry(name, Object(list(fields.items())) if isinstance(fields, Object) else fields, path)


class ListAsEntry(Right):
    """A list passes for an entry, its items for dtype, shape and offsets in this order.

    safetensors 0.8.0 does so: serde reads a structure from a list as well. A12,
    https://github.com/safetensors/safetensors (``tensor.rs``, ``TensorInfo``)
    """

    name = "list-as-entry"
    clause = "container.header-entry"
    level = Level.CONTAINER

    def entry(self, name: str, fields: Any, path: Path) -> Any:
        """Gives the items of a list their names."""
        if isinstance(fields, list):
            fields = Object(list(zip(("dtype", "shape", "data_offsets"), fields, strict=False)))
        return super().entry(name, fields, path)


class VariantAsDtype(Right):
    """``{"F32": null}`` passes for the dtype F32.

    safetensors 0.8.0 does so: serde reads the variant of an enumeration from an object of one member. A12,
    https://github.com/safetensors/safetensors (``tensor.rs``, ``Dtype``)
    """

    name = "variant-as-dtype"
    clause = "container.header-entry"
    level = Level.CONTAINER

    def dtype(self, word: Any, name: str, path: Path) -> str:
        """Takes the only key of an object."""
        return super().dtype(next(iter(word)) if isinstance(word, dict) and len(word) == 1 else word, name, path)


class TrimmedDtypes(Right):
    """White space and NUL around a dtype are cut off before it is looked up.

    A35, https://github.com/huggingface/transformers/pull/36828
    """

    name = "trimmed-dtypes"
    clause = "container.known-dtypes"
    level = Level.CONTAINER

    def dtype(self, word: Any, name: str, path: Path) -> str:
        """Trims the word."""
        return super().dtype(word.strip(" \0") if isinstance(word, str) else word, name, path)


class NumbersThroughFloats(Right):
    """Every number of the header goes through a float of 64 bits: beyond 2^53 sizes change.

    What ``JSON.parse`` does in JavaScript. A12, https://www.rfc-editor.org/rfc/rfc8259#section-6
    """

    name = "numbers-through-floats"
    clause = "container.integers"
    level = Level.CONTAINER

    def whole_number(self, value: Any, name: str, path: Path) -> int:
        """Rounds to 53 bits."""
        return int(float(super().whole_number(value, name, path)))


class MetadataFirst(Right):
    """The metadata are known by their place: the first member of the header, where the reference writes them.

    A14, https://github.com/foundation-model-stack/fastsafetensors/pull/89
    """

    name = "metadata-first"
    clause = "container.metadata"
    level = Level.CONTAINER

    def without_metadata(self, root: Object, path: Path) -> dict[str, Any]:
        """Looks at the first member alone."""
        return super().without_metadata(root, path) if next(iter(root), None) == METADATA else dict(root)


class FormatRequired(Right):
    """Metadata without a format, or with one that is not known, are refused.

    transformers did so, for files of other exporters. A15, https://github.com/hiyouga/LlamaFactory/issues/6803
    """

    name = "format-required"
    clause = "container.metadata"
    level = Level.CONTAINER

    def check_metadata(self, metadata: Any, path: Path) -> None:
        """Wants the name of a framework."""
        super().check_metadata(metadata, path)
        if metadata and metadata.get("format") not in ("pt", "np", "tf", "flax", "mlx"):
            raise ValueError(f"{path}: the format is {metadata.get('format')}")


class EndlessDescent(Right):
    """The parser descends into a header as deep as it goes, until the stack is at its end.

    A crafted header ended a parser so. J10, https://github.com/huggingface/huggingface.js/pull/254
    """

    name = "endless-descent"
    clause = "container.depth"
    level = Level.CONTAINER

    def parse(self, text: str, path: Path) -> Object:
        """Lifts the limit of recursion."""
        sys.setrecursionlimit(2**31 - 1)
        return super().parse(text, path)
