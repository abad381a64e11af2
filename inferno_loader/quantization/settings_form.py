"""Which method a block of quantization is of, and one shape for the blocks that their writers wrap. No torch.

Files beside ``config.json`` name no method, and ModelOpt and early compressed-tensors wrap what they say. Sources:
https://github.com/AutoGPTQ/AutoGPTQ (``quantize_config.json``); https://github.com/casper-hansen/AutoAWQ
(``quant_config.json``); https://github.com/NVIDIA/Model-Optimizer (``hf_quant_config.json``);
https://github.com/huggingface/optimum-quanto (``quanto_qmap.json``); https://github.com/intel/auto-round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inferno_loader.errors import ConfigValueError
from inferno_loader.quantization.refused import refused_format, refused_method
from inferno_loader.quantization.settings_methods import word_of
from inferno_loader.quantization.settings_rules import is_map

if TYPE_CHECKING:
    from inferno_loader.quantization.block import BlockReader

#: Methods of which this loader knows the layout.
KNOWN_METHODS = (
    "compressed-tensors", "gptq", "awq", "bitsandbytes", "fp8", "fbgemm_fp8", "modelopt", "mxfp4", "mxfp8", "torchao",
    "quanto", "hqq", "gguf",
)  # fmt: skip
#: Other spellings of a method.
_SPELLINGS = {
    "compressed_tensors": "compressed-tensors",
    "sparseml": "compressed-tensors",
    "modelopt_fp4": "modelopt",
    "autoround": "auto-round",
    "auto_round": "auto-round",
    "intel/auto-round": "auto-round",
}
#: Keys that only one method has, where a block names none.
_TOLD_BY = (
    ({"config_groups"}, "compressed-tensors"),
    ({"quant_algo"}, "modelopt"),
    ({"w_bit", "zero_point"}, "awq"),
    ({"desc_act"}, "gptq"),
)
#: The formats of auto-round whose layout is that of another method.
_AUTO_ROUND = {"auto_gptq": "gptq", "auto_awq": "awq", "gptq": "gptq", "awq": "awq"}
#: The algorithms of ModelOpt that are read.
_ALGORITHMS = ("FP8", "NVFP4", "MIXED_PRECISION")
#: The formats of each method that are read; of other methods, none is told.
_FORMATS = {"gptq": ("gptq", "gptq_v2"), "awq": ("gemm", "gemv")}


def method_and_block(reader: BlockReader, block: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The method of a block, and the block without what wraps it.

    Raises:
        ConfigValueError: Nothing tells the method.
        UnknownSchemeError: It, or its format, is not known, or known and not read.
    """
    flat = _unwrapped(block)
    method = _method(reader, flat)
    if method == "auto-round":
        method, flat = _of_auto_round(reader, flat)
    if method not in KNOWN_METHODS:
        raise refused_method(method, reader.path, KNOWN_METHODS)
    _refuse(reader, method, flat)
    return method, flat


def _unwrapped(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """ModelOpt wraps its block, and compressed-tensors once wrapped its own beside that of sparsity."""
    for key in ("quantization", "quantization_config"):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            outer = {name: value for name, value in block.items() if name != key}
            return {**outer, **inner}
    return block


def _method(reader: BlockReader, block: Mapping[str, Any]) -> str:
    method = block.get("quant_method")
    if isinstance(method, str):
        return _SPELLINGS.get(method.lower(), method.lower())
    if block.get("load_in_8bit") or block.get("load_in_4bit"):
        return "bitsandbytes"
    told = [name for keys, name in _TOLD_BY if keys <= block.keys()]
    if told or is_map(block):
        return told[0] if told else "quanto"
    raise ConfigValueError(
        "the quantization block names no method",
        key="quantization_config.quant_method",
        path=reader.path,
        expected=", ".join(KNOWN_METHODS),
        actual=str(method)[:80],
        remedy="add quant_method, or remove the block if the weights are dense",
    )


def _of_auto_round(reader: BlockReader, block: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Exports of auto-round lie as GPTQ or AWQ does, where their format says so."""
    told = word_of(block, "packing_format", "backend") or "auto_round"
    method = _AUTO_ROUND.get(told.removeprefix("auto_round:"))
    if method is None:
        error = refused_format("auto_round", reader.path)
        raise (
            error
            if error and told == "auto_round"
            else reader.unread(
                "auto_round:auto_gptq or auto_round:auto_awq",
                f"auto-round, {told[:80]}",
                "load it with auto-round, or export it there as auto_round:auto_gptq",
            )
        )
    kept = {name: value for name, value in block.items() if name not in ("format", "version", "checkpoint_format")}
    return method, kept


def _refuse(reader: BlockReader, method: str, block: Mapping[str, Any]) -> None:
    """What a block says of its layout, where that is known and not read."""
    if method == "gptq" and block.get("is_marlin_format") is True:
        _refuse_form(reader, "marlin", _FORMATS["gptq"])
    if method == "awq" and word_of(block, "backend") == "llm-awq":
        _refuse_form(reader, "llm-awq", _FORMATS["awq"])
    form = word_of(block, *(("checkpoint_format", "format") if method == "gptq" else ("version", "format")))
    if method in _FORMATS and form and form not in _FORMATS[method]:
        _refuse_form(reader, form, _FORMATS[method])
    words = word_of(block, "pack_dtype") or "int32"
    if method == "gptq" and words.removeprefix("torch.") != "int32":
        raise reader.unread("words of int32", f"pack_dtype {words[:60]}", "pack it again as int32")
    if method == "modelopt":
        _check_algorithms(reader, block)
    if method == "torchao" and isinstance(block.get("quant_type"), str):
        what = f"quant_type {block['quant_type'][:60]} of an old release, whose weights are pickled"
        raise reader.unread("a quant_type with _type and _data", what, "load it with torchao, and save it again")


def _refuse_form(reader: BlockReader, form: str, read: tuple[str, ...]) -> None:
    error = refused_format(form, reader.path)
    raise error or reader.unread(", ".join(read), f"the format {form[:80]}", "load it with the library that wrote it")


def _check_algorithms(reader: BlockReader, block: Mapping[str, Any]) -> None:
    layers = block.get("quantized_layers")
    single = layers.values() if isinstance(layers, Mapping) else ()
    for each in (block, *single):
        algorithm = each.get("quant_algo") if isinstance(each, Mapping) else None
        if algorithm is not None and str(algorithm).upper() not in _ALGORITHMS:
            what = f"quant_algo {str(algorithm)[:60]}"
            raise reader.unread(", ".join(_ALGORITHMS), what, "export it from ModelOpt as FP8 or NVFP4")
