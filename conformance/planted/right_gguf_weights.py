"""The right loader of GGUF: its tensors, as weights, as they are stored, and as facts.

Written from the text of the format and the scalar code of ggml. It is small and slow: a block is taken apart as the
source spells it out. Every step is a method, so that a planted loader gets one wrong. Sources:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ``ggml/src/ggml-quants.c`` of
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_gguf_blocks import BLOCKS
from conformance.planted.right_gguf_file import PLAIN, GgufFile
from conformance.planted.right_names import halves
from conformance.planted.right_types import TORCH, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_gguf_file import Stored

ROPE_FREQS = "rope_freqs.weight"
_NUMBERED = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})\.gguf")
_MODULES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


class GgufWeights(GgufFile, Right):
    """Reads the tensors."""

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Any]:
        """Every parameter, dense."""
        if not self.is_gguf(directory):
            return super().load_weights(directory, dtype)
        return self.load_gguf(directory, dtype)

    def load_gguf(self, directory: Path, dtype: torch.dtype | None) -> Mapping[str, Any]:
        """Every parameter of the GGUF of a directory, whatever else lies there."""
        self.begin()
        pairs, stored = self.whole(directory)
        figures = self.figures(pairs, stored)
        wanted = self.wanted(figures, stored)
        names = {self.renamed(name): each for name, each in stored.items() if name != ROPE_FREQS}
        if strange := [name for name in names if name not in wanted]:
            refuse(Reason.UNEXPECTED_TENSOR, f"the model has no place for {', '.join(strange[:5])}")
        found = {}
        for name, shape in wanted.items():
            if name not in names:
                refuse(Reason.MISSING_TENSOR, f"{name} is nowhere")
            if names[name].shape != shape:
                refuse(Reason.SHAPE, f"{name} is {list(names[name].shape)}, expected {list(shape)}")
            found[name] = self.parameter_of(name, self.typed(names[name], pairs), figures, dtype)
        return found

    def read_checkpoint(self, directory: Path) -> Mapping[str, Any]:
        """Every tensor as stored: blocks as rows of bytes."""
        if not self.is_gguf(directory):
            return super().read_checkpoint(directory)
        self.begin()
        return {name: self.as_stored(each) for name, each in self.whole(directory)[1].items()}

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Every fact."""
        if not self.is_gguf(directory):
            return super().describe(directory)
        self.begin()
        pairs, stored = self.whole(directory)
        self.figures(pairs, stored)
        used = [each for name, each in stored.items() if name != ROPE_FREQS]
        dtypes: Counter[str] = Counter()
        for each in used:
            dtypes[self.word(each)] += each.nbytes
        elements = {each.name: math.prod(each.shape) for each in used}
        wide = {each.name: 2 if each.kind in BLOCKS else PLAIN[each.kind][1] for each in used}
        return {
            "parameters": sum(elements.values()),
            "tensors": len(used),
            "bytes": sum(dtypes.values()),
            "shards": len({each.path for each in used}),
            "scheme": "gguf" if any(each.kind in BLOCKS for each in used) else "none",
            "tied": "output.weight" not in stored,
            "dtypes": dict(dtypes),
            "dense_bytes": sum(elements[name] * wide[name] for name in elements),
        }

    def is_gguf(self, directory: Path) -> bool:
        """Whether it is for this part to read. Beside a file of safetensors nobody knows which is meant."""
        names = [path.name for path in directory.iterdir()]
        found = any(name.endswith(".gguf") for name in names)
        if found and any(name.endswith(".safetensors") for name in names):
            refuse(Reason.AMBIGUOUS_WEIGHTS, f"{directory} holds GGUF and safetensors")
        return found

    def whole(self, directory: Path) -> tuple[dict[str, Any], dict[str, Stored]]:
        """The metadata of the first part, and the tensors of all."""
        paths = sorted(directory.glob("*.gguf"))
        if len(paths) > 1 and not all(_NUMBERED.fullmatch(path.name) for path in paths):
            refuse(Reason.AMBIGUOUS_WEIGHTS, f"{directory} holds several files of GGUF")
        read = [self.read_gguf(path) for path in paths]
        self.check_parts([pairs for pairs, _ in read], sum(len(stored) for _, stored in read))
        stored = {each.name: each for _, part in read for each in part}
        return read[0][0], stored

    def check_parts(self, parts: list[dict[str, Any]], tensors: int) -> None:
        """As many parts as each says, in order, and as many tensors as the first says."""
        for place, pairs in enumerate(parts):
            if (pairs.get("split.count") or 1, pairs.get("split.no", 0)) != (len(parts), place):
                refuse(Reason.SHARD_GAP, f"part {place} of {len(parts)} says that it is another")
        if parts[0].get("split.tensors.count", tensors) != tensors:
            refuse(Reason.SHARD_GAP, f"{tensors} tensors, and more were promised")

    def figures(self, pairs: Mapping[str, Any], stored: Mapping[str, Stored]) -> dict[str, int]:
        """The figures of the model."""
        if pairs.get("general.architecture") != "llama" or pairs.get("llama.expert_count"):
            refuse(Reason.FAMILY, f"the architecture is {pairs.get('general.architecture')!r}, or has experts")
        figures = {
            "layers": self.count_of(pairs, "block_count"),
            "hidden": self.count_of(pairs, "embedding_length"),
            "inner": self.count_of(pairs, "feed_forward_length"),
            "heads": self.count_of(pairs, "attention.head_count"),
        }
        embedding = stored.get("token_embd.weight")
        rows = embedding.shape[0] if embedding and embedding.shape else None
        figures["vocabulary"] = self.count_of(pairs, "vocab_size", rows)
        figures["keys"] = self.count_of(pairs, "attention.head_count_kv", figures["heads"])
        figures["width"] = self.count_of(pairs, "attention.key_length", figures["hidden"] // figures["heads"])
        if self.count_of(pairs, "rope.dimension_count", figures["width"]) != figures["width"]:
            refuse(Reason.CONFIG_VALUE, "a part of a head is turned")
        return figures

    def count_of(self, pairs: Mapping[str, Any], key: str, default: int | None = None) -> int:
        """A figure."""
        value = pairs.get(f"llama.{key}", default)
        if type(value) is not int or value < 1:
            refuse(Reason.CONFIG_VALUE, f"llama.{key} is {value!r}")
        return value

    def wanted(self, figures: Mapping[str, int], stored: Mapping[str, Stored]) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter; biases and a head of its own where they are stored."""
        hidden, inner, wide = figures["hidden"], figures["inner"], figures["width"]
        queries, keys = figures["heads"] * wide, figures["keys"] * wide
        shapes: dict[str, tuple[int, ...]] = {
            "attn_q": (queries, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden),
            "attn_output": (hidden, queries), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
            "ffn_down": (hidden, inner), "attn_norm": (hidden,), "ffn_norm": (hidden,),
        }  # fmt: skip
        found = {"model.embed_tokens.weight": (figures["vocabulary"], hidden), "model.norm.weight": (hidden,)}
        for layer in range(figures["layers"]):
            for word, shape in shapes.items():
                name = f"model.layers.{layer}.{_MODULES[word]}"
                found[f"{name}.weight"] = shape
                found |= {f"{name}.bias": shape[:1]} if f"blk.{layer}.{word}.bias" in stored else {}
        return found | ({"lm_head.weight": found["model.embed_tokens.weight"]} if "output.weight" in stored else {})

    def renamed(self, name: str) -> str:
        """Hugging Face's name; a strange one stays."""
        module, _, leaf = name.rpartition(".")
        if module in _OUTSIDE:
            return f"{_OUTSIDE[module]}.{leaf}"
        blk, layer, word = (*module.split("."), "", "", "")[:3]
        return f"model.layers.{layer}.{_MODULES[word]}.{leaf}" if blk == "blk" and word in _MODULES else name

    def parameter_of(
        self, name: str, each: Stored, figures: Mapping[str, int], dtype: torch.dtype | None
    ) -> torch.Tensor:
        """One parameter, dense."""
        values = self.finite(self.numbers_of(each), each)
        if ".q_proj." in name or ".k_proj." in name:
            values = self.put_back(values, figures, of_keys=".k_proj." in name)
        return self.cast(values, dtype or self.owed(each))

    def finite(self, values: torch.Tensor, each: Stored) -> torch.Tensor:
        """The numbers of blocks, none of which is NaN or infinite unless a scale is."""
        if each.kind in BLOCKS and not bool(torch.isfinite(values).all()):
            refuse(Reason.SCALE_VALUE, f"{each.name} has a scale that is not finite")
        return values

    def owed(self, each: Stored) -> torch.dtype:
        """The dtype of which no other is asked: BF16 for blocks, for GGUF records none."""
        return torch.bfloat16 if each.kind in BLOCKS else TORCH[PLAIN[each.kind][0]]

    def put_back(self, rows: torch.Tensor, figures: Mapping[str, int], *, of_keys: bool) -> torch.Tensor:  # noqa: ARG002 - a worse one looks
        """Rows of q or k in the order of Hugging Face: heads are alike in width, so all are put back alike."""
        return halves(rows, figures["width"])

    def octets(self, each: Stored) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes of a tensor, in memory of their own, which is as large as they should be."""
        found = bytearray(each.nbytes)
        with each.path.open("rb") as file:
            file.seek(each.start)
            file.readinto(found)
        return np.frombuffer(found, np.uint8)

    def numbers_of(self, each: Stored) -> torch.Tensor:
        """The numbers of a tensor, blocks in float32."""
        octets = self.octets(each)
        if each.kind not in BLOCKS:
            return torch.from_numpy(octets).view(TORCH[PLAIN[each.kind][0]]).reshape(each.shape)
        blocks = octets.reshape(-1, BLOCKS[each.kind].nbytes)
        return torch.from_numpy(self.numbers_in(each.kind, blocks)).reshape(each.shape)

    def typed(self, each: Stored, pairs: Mapping[str, Any]) -> Stored:  # noqa: ARG002 - a worse one looks
        """A tensor with the type that its blocks are of: that of its entry, for what is said of the file is a hint."""
        return each

    def as_stored(self, each: Stored) -> torch.Tensor:
        """A tensor with blocks as rows of bytes."""
        flat = torch.from_numpy(self.octets(each))
        if each.kind not in BLOCKS:
            return flat.view(TORCH[PLAIN[each.kind][0]]).reshape(each.shape)
        return flat.reshape(*each.shape[:-1], -1)

    def word(self, each: Stored) -> str:
        """The name of a type."""
        return BLOCKS[each.kind].name if each.kind in BLOCKS else PLAIN[each.kind][0]
