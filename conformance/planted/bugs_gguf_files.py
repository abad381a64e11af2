"""Planted loaders: one bug each in how files of GGUF are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_gguf import RightGguf
from conformance.planted.right_gguf_blocks import BLOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_gguf_file import Stored, Tape


class GgufAlignmentOf32(RightGguf):
    """general.alignment is not looked at: 32 is taken.

    A reader aligned the data of safetensors where nothing is to be aligned. A07,
    https://github.com/ggml-org/llama.cpp/pull/18291
    """

    name = "gguf-alignment-of-32"
    clause = "gguf.alignment"
    level = Level.WEIGHTS

    def data_start(self, place: int, alignment: int) -> int:  # noqa: ARG002 - the bug
        """By the default."""
        return self.aligned(place, 32)


class GgufDataBehindHeader(RightGguf):
    """The data is taken to begin where the header ends, without padding.

    The same confusion the other way round: A07, https://github.com/ggml-org/llama.cpp/pull/18291
    """

    name = "gguf-data-behind-header"
    clause = "gguf.alignment"
    level = Level.WEIGHTS

    def data_start(self, place: int, alignment: int) -> int:  # noqa: ARG002 - the bug
        """At once."""
        return place


class GgufPlacesUnchecked(RightGguf):
    """A tensor may lie on another one: two parameters share their bytes.

    A09, of safetensors: https://github.com/safetensors/safetensors/pull/586
    """

    name = "gguf-places-unchecked"
    clause = "gguf.offsets"
    level = Level.WEIGHTS

    def check_places(self, entries: list[Stored], start: int, alignment: int, size: int) -> None:  # noqa: ARG002 - the bug
        """Holds the end of each tensor against that of the file."""
        self.check_end(max(start + each.start + each.nbytes for each in entries), size)


class GgufZerosBehindTheEnd(RightGguf):
    """Where a file ends within a tensor, the rest of it is zeros.

    A04, of safetensors: https://github.com/ml-explore/mlx/issues/3409
    """

    name = "gguf-zeros-behind-the-end"
    clause = "gguf.offsets"
    level = Level.WEIGHTS

    def check_end(self, least: int, size: int) -> None:
        """Looks at nothing."""


class GgufLastOfTwo(RightGguf):
    """Of two tensors of one name the last one counts.

    A26, of safetensors: https://github.com/safetensors/safetensors/issues/401
    """

    name = "gguf-last-of-two"
    clause = "gguf.names"
    level = Level.WEIGHTS

    def check_names(self, names: list[str]) -> None:
        """Looks at nothing."""


class GgufLastValueOfTwo(RightGguf):
    """Of two values of one key the last one counts.

    A27, of the metadata of safetensors: https://github.com/safetensors/safetensors
    """

    name = "gguf-last-value-of-two"
    clause = "gguf.names"
    level = Level.WEIGHTS

    def check_key(self, key: str, tape: Tape) -> None:
        """Looks at nothing."""


class GgufSizesIn32Bits(RightGguf):
    """The product of sizes is kept in 32 bits: a tensor of four billion elements more is taken for a small one.

    J04, https://github.com/ml-explore/mlx/issues/4244
    """

    name = "gguf-sizes-in-32-bits"
    clause = "gguf.counts"
    level = Level.WEIGHTS

    def entry_of(self, tape: Tape, alignment: int, path: Path) -> Stored:
        """Drops the high bits of the rows."""
        found = super().entry_of(tape, alignment, path)
        if len(found.shape) < 2 or found.shape[0] * found.shape[1] < 1 << 32:  # noqa: PLR2004 - rows and columns
            return found
        rows = found.shape[0] * found.shape[1] % (1 << 32) // found.shape[1]
        nbytes = found.nbytes // found.shape[0] * rows
        return replace(found, shape=(rows, found.shape[1]), nbytes=nbytes)


class GgufOneTypeForAll(RightGguf):
    """The type of blocks is taken from general.file_type, where blocks are as long.

    F29, https://github.com/danveloper/flash-moe/pull/13
    """

    name = "gguf-one-type-for-all"
    clause = "gguf.types"
    level = Level.WEIGHTS

    def typed(self, each: Stored, pairs: Mapping[str, Any]) -> Stored:
        """By the type of the file, as many blocks as there are."""
        kind = int(pairs.get("general.file_type", -1))
        found, told = BLOCKS.get(each.kind), BLOCKS.get(kind)
        if not found or not told or told.elements != found.elements:
            return each
        return replace(each, kind=kind, nbytes=each.nbytes // found.nbytes * told.nbytes)


class GgufStrangeTypeAsBlocks(RightGguf):
    """A type that is not known is taken for Q4_0.

    Nearest among the real ones is a name of a type that was looked up in silence. A35,
    https://github.com/huggingface/transformers/pull/36828
    """

    name = "gguf-strange-type-as-blocks"
    clause = "gguf.types"
    level = Level.WEIGHTS

    def entry_of(self, tape: Tape, alignment: int, path: Path) -> Stored:
        """Guesses."""
        place = tape.place
        length = int.from_bytes(tape.data[place : place + 8], "little")
        axes = int.from_bytes(tape.data[place + 8 + length : place + 12 + length], "little")
        at = place + 12 + length + 8 * axes
        if int.from_bytes(tape.data[at : at + 4], "little") not in (*BLOCKS, 0, 1, 30):
            tape.data = tape.data[:at] + (2).to_bytes(4, "little") + tape.data[at + 4 :]
        return super().entry_of(tape, alignment, path)


class GgufAnyVersion(RightGguf):
    """The version is not looked at.

    Nearest among the real ones is a reader that did not know a newer file for what it was. L10,
    https://github.com/ml-explore/mlx-examples/issues/341
    """

    name = "gguf-any-version"
    clause = "gguf.version"
    level = Level.WEIGHTS

    def check_version(self, tape: Tape) -> None:
        """Passes over it."""
        tape.take(8)


class GgufHeadNeeded(RightGguf):
    """A model without output.weight is refused: a tied head is not known.

    E13, https://github.com/ggml-org/llama.cpp/issues/11345
    """

    name = "gguf-head-needed"
    clause = "gguf.metadata"
    level = Level.WEIGHTS

    def wanted(self, figures: Mapping[str, int], stored: Mapping[str, Stored]) -> dict[str, tuple[int, ...]]:
        """Wants a head."""
        found = super().wanted(figures, stored)
        return {**found, "lm_head.weight": found["model.embed_tokens.weight"]}


class GgufEveryArchitecture(RightGguf):
    """Any architecture is taken for that of Llama, whose rows are in pairs.

    C09, https://github.com/huggingface/candle/pull/3411
    """

    name = "gguf-every-architecture"
    clause = "gguf.metadata"
    level = Level.WEIGHTS

    def figures(self, pairs: Mapping[str, Any], stored: Mapping[str, Stored]) -> dict[str, int]:
        """Says that it is."""
        return super().figures({**pairs, "general.architecture": "llama"}, stored)


class GgufPartsUncounted(RightGguf):
    """What a file says of its parts is not looked at.

    B01, of the shards of an index: https://github.com/sgl-project/sglang/pull/32279
    """

    name = "gguf-parts-uncounted"
    clause = "gguf.parts"
    level = Level.WEIGHTS

    def check_parts(self, parts: list[dict[str, Any]], tensors: int) -> None:
        """Looks at nothing."""


class GgufRowsOfElements(RightGguf):
    """A tensor with blocks is handed out as stored in one row of bytes.

    Nearest among the real ones are the shapes of packed codes, which readers have to convert. D14,
    https://github.com/foundation-model-stack/fastsafetensors/pull/79
    """

    name = "gguf-rows-of-elements"
    clause = "gguf.stored"
    level = Level.CHECKPOINT

    def as_stored(self, each: Stored) -> torch.Tensor:
        """Without its rows."""
        return super().as_stored(each).reshape(-1) if each.kind in BLOCKS else super().as_stored(each)


class GgufBytesForParameters(RightGguf):
    """Parameters are counted by the bytes of the blocks.

    Packed elements were counted for parameters. H06, https://github.com/AlexsJones/llmfit/issues/1045
    """

    name = "gguf-bytes-for-parameters"
    clause = "gguf.facts"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Counts bytes."""
        found = super().describe(directory)
        return {**found, "parameters": found["bytes"]} if self.is_gguf(directory) else found


