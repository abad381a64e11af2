"""The part of the demonstration on quantized weights: one small checkpoint a family, dense to the bit, then as stored.

The weights are what the format's own formula makes of the stored codes, in NumPy, and no loader has a say in it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import torch
from rich.table import Table

import inferno_loader
from conformance.engine.tensors import digest_of
from conformance.tools.gguf_recipe import SUPER, GgufRecipe
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.ct_sparse import Sparse
from conformance.tools.schemes.fp8 import Fp8
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from conformance.tools.truth import Tensors

#: Groups of 32 columns and blocks of 256 divide all rows.
_SIZES = SUPER
_TOKENS = torch.arange(24)[None]
#: What is written, in the words of its users.
RECIPES: Mapping[str, Scenario | GgufRecipe] = MappingProxyType(
    {
        **{
            name: Scenario(Recipe(config=_SIZES, quantization=scheme))
            for name, scheme in {
                "W8A8, int8 by row": Plain(),
                "FP8 by row": Plain("fp8"),
                "W4A16, groups of 32": Packed(group_size=32),
                "W3A16, with zero points": Packed(3, group_size=32, symmetric=False),
                "NVFP4": Nvfp4(),
                "MXFP4": Mx(4),
                "2:4 sparse": Sparse(),
                "GPTQ, desc_act": Gptq(order=True),
                "AWQ gemm": Awq(),
                "bitsandbytes nf4, nested": Four(nested=True),
                "bitsandbytes LLM.int8": Int8(),
                "DeepSeek FP8, blocks of 32": Fp8(),
                "ModelOpt NVFP4": ModelOpt(),
                "torchao int8": Torchao(),
                "quanto qint4": Quanto("qint4"),
                "HQQ, 4 bits": Hqq(group_size=32),
            }.items()
        },
        **{f"GGUF {kind}": GgufRecipe(_SIZES, (("*", kind),)) for kind in ("Q4_0", "Q8_0", "Q4_K", "Q6_K")},
    },
)


class Family(NamedTuple):
    """What came of one checkpoint.

    Attributes:
        name: What was written.
        scheme: The analyzer's word for it.
        bits: Stored bits for each quantized weight, scales and zero points among them.
        kept: Bytes of all weights as stored, as a part of those of the dense ones.
        tensors: How many must come back.
        equal: How many come back dense, equal to the bit.
        same: Whether the model that keeps its codes has the logits of the dense one.
    """

    name: str
    scheme: str
    bits: float
    kept: float
    tensors: int
    equal: int
    same: bool


def load_each(place: Path, console: Console) -> list[Family]:
    """Builds and loads a checkpoint of each family, and prints a row for it.

    Args:
        place: Where they are built.
        console: Where the table is printed.
    """
    families = [_load(name, recipe, place / f"{number:02}") for number, (name, recipe) in enumerate(RECIPES.items())]
    console.print(_table(families))
    return families


def _load(name: str, recipe: Scenario | GgufRecipe, directory: Path) -> Family:
    recipe.build(directory)
    analysis, truth = inferno_loader.analyze(directory), recipe.dense()
    use = next(use for use in analysis.schemes if use.scheme == analysis.scheme)
    kept = analysis.weight_bytes(dequantize=False) / analysis.weight_bytes()
    loaded = inferno_loader.load_state_dict(directory, names="huggingface")
    equal = _equal(loaded, truth)
    return Family(name, use.scheme, use.bits_per_weight, kept, len(truth.wanted), equal, _same_logits(directory))


def _equal(loaded: Mapping[str, torch.Tensor], truth: Tensors) -> int:
    found = {name: digest_of(tensor) for name, tensor in loaded.items()}
    return sum(
        (each["dtype"], tuple(each["shape"]), each["sha256"]) in truth.wanted.get(name, ())
        for name, each in found.items()
    )


def _same_logits(directory: Path) -> bool:
    """To the bit: a module that keeps its codes makes the same dense weight of them, for each call anew."""
    dense, kept = (inferno_loader.load_model(directory, dequantize=each) for each in (True, False))
    with torch.inference_mode():
        return torch.equal(dense(_TOKENS), kept(_TOKENS))


def _table(families: Sequence[Family]) -> Table:
    table = Table(title="Quantized, a family each", title_justify="left", title_style="bold", header_style="bold")
    for column in ("written", "scheme", "bits a weight", "as stored / dense", "dense, to the bit", "same logits"):
        table.add_column(column, overflow="fold")
    for each in families:
        counted = f"{each.equal} of {each.tensors}"
        same = "yes" if each.same else "NO"
        table.add_row(each.name, each.scheme, f"{each.bits:.2f}", f"{each.kept:.2f}", counted, same)
    return table
