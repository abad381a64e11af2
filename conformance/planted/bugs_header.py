"""Planted loaders: one bug each in reading the header of a file. Everything else is that of the right loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_container import METADATA
from conformance.planted.right_types import Object

if TYPE_CHECKING:
    from pathlib import Path


class FirstTwinWins(Right):
    """Of two entries of the same name the first one counts, and the second is dropped without a word.

    Readers whose parser keeps the first member of a name exist beside those that keep the last: one file is two models,
    and a scanner sees the other one. A01, https://github.com/QuintinShaw/openasr/pull/73
    """

    name = "first-twin-wins"
    clause = "container.unique-names"
    level = Level.CONTAINER

    def json_object(self, pairs: list[tuple[str, Any]]) -> Object:
        """Keeps the first of each name."""
        kept = dict(reversed(pairs))
        return Object([(name, kept[name]) for name in dict(pairs)])


class LastTwinWins(Right):
    """Of two entries of the same name the last one counts: what ``json.loads`` and most parsers do.

    safetensors 0.8.0 itself accepts such a file where both entries span the same bytes. A01,
    https://github.com/safetensors/safetensors (README, "Duplicate keys are disallowed"; ``tensor.rs``, ``validate``)
    """

    name = "last-twin-wins"
    clause = "container.unique-names"
    level = Level.CONTAINER

    def check_repeated(self, root: Object, path: Path) -> None:
        """Looks at nothing."""


class FloatsAsSizes(Right):
    """Sizes and offsets go through ``int()``, which takes 6.0 and "6" for 6.

    Readers on duck-typed JSON do that, and serde does not: two readers disagree on what the file is. A12,
    https://github.com/safetensors/safetensors (``docs/safetensors.schema.json``)
    """

    name = "floats-as-sizes"
    clause = "container.integers"
    level = Level.CONTAINER

    def whole_number(self, value: Any, name: str, path: Path) -> int:
        """Makes a number of whatever can be made one."""
        return super().whole_number(value if isinstance(value, bool) else int(value), name, path)


class BooleansAsSizes(Right):
    """``isinstance(value, int)`` lets true pass for 1: in Python a bool is an int.

    A12, https://github.com/safetensors/safetensors (``docs/safetensors.schema.json``)
    """

    name = "booleans-as-sizes"
    clause = "container.integers"
    level = Level.CONTAINER

    def whole_number(self, value: Any, name: str, path: Path) -> int:
        """Takes a bool for the number that it is in Python."""
        return super().whole_number(int(value) if isinstance(value, bool) else value, name, path)


class EmptyMetadataIsTensor(Right):
    """An empty ``__metadata__`` is taken for a tensor, for its truth was tested and not its presence.

    fastsafetensors died so on all 31 shards of a real model, with ``KeyError: 'data_offsets'``. A14,
    https://github.com/foundation-model-stack/fastsafetensors/pull/89
    """

    name = "empty-metadata-is-tensor"
    clause = "container.metadata"
    level = Level.CONTAINER

    def without_metadata(self, root: Object, path: Path) -> dict[str, Any]:
        """Removes the metadata if there is anything in them."""
        if root.get(METADATA):
            return super().without_metadata(root, path)
        return dict(root)


class MetadataRequired(Right):
    """A header without ``__metadata__`` ends in an ``AttributeError``.

    transformers called ``metadata.get`` on None, for the BF16 exports of DeepSeek and those of mlx. A15,
    https://github.com/huggingface/accelerate/pull/1151, https://github.com/ml-explore/mlx/issues/743
    """

    name = "metadata-required"
    clause = "container.metadata"
    level = Level.CONTAINER

    def without_metadata(self, root: Object, path: Path) -> dict[str, Any]:
        """Asks the metadata for their format, whether there are any or not."""
        metadata: Any = root.get(METADATA)
        if metadata.get("format") not in (None, "pt", "np", "tf", "flax", "mlx"):
            raise ValueError(f"{path}: the format is {metadata['format']}")
        return super().without_metadata(root, path)


class MetadataOfAnything(Right):
    """``__metadata__`` may hold numbers and objects, though the format says text to text.

    safetensors refuses such a file, without a hint at the cause; parsers that never look accept it. A28,
    https://github.com/safetensors/safetensors/issues/278
    """

    name = "metadata-of-anything"
    clause = "container.metadata"
    level = Level.CONTAINER

    def check_metadata(self, metadata: Any, path: Path) -> None:
        """Looks at nothing."""


class NulPadding(Right):
    """A header padded with NUL is read up to the first NUL, as a string of C.

    A32, https://github.com/safetensors/safetensors (README: the padding is 0x20)
    """

    name = "nul-padding"
    clause = "container.padding"
    level = Level.CONTAINER

    def header_text(self, header: bytes, path: Path) -> str:
        """Cuts the header at the first NUL."""
        return super().header_text(header.partition(b"\0")[0], path)


class ByteOrderMark(Right):
    """A byte order mark before the brace is dropped, as the codec ``utf-8-sig`` does.

    A30, https://github.com/safetensors/safetensors (``tensor.rs``, ``test_invalid_header_not_json``)
    """

    name = "byte-order-mark"
    clause = "container.utf8"
    level = Level.CONTAINER

    def header_text(self, header: bytes, path: Path) -> str:
        """Drops the mark."""
        return super().header_text(header.removeprefix(b"\xef\xbb\xbf"), path)


class ReplacedBytes(Right):
    """Bytes that are no UTF-8 become U+FFFD, so that tensors come back under names that nobody wrote.

    A30, https://github.com/safetensors/safetensors (``tensor.rs``, ``test_invalid_header_non_utf8``)
    """

    name = "replaced-bytes"
    clause = "container.utf8"
    level = Level.CONTAINER

    def header_text(self, header: bytes, path: Path) -> str:
        """Replaces what it cannot decode."""
        return super().header_text(header.decode("utf-8", errors="replace").encode(), path)


class AnyCaseOfDtypes(Right):
    """``f32`` passes for ``F32``: a table of dtypes is looked up in capitals.

    A35, https://github.com/huggingface/transformers/pull/36828
    """

    name = "any-case-of-dtypes"
    clause = "container.known-dtypes"
    level = Level.CONTAINER

    def dtype(self, word: Any, name: str, path: Path) -> str:
        """Looks the word up in capitals."""
        return super().dtype(word.upper() if isinstance(word, str) else word, name, path)


class UncheckedLength(Right):
    """As much is allocated for the header as the length word says, before it is held against the file.

    ollama could be ended by an upload of eight bytes; openasr, ds4 and fastllm had the same hole. J07, A18,
    https://github.com/ollama/ollama/issues/16190
    """

    name = "unchecked-length"
    clause = "limits.allocation"
    level = Level.CONTAINER

    def header_length(self, word: bytes, size: int, path: Path) -> int:  # noqa: ARG002 - the bug
        """Believes the file, and makes room."""
        length = int.from_bytes(word, "little")
        return len(bytearray(length))


class NoLimit(Right):
    """A header may be as long as the file: the limit of 100,000,000 bytes is not known.

    The limit guards parsers against headers of any size; readers that lack it read files that others refuse. A18, A38,
    https://github.com/safetensors/safetensors (``tensor.rs``, ``MAX_HEADER_SIZE``)
    """

    name = "no-limit"
    clause = "container.header-length"
    level = Level.CONTAINER

    def header_length(self, word: bytes, size: int, path: Path) -> int:
        """Holds the length against the file alone."""
        length = int.from_bytes(word, "little")
        return length if len(word) == 8 and length <= size - 8 else super().header_length(word, size, path)  # noqa: PLR2004
