"""Every family, in the order in which they are asked. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.gguf.family import GgufFamily
from inferno_loader.quantization.awq import AwqFamily
from inferno_loader.quantization.bnb import BitsAndBytesFamily
from inferno_loader.quantization.ct_micro import MicroFamily
from inferno_loader.quantization.ct_pack import PackFamily
from inferno_loader.quantization.ct_plain import PlainFamily
from inferno_loader.quantization.ct_sparse import SparseFamily
from inferno_loader.quantization.fp8_block import BlockFamily
from inferno_loader.quantization.gptq import GptqFamily
from inferno_loader.quantization.hqq import HqqFamily
from inferno_loader.quantization.modelopt import ModelOptFamily
from inferno_loader.quantization.quanto import QuantoFamily
from inferno_loader.quantization.torchao import TorchaoFamily

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.quantization.family import Family

#: Families are asked in this order; the first that recognises a module has it.
FAMILIES: tuple[Family, ...] = (
    SparseFamily(),
    PackFamily(),
    GptqFamily(),
    AwqFamily(),
    BitsAndBytesFamily(),
    BlockFamily(),
    ModelOptFamily(),
    TorchaoFamily(),
    QuantoFamily(),
    HqqFamily(),
    MicroFamily(),
    PlainFamily(),
    GgufFamily(),
)

#: Every word that `recognise` may give.
SCHEMES: tuple[str, ...] = tuple(dict.fromkeys(scheme for family in FAMILIES for scheme in family.schemes))


def recognise(parts: Mapping[str, StoredTensor]) -> tuple[Family, str] | None:
    """The family of a module with these tensors, and its word; None where the weight is dense."""
    for family in FAMILIES:
        if scheme := family.scheme_of(parts):
            return family, scheme
    return None
