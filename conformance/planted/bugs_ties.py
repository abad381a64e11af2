"""Planted loaders: one bug each in what embedding and head have to do with each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_types import TORCH, Entry
from conformance.planted.right_willing import RightWilling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan


class TiedAlways(Right):
    """The head is the embedding, whatever the flag says, and whatever is stored.

    NeMo replaced a trained head on resuming. E07, https://github.com/NVIDIA-NeMo/Automodel/pull/2511
    """

    name = "tied-always"
    clause = "weights.untied"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Ties."""
        found = super().weights(plan, dtype)
        return {**found, HEAD: found[EMBEDDING]}


class EmbeddingFromHead(Right):
    """An embedding that is nowhere is made of the head, though nothing ties the two.

    transformers took the head for another embedding. E05, https://github.com/huggingface/transformers/issues/48154
    """

    name = "embedding-from-head"
    clause = "weights.untied"
    level = Level.WEIGHTS

    def shared(self, config: Config, located: Mapping[str, Entry]) -> dict[str, str]:
        """Knows one direction too many."""
        if EMBEDDING not in located and HEAD in located:
            return {EMBEDDING: HEAD}
        return super().shared(config, located)


class HeadOfZeros(Right):
    """A head that is stored nowhere is zeros: every token is as likely as any other.

    The head of a model was left as it was made. E01, https://github.com/vllm-project/vllm/pull/53020
    """

    name = "head-of-zeros"
    clause = "weights.made-up-head"
    level = Level.WEIGHTS

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:
        """Leaves it empty."""
        return torch.zeros(shape, dtype=TORCH[config.dtype]) if name == HEAD else super().missing(name, shape, config)


class TruthOfWords(RightWilling):
    """The flag is whatever is not empty: the word false ties, and the stored head is left out.

    Which of several flags counts was decided by what was there. E02,
    https://github.com/huggingface/transformers/pull/43429
    """

    name = "truth-of-words"
    clause = "weights.tie-flag"
    level = Level.WEIGHTS

    def plan(self, directory: Path) -> Plan:
        """Looks whether there is something."""
        plan = super().plan(directory)
        said = self.read_config(directory / "config.json").get("tie_word_embeddings")
        return replace(plan, shared={HEAD: EMBEDDING}) if said else plan


class TiedByDefault(Right):
    """Where the flag is not there, the head is tied, as in the class that all families have in common.

    transformers' base class of configurations had that default. E02,
    https://github.com/huggingface/transformers/pull/43429
    """

    name = "tied-by-default"
    clause = "weights.tie-flag"
    level = Level.WEIGHTS

    def plan(self, directory: Path) -> Plan:
        """Has another default."""
        plan = super().plan(directory)
        said = self.read_config(directory / "config.json").get("tie_word_embeddings")
        return replace(plan, shared={HEAD: EMBEDDING}) if said is None else plan


class SecondHeadDropped(Right):
    """A head of another dtype than the embedding to which it is tied is dropped, for it cannot be the same one.

    Redundant heads were dropped without a look at them. E11, https://github.com/ml-explore/mlx-lm/pull/1143
    """

    name = "second-head-dropped"
    clause = "weights.two-heads"
    level = Level.WEIGHTS

    def shared(self, config: Config, located: Mapping[str, Entry]) -> dict[str, str]:
        """Looks at the dtypes."""
        if config.tied and {EMBEDDING, HEAD} <= located.keys() and located[HEAD].dtype != located[EMBEDDING].dtype:
            return {HEAD: EMBEDDING}
        return super().shared(config, located)
