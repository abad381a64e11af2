"""A right loader that takes what others refuse: names behind a wrapper, of GGUF or of old, loose figures and flags."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.planted.right import Right
from conformance.planted.right_names import EMBEDDING, HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_parameters import Plan
    from conformance.planted.right_types import Entry

#: What GGUF calls the modules that Meta calls otherwise. Its query and key rows have Meta's order. Source: gguf-py,
#: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
_GGUF: Mapping[str, str] = MappingProxyType(
    {
        "token_embd": "tok_embeddings",
        "output_norm": "norm",
        "attn_q": "attention.wq",
        "attn_k": "attention.wk",
        "attn_v": "attention.wv",
        "attn_output": "attention.wo",
        "attn_norm": "attention_norm",
        "ffn_gate": "feed_forward.w1",
        "ffn_down": "feed_forward.w2",
        "ffn_up": "feed_forward.w3",
    },
)
_BLOCK = re.compile(r"blk\.([0-9]+)\.(.+)\.weight")
_FAMILIES = ("gemma", "granite", "smollm3")


class RightWilling(Right):
    """Takes what it can make sense of, exactly, where Right refuses."""

    name = "right-willing"
    _planning = False

    def plan(self, directory: Path) -> Plan:
        """Looks at the names as it is willing to."""
        self._planning = True
        try:
            return super().plan(directory)
        finally:
            self._planning = False

    def located(self, directory: Path) -> dict[str, Entry]:
        """GGUF's names by Meta's; its divisors of the frequencies follow from the configuration."""
        found = super().located(directory)
        if not self._planning or "token_embd.weight" not in found:
            return found
        return {self._meta(name): entry for name, entry in found.items() if name != "rope_freqs.weight"}

    def _meta(self, name: str) -> str:
        if match := _BLOCK.fullmatch(name):
            return f"layers.{match[1]}.{_GGUF.get(match[2], match[2])}.weight"
        module, _, leaf = name.rpartition(".")
        return f"{_GGUF.get(module, module)}.{leaf}"

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Without the prefix that all names have, or with the one that all lack; old names of norms by the new ones."""
        embeddings = [name for name in stored if name.endswith("embed_tokens.weight")]
        if len(embeddings) == 1 and (head := self._wrapped(embeddings[0], stored)):
            stored = {(EMBEDDING if name == embeddings[0] else head(name)): entry for name, entry in stored.items()}
        if "model.norm.weight" not in stored and "model.norm.gamma" in stored:
            return {re.sub(r"norm\.gamma$", "norm.weight", name): entry for name, entry in stored.items()}
        return stored

    def _wrapped(self, embedding: str, stored: Mapping[str, Entry]) -> Any:
        prefix = embedding.removesuffix("embed_tokens.weight")
        outer = prefix.removesuffix("model.")
        if outer.endswith(".") and all(name.startswith(outer) for name in stored):
            return lambda name: name.removeprefix(outer)
        if not prefix and not any(name.startswith("model.") for name in stored):
            return lambda name: name if name == HEAD else f"model.{name}"
        return None

    def check_family(self, raw: Mapping[str, Any]) -> None:
        """Knows the names of some more families, and their parameters."""
        family = raw.get("model_type")
        known = family in _FAMILIES or (isinstance(family, str) and family.lower() == "llama")
        super().check_family({"model_type": "llama"} if known else raw)

    def count(self, raw: Mapping[str, Any], key: str) -> int:
        """A whole number may have a point."""
        value = raw.get(key)
        whole = isinstance(value, float) and value.is_integer()
        return super().count({key: int(value)} if whole else raw, key)  # type: ignore[arg-type]

    def flag(self, raw: Mapping[str, Any], key: str) -> bool:
        """What is written otherwise means what it says."""
        value = raw.get(key)
        said = {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())
        return super().flag(raw if said is None else {key: said}, key)
