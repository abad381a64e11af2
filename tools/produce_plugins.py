"""Write the quantized forms of bitsandbytes, torchao, quanto and HQQ, and what each library dequantizes them to.

Run as a script by `fetch_real_models`, inside the virtual environment of these libraries. Beside the checkpoint it
writes ``dequantized.safetensors``: every weight by the library's own dequantization of what it has stored, in the dtype
in which this project returns it. The fetcher keeps the digests.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_GROUP = 64
_HQQ = {"nbits": 4, "group_size": _GROUP, "axis": 1}


def produce(source: Path, output: Path, scheme: str, layers: int | None) -> None:
    """Write the checkpoint in `source`, quantized by `scheme`, and its dequantized weights to the directory `output`.

    Args:
        source: A dense checkpoint.
        output: An existing directory.
        scheme: One of `SCHEMES`.
        layers: How many layers of the model to keep; None for all.
    """
    with tempfile.TemporaryDirectory() as folder:
        dense = SCHEMES[scheme](_cut(source, layers, Path(folder)), output)
    save_file(
        {name: weight.detach().contiguous() for name, weight in dense.items()}, output / "dequantized.safetensors"
    )


def _cut(source: Path, layers: int | None, folder: Path) -> Path:
    if layers is None:
        return source
    AutoModelForCausalLM.from_pretrained(source, dtype="auto", num_hidden_layers=layers).save_pretrained(folder)
    return folder


def _nf4(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Codes of 4 bits by bitsandbytes, with scales that are quantized themselves."""
    wanted = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return _weights(_through_transformers(source, output, wanted), _of_bitsandbytes)


def _int8(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Rows of 8 bits by bitsandbytes: LLM.int8."""
    return _weights(_through_transformers(source, output, BitsAndBytesConfig(load_in_8bit=True)), _of_bitsandbytes)


def _torchao_int8(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Torchao's whole rows of int8, as a tensor of the class Int8Tensor."""
    from torchao.quantization import Int8WeightOnlyConfig  # noqa: PLC0415 - each scheme imports its own library

    return _weights(_through_transformers(source, output, TorchAoConfig(Int8WeightOnlyConfig(version=2))), _of_torchao)


def _torchao_fp8(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Torchao's whole rows of float8_e4m3fn, as a tensor of the class Float8Tensor."""
    from torchao.quantization import Float8WeightOnlyConfig  # noqa: PLC0415

    return _weights(_through_transformers(source, output, TorchAoConfig(Float8WeightOnlyConfig())), _of_torchao)


def _torchao_int4(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Torchao's groups of int4, a byte each, as a tensor of the class IntxUnpackedToInt8Tensor."""
    from torchao.quantization import IntxWeightOnlyConfig  # noqa: PLC0415
    from torchao.quantization.granularity import PerGroup  # noqa: PLC0415

    wanted = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(_GROUP))  # type: ignore[attr-defined]
    return _weights(_through_transformers(source, output, TorchAoConfig(wanted)), _of_torchao)


def _quanto(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """Optimum-quanto's own file: qint4 in groups."""
    from optimum.quanto import QuantizedModelForCausalLM, qint4  # noqa: PLC0415

    dense = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    QuantizedModelForCausalLM.quantize(dense, weights=qint4, exclude="lm_head").save_pretrained(output)
    return _weights(QuantizedModelForCausalLM.from_pretrained(output)._wrapped, _of_torchao)  # noqa: SLF001


def _hqq(source: Path, output: Path) -> dict[str, torch.Tensor]:
    """HQQ through its own library: transformers 5 cannot make it."""
    from hqq.core.quantize import BaseQuantizeConfig  # noqa: PLC0415
    from hqq.models.hf.base import AutoHQQHFModel  # noqa: PLC0415

    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    arguments = BaseQuantizeConfig(**_HQQ)
    AutoHQQHFModel.quantize_model(model, quant_config=arguments, compute_dtype=torch.bfloat16, device="cpu")
    model.config.quantization_config = {
        "quant_method": "hqq",
        "quant_config": {**arguments, "offload_meta": False},
        "skip_modules": ["lm_head"],
    }
    stored = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(
        {name: value.contiguous() for name, value in stored.items()}, output / "model.safetensors", {"format": "pt"}
    )
    model.config.save_pretrained(output)
    model.generation_config.save_pretrained(output)
    return _weights(model, lambda module: module.dequantize() if hasattr(module, "W_q") else None)


#: Every scheme, by name: it writes the checkpoint, and gives what its library dequantizes it to.
SCHEMES: Mapping[str, Callable[[Path, Path], dict[str, torch.Tensor]]] = {
    "bnb-nf4": _nf4,
    "bnb-int8": _int8,
    "torchao-int8": _torchao_int8,
    "torchao-fp8": _torchao_fp8,
    "torchao-int4": _torchao_int4,
    "quanto-int4": _quanto,
    "hqq-int4": _hqq,
}


def _through_transformers(source: Path, output: Path, wanted: Any) -> torch.nn.Module:
    """Quantize, save, and load again what was saved: what is dequantized has been on the disk."""
    AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16, device_map="cpu", quantization_config=wanted
    ).save_pretrained(output)
    loaded: torch.nn.Module = AutoModelForCausalLM.from_pretrained(output, dtype=torch.bfloat16, device_map="cpu")
    return loaded


def _weights(model: torch.nn.Module, dequantize: Callable[[Any], torch.Tensor | None]) -> dict[str, torch.Tensor]:
    """Every weight but the tied head: dequantized where `dequantize` gives something, else as it is."""
    found: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if name == "lm_head":
            continue
        weight = dequantize(module)
        plain = getattr(module, "weight", None) if weight is None else weight
        if isinstance(plain, torch.Tensor):
            found[f"{name}.weight"] = plain
    return found


def _of_bitsandbytes(module: Any) -> torch.Tensor | None:
    import bitsandbytes as bnb  # noqa: PLC0415

    if isinstance(module, bnb.nn.Linear4bit):
        dense: torch.Tensor = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        return dense
    if isinstance(module, bnb.nn.Linear8bitLt):
        # In float32, rounded once to the dtype of the model: the file has none.
        eight: torch.Tensor = bnb.functional.int8_vectorwise_dequant(module.weight.data, module.weight.SCB)
        return eight.to(torch.bfloat16)
    return None


def _of_torchao(module: Any) -> torch.Tensor | None:
    """Tensors of torchao and of quanto have one method for it."""
    weight = getattr(module, "weight", None)
    return weight.dequantize() if isinstance(weight, torch.Tensor) and type(weight.data) is not torch.Tensor else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and produce one form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scheme", choices=SCHEMES, required=True)
    parser.add_argument("--text", type=Path, help="not used: none of these is calibrated")
    parser.add_argument("--layers", type=int)
    options = parser.parse_args(arguments)
    produce(options.source, options.output, options.scheme, options.layers)


if __name__ == "__main__":
    main()
