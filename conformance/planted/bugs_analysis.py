"""Planted loaders: one bug each in what is said of a checkpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_types import BITS, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_parameters import Plan, Source


class ScalesCounted(Right):
    """Scales and zero points count as parameters: a sum over all tensors of the files.

    llmfit took stored elements for parameters. H06, https://github.com/AlexsJones/llmfit/issues/1045
    """

    name = "scales-counted"
    clause = "analysis.facts"
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
    clause = "analysis.facts"
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
    clause = "analysis.facts"
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
    clause = "analysis.facts"
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
    clause = "analysis.facts"
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
    clause = "analysis.facts"
    level = Level.ANALYSIS

    def is_tied(self, plan: Plan, once: list[str]) -> bool:  # noqa: ARG002 - the bug
        """Believes the configuration."""
        return plan.config.tied


class ShortFilesDescribed(Right):
    """Headers are summed up, and nobody looks whether the file goes as far as they say.

    An unfinished download was told to be a complete model. I11, https://github.com/exo-explore/exo/pull/1956
    """

    name = "short-files-described"
    clause = "analysis.sound"
    level = Level.ANALYSIS

    def truncated(self, path: Path, count: int) -> None:
        """Lets it pass."""
