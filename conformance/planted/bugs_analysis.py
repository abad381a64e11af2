"""Planted loaders: one bug each in what is said of a checkpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import BITS, Entry, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conformance.planted.right_parameters import Plan, Source


class ScalesCounted(Right):
    """Scales and zero points count as parameters: a sum over all tensors of the files.

    llmfit took stored elements for parameters. H06, https://github.com/AlexsJones/llmfit/issues/1045
    """

    name = "scales-counted"
    clause = "analysis.parameters"
    level = Level.ANALYSIS

    def logical(self, source: Source) -> int:
        """Counts what is stored."""
        return sum(math.prod(entry.shape) for entry in self.parts(source))


class TiedHeadTwice(Right):
    """A stored copy of the tied embedding counts a second time.

    Tied parameters were counted once for each name, and needed the memory twice. E10, E14,
    https://github.com/huggingface/accelerate/pull/1204
    """

    name = "tied-head-twice"
    clause = "analysis.tied"
    level = Level.ANALYSIS

    def counted_once(self, plan: Plan) -> list[str]:
        """Counts every name."""
        return list(plan.sources)


class TwoBytesEach(Right):
    """Bytes are elements times the size of the model's dtype, and not the spans of the offsets.

    oMLX multiplied counts so, and models eight times too large vanished from its search. H05,
    https://github.com/jundot/omlx/issues/3489
    """

    name = "two-bytes-each"
    clause = "analysis.bytes"
    level = Level.ANALYSIS

    def stored_bytes(self, entry: Entry) -> int:
        """Takes every element for one of 16 bits."""
        return math.prod(entry.shape) * BITS["BF16"] // 8


class DenseAsStored(Right):
    """The memory of a dense load is taken to be that of the codes: half of what it needs.

    Estimators applied the discount of quantization to what is loaded. H06, H07,
    https://github.com/ome-projects/ome/issues/638
    """

    name = "dense-as-stored"
    clause = "analysis.dense"
    level = Level.ANALYSIS

    def dense_bytes(self, source: Source, plan: Plan) -> int:  # noqa: ARG002 - the bug
        """Takes the stored bytes."""
        return source.entry.nbytes


class EveryTensorOfTheFiles(Right):
    """Buffers and scales of activations count as tensors of the model, for they are in the files.

    The hub's count for Llama 2 holds 2048 values of ``inv_freq``; estimators that look at files alone differ from those
    that look at the model. H11, https://github.com/jranaraki/vllm-fit/issues/27
    """

    name = "every-tensor-of-the-files"
    clause = "analysis.used"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Counts what the files hold."""
        return {**super().describe(directory), "tensors": len(self.located(directory))}


class TiedByFlag(Right):
    """A model is called tied where the configuration says so, whatever head is stored.

    Estimators that work from the configuration alone have a tied head for an untied one. H11, E03,
    https://github.com/jranaraki/vllm-fit/issues/27
    """

    name = "tied-by-flag"
    clause = "analysis.tied"
    level = Level.ANALYSIS

    def is_tied(self, plan: Plan, once: list[str]) -> bool:  # noqa: ARG002 - the bug
        """Believes the configuration."""
        return plan.config.tied


class FilesOfTheSet(Right):
    """Shards are the files that the index names, whether a load reads anything of them or not.

    Counts of files and of the hub are of what lies there. H05, https://github.com/huggingface/hub-docs/issues/2704
    """

    name = "files-of-the-set"
    clause = "analysis.used"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Counts every file."""
        return {**super().describe(directory), "shards": len(self.chosen(directory).files)}


class OneDtype(Right):
    """The dtype of the most bytes is told to be that of all of them.

    One dtype was taken for that of a whole model. D18, https://github.com/huggingface/transformers/issues/36567
    """

    name = "one-dtype"
    clause = "analysis.bytes"
    level = Level.ANALYSIS

    def bytes_by_dtype(self, used: Iterable[Entry]) -> dict[str, int]:
        """Adds all bytes to those of the largest share."""
        sizes = super().bytes_by_dtype(used)
        return {max(sizes, key=sizes.__getitem__): sum(sizes.values())}


class SchemeOfTheTop(Right):
    """How the weights are quantized is looked for at the top of the configuration, and nowhere else.

    Kimi-K2.5 was told to have 170 billion parameters for 1060: it says so under ``text_config``. H08,
    https://github.com/huggingface/huggingface.js/pull/2003
    """

    name = "scheme-of-the-top"
    clause = "analysis.scheme"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Calls dense whatever is not declared there."""
        facts = dict(super().describe(directory))
        top = read_json(directory / "config.json", Reason.CONFIG_MISSING, Reason.CONFIG_INVALID)
        return facts if "quantization_config" in top else facts | {"scheme": "none"}


class SumOfTheFiles(Right):
    """Bytes are the sizes of the files: headers, their padding and the length words among them.

    Sizes that a listing shows were taken for those of the tensors. H05, https://github.com/jundot/omlx/issues/3489
    """

    name = "sum-of-the-files"
    clause = "analysis.layout"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Adds up what the files take."""
        chosen = self.chosen(directory)
        return {
            **super().describe(directory),
            "bytes": sum((chosen.root / file).stat().st_size for file in chosen.files),
        }


class TotalOfTheIndex(Right):
    """Bytes are what the index says of them, where it says something.

    The total_size of an index is the writer's, and often that of another split. L11,
    https://github.com/Blaizzy/mlx-vlm/pull/1827
    """

    name = "total-of-the-index"
    clause = "analysis.layout"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Believes the index."""
        facts = dict(super().describe(directory))
        path = directory / "model.safetensors.index.json"
        said = self.index_object(path).get("metadata", {}) if path.is_file() else {}
        return facts | {"bytes": said.get("total_size", facts["bytes"])}


class TrillionsInThirtyTwoBits(Right):
    """Bytes are counted in 32 bits: of more than 4 GiB the rest of a division is told.

    Counters of 32 bits wrapped in several readers. A13, https://github.com/ml-explore/mlx/issues/3409
    """

    name = "trillions-in-thirty-two-bits"
    clause = "analysis.facts"
    level = Level.ANALYSIS

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Lets the count wrap."""
        facts = dict(super().describe(directory))
        return facts | {"bytes": facts["bytes"] % (1 << 32)}


class ScalesInTheDenseLoad(Right):
    """A dense load is taken to hold the scales beside the weights that were made with them.

    Estimators added what is stored to what is loaded. H06, https://github.com/AlexsJones/llmfit/issues/1045
    """

    name = "scales-in-the-dense-load"
    clause = "analysis.dense"
    level = Level.ANALYSIS

    def dense_bytes(self, source: Source, plan: Plan) -> int:
        """Adds the scale."""
        return super().dense_bytes(source, plan) + sum(entry.nbytes for entry in self.parts(source)[1:])


class ShortFilesDescribed(Right):
    """Headers are summed up, and nobody looks whether the file goes as far as they say.

    An unfinished download was told to be a complete model. I11, https://github.com/exo-explore/exo/pull/1956
    """

    name = "short-files-described"
    clause = "analysis.sound"
    level = Level.ANALYSIS

    def truncated(self, path: Path, count: int) -> None:
        """Lets it pass."""
