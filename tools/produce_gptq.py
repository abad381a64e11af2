"""Write the quantized forms of gptqmodel, GPTQ and AWQ, and what gptqmodel dequantizes them to.

Run as a script by `fetch_real_models`, inside the virtual environment of gptqmodel. Beside the checkpoint it writes
``dequantized.safetensors``: every weight by gptqmodel's own arithmetic in PyTorch, on what it has stored and loaded
again. The fetcher keeps the digests.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GROUP = 64
_BITS = 4
_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "gptq": {"sym": True, "desc_act": False},
    "gptq-asym-desc-act": {"sym": False, "desc_act": True},
    "awq": {"quant_method": "awq", "format": "gemm", "sym": False},
}


def produce(source: Path, output: Path, scheme: str, text: Path, layers: int | None) -> None:
    """Write the checkpoint in `source`, quantized by `scheme`, and its dequantized weights to the directory `output`.

    Args:
        source: A dense checkpoint, tokenizer included.
        output: An existing directory.
        scheme: ``gptq``, ``gptq-asym-desc-act`` or ``awq``.
        text: What calibrates: its paragraphs.
        layers: How many layers of the model to keep; None for all.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = QuantizeConfig(bits=_BITS, group_size=_GROUP, device="cpu", **_SCHEMES[scheme])
        model = GPTQModel.load(str(_cut(source, layers, Path(folder))), wanted, dtype=torch.bfloat16)
        model.quantize(text.read_text(encoding="utf-8").split("\n\n"), batch_size=1)
        model.save(str(output))
    backend = BACKEND.AWQ_TORCH if scheme == "awq" else BACKEND.GPTQ_TORCH
    tensors: dict[str, torch.Tensor] = load_file(output / "model.safetensors")
    # In the dtype of the stored scales, F16 of GPTQ and BF16 of AWQ: in another it would round them first.
    kind = next(value.dtype for name, value in tensors.items() if name.endswith(".scales"))
    stored = GPTQModel.load(str(output), dtype=kind, device="cpu", backend=backend)
    # What is stored as it is, and what is not.
    dense = {name: value for name, value in tensors.items() if name.endswith(".weight")}
    save_file({**dense, **_quantized(stored.model)}, output / "dequantized.safetensors")


def _cut(source: Path, layers: int | None, folder: Path) -> Path:
    if layers is None:
        return source
    AutoModelForCausalLM.from_pretrained(source, dtype="auto", num_hidden_layers=layers).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def _quantized(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that are quantized: [out, in], as a Linear has it."""
    return {
        f"{name}.weight": _weight(module).detach().contiguous()
        for name, module in model.named_modules()
        if hasattr(module, "qweight")
    }


def _weight(module: Any) -> torch.Tensor:
    if not hasattr(module, "g_idx"):
        unpacked: torch.Tensor = dequantize_gemm(module.qweight, module.qzeros, module.scales, _BITS, module.group_size)
        return unpacked.T
    # By the class: the instance has compiled it.
    dequantized: torch.Tensor = type(module).dequantize_weight(module)
    return dequantized.T


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and produce one form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scheme", choices=_SCHEMES, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--layers", type=int)
    options = parser.parse_args(arguments)
    produce(options.source, options.output, options.scheme, options.text, options.layers)


if __name__ == "__main__":
    main()