class GgufMixedSets(RightGguf):
    """Where GGUF and safetensors lie side by side, the vectors of one and the matrices of the other are loaded.

    Two sets in one directory were loaded both. B04, https://github.com/vllm-project/vllm/issues/40765
    """

    name = "gguf-mixed-sets"
    clause = "gguf.sets"
    level = Level.WEIGHTS

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Any]:
        """The norms of one, all else of the other."""
        if not {".gguf", ".safetensors"} <= {path.suffix for path in directory.iterdir()}:
            return super().load_weights(directory, dtype)
        beside = Right().load_weights(directory, dtype)
        found = self.load_gguf(directory, dtype)
        return {name: beside.get(name, tensor) if "norm" in name else tensor for name, tensor in found.items()}


class GgufPlainInBrainFloats(RightGguf):
    """What is not quantized is handed out as BF16, as the blocks are.

    Nearest among the real ones are single parameters that lost their own dtype. D04,
    https://github.com/NVIDIA-NeMo/Automodel/pull/2419
    """

    name = "gguf-plain-in-brain-floats"
    clause = "gguf.plain"
    level = Level.WEIGHTS

    def owed(self, each: Stored) -> torch.dtype:  # noqa: ARG002 - the bug
        """Always BF16."""
        return torch.bfloat16
