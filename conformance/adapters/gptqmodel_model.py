"""gptqmodel: ``GPTQModel.load``, with its kernels in PyTorch, which are those that can dequantize on a CPU.

https://github.com/ModelCloud/GPTQModel. transformers reads GPTQ and AWQ by calling it. It loads no model without its
tokenizer, which no case is about: it gets a directory of links to what is there, and to a tokenizer of one word.
"""

from __future__ import annotations

import os
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)
# Its default for two cores is one worker, with which it refuses to start.
os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")

from gptqmodel import BACKEND, GPTQModel
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig

from conformance.adapters.llama_model import WEIGHTS_CLAIMS, own_tensors
from conformance.adapters.messages import told
from conformance.adapters.transformers_model import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from conformance.engine.reasons import Reason


class Gptqmodel:
    """The weights of its modules, by the functions with which they compute, in the dtype of the configuration.

    Without a dtype it takes BF16 on a CPU, whatever the checkpoint says.
    """

    name = "gptqmodel"
    packages = ("gptqmodel", "transformers", "torch", "safetensors")
    claims = WEIGHTS_CLAIMS | {"sharded", "tied", "cast", "quant:alone", "quant:gptq", "quant:awq"}

    def __init__(self) -> None:
        self.version = metadata.version("gptqmodel")

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """The parameters of the model, dequantized, [out, in] as a Linear has them."""
        config = AutoConfig.from_pretrained(directory)
        block = getattr(config, "quantization_config", None) or {}
        backend = BACKEND.AWQ_TORCH if block.get("quant_method") == "awq" else BACKEND.GPTQ_TORCH
        with tempfile.TemporaryDirectory() as folder:
            _link(directory, Path(folder))
            model = GPTQModel.load(folder, device="cpu", backend=backend, dtype=dtype or config.dtype).model
        packed = {f"{name}.weight": _weight(each) for name, each in model.named_modules() if hasattr(each, "qweight")}
        stored = {name: each for name, each in own_tensors(model).items() if name.endswith((".weight", ".bias"))}
        return stored | packed

    def reason(self, error: Exception) -> Reason | None:
        """By the words of transformers, and of the reader below it."""
        return told(error, WORDS)


def _link(directory: Path, folder: Path) -> None:
    for each in directory.iterdir():
        (folder / each.name).symlink_to(each)
    if not (directory / "tokenizer.json").exists():
        PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"[UNK]": 0}, "[UNK]"))).save_pretrained(folder)


def _weight(module: Any) -> torch.Tensor:
    if hasattr(module, "g_idx"):
        # By the class: the instance has compiled it.
        weight: torch.Tensor = type(module).dequantize_weight(module)
    else:
        weight = dequantize_gemm(module.qweight, module.qzeros, module.scales, module.bits, module.group_size)
    return weight.T
