"""Planted loaders: one bug each in which stored name is which parameter."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_names import HEAD
from conformance.planted.right_parameters import Plan
from conformance.planted.right_ways import RightLenient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_types import Entry

_LAYER = re.compile(r"model\.layers\.([^.]*)\.")


class GammaRenamed(Right):
    """Wherever gamma or beta stands in a name, it becomes weight or bias.

    transformers did that to every name, and lost parameters of such names. C01,
    https://github.com/huggingface/transformers/issues/29554
    """

    name = "gamma-renamed"
    clause = "weights.whole-names"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Renames."""
        return {name.replace("gamma", "weight").replace("beta", "bias"): entry for name, entry in stored.items()}


class EndsMatched(Right):
    """A name that ends like that of a parameter is taken for it, and the last one that does wins.

    A rule for names was applied to parts of them. C24, https://github.com/huggingface/transformers/pull/48075
    """

    name = "ends-matched"
    clause = "weights.whole-names"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Cuts what stands before model."""
        return {(name[name.rfind("model.") :] if "model." in name else name): entry for name, entry in stored.items()}


class BlanksStripped(Right):
    """White space around a name is cut, and case is lost: two names become one.

    A converter renamed what had its names already. C24, https://github.com/huggingface/transformers/pull/48075
    """

    name = "blanks-stripped"
    clause = "weights.whole-names"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Cleans."""
        return {name.strip().lower(): entry for name, entry in stored.items()}


class LayersInOrderOfText(Right):
    """Layers are paired with those of the model in the order of their names: from ten on, with the wrong ones.

    A conversion that went by the order of names lost forty tensors. B17,
    https://github.com/ggml-org/llama.cpp/issues/6490
    """

    name = "layers-in-order-of-text"
    clause = "weights.layer-order"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Counts the layers as they come."""
        numbers = sorted({match[1] for name in stored if (match := _LAYER.match(name))})
        places = {number: str(place) for place, number in enumerate(numbers)}
        return {
            _LAYER.sub(lambda match: f"model.layers.{places[match[1]]}.", name): entry for name, entry in stored.items()
        }


class LooseLayerNumbers(Right):
    """The number of a layer is whatever the language takes for a number: signs, blanks, digits of every script.

    Two spellings of one layer are two tensors of one name, and one of them is lost. C24,
    https://github.com/huggingface/transformers/pull/48075
    """

    name = "loose-layer-numbers"
    clause = "weights.layer-numbers"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Converts."""
        return {_LAYER.sub(_plain, name): entry for name, entry in stored.items()}


def _plain(layer: re.Match[str]) -> str:
    try:
        return f"model.layers.{int(layer[1])}."
    except ValueError:
        return layer[0]


class UnmatchedAsFresh(Right):
    """Where not one name is that of the model, it is taken for a new one, and starts from zeros.

    Empty loads passed in silence. L01, https://github.com/facebookresearch/sam3/issues/606
    """

    name = "unmatched-as-fresh"
    clause = "weights.no-match"
    level = Level.WEIGHTS

    def plan(self, directory: Path) -> Plan:
        """Looks whether anything matches."""
        config = self.config(directory)
        wanted = self.expected(config)
        if wanted.keys() & self.located(directory).keys():
            return super().plan(directory)
        return Plan(config, {}, {}, {name: torch.zeros(shape) for name, shape in wanted.items()})


class BodyUnwrapped(RightLenient):
    """A prefix is cut from the names of the body, and not from that of the head, for which the embedding serves.

    Prefixes that were not those of the model left hundreds of weights out. C17,
    https://github.com/huggingface/transformers/issues/48722
    """

    name = "body-unwrapped"
    clause = "weights.prefixes"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Cuts what stands before model, and drops a head behind a prefix."""
        names = {name: name[name.index("model.") :] if "model." in name else name for name in stored}
        return {new: stored[name] for name, new in names.items() if not new.endswith(f".{HEAD}")}


class FusedInThirds(Right):
    """A fused projection is cut in three equal parts: q, k and v, as if all had as many heads.

    Engines chunk one layout of a fused projection like the other. C12,
    https://github.com/vllm-project/vllm/issues/42803
    """

    name = "fused-in-thirds"
    clause = "weights.fused"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Cuts."""
        found = {name: entry for name, entry in stored.items() if "qkv_proj" not in name}
        for name, entry in stored.items():
            if "qkv_proj" in name:
                found.update(zip((name.replace("qkv", part) for part in "qkv"), _thirds(entry), strict=True))
        return found


def _thirds(entry: Entry) -> list[Entry]:
    rows, size = entry.shape[0] // 3, entry.nbytes // 3
    return [
        replace(entry, shape=(rows, *entry.shape[1:]), start=0, end=size, at=entry.at + part * size)
        for part in range(3)
    ]


class AdaptersDropped(Right):
    """The factors of an adapter are dropped, and the model is the one without it.

    mlx-lm ignored tensors of adapters. C11, https://github.com/ml-explore/mlx-lm/pull/1727
    """

    name = "adapters-dropped"
    clause = "weights.adapters"
    level = Level.WEIGHTS

    def unexpected(self, names: list[str]) -> None:
        """Says nothing of them."""
        if rest := [name for name in names if "lora_" not in name]:
            super().unexpected(rest)


class FirstExpertTaken(Right):
    """The first expert of a layer is taken for its feed-forward block, and the others are dropped.

    A sanitiser removed experts under their names before it looked whether all were there. C15,
    https://github.com/magicnight/Mac-MLX/pull/78
    """

    name = "first-expert-taken"
    clause = "weights.experts"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Takes it."""
        return {name.replace(".experts.0.", "."): entry for name, entry in stored.items()}


class UndeclaredBiasesDropped(Right):
    """A bias of which the configuration says nothing is dropped.

    mlc-llm dropped 420 of them. G09, https://github.com/mlc-ai/mlc-llm/pull/3494
    """

    name = "undeclared-biases-dropped"
    clause = "weights.undeclared-biases"
    level = Level.WEIGHTS

    def unexpected(self, names: list[str]) -> None:
        """Says nothing of them."""
        if rest := [name for name in names if not name.endswith("_proj.bias")]:
            super().unexpected(rest)
