"""What the block of each method but compressed-tensors says of a weight: bits, groups, blocks, zero points. No torch.

Sources: https://github.com/huggingface/transformers/blob/main/src/transformers/utils/quantization_config.py;
https://github.com/ModelCloud/GPTQModel ``quantization/config.py``; https://github.com/casper-hansen/AutoAWQ
``awq/models/_config.py``; https://github.com/NVIDIA/Model-Optimizer (``hf_quant_config.json``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inferno_loader.quantization.family import WeightArgs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferno_loader.quantization.block import BlockReader

    Reading = Callable[[BlockReader, str, Mapping[str, Any]], WeightArgs]

#: Spellings of one thing, the first that is there counts.
_BITS = ("bits", "w_bit", "wbits", "nbits")
_GROUP = ("group_size", "q_group_size")
_FORMAT = ("version", "format", "checkpoint_format")
#: Bits of a code, and whether it is a float, by the words of quanto and of transformers for it.
_QUANTO = {"int8": 8, "int4": 4, "int2": 2, "float8": 8}
_MX_BLOCK = (1, 32)
_NVFP4_GROUP = 16
_MOST_BITS = 64


def args_of(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    """What the block of a method says of every weight that it does not skip. What it does not say is None.

    Raises:
        ConfigValueError: A number is out of range.
    """
    return _READERS.get(method, _plain)(reader, method, block)


def _plain(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    return WeightArgs(method, bits_of(reader, block))


def _gptq(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    return WeightArgs(
        method,
        bits_of(reader, block),
        symmetric=_flag(block, "sym"),
        group_size=group_size_of(reader, block),
        format=word_of(block, "checkpoint_format", "format"),
    )


def _awq(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    zero_point = _flag(block, "zero_point")
    return WeightArgs(
        method,
        bits_of(reader, block),
        symmetric=None if zero_point is None else not zero_point,
        group_size=group_size_of(reader, block),
        format=word_of(block, *_FORMAT),
    )


def _bitsandbytes(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    """An 8-bit block has the defaults of 4 bits as well: what is loaded decides."""
    del reader
    bits = 8 if block.get("load_in_8bit") is True else 4 if block.get("load_in_4bit") is True else None
    return WeightArgs(method, bits)


def _fp8(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    sides = reader.block(block.get("weight_block_size"), "weight_block_size")
    if method == "mxfp8":
        sides = sides or _MX_BLOCK
    return WeightArgs(method, 8, "float", "block" if sides else None, block=sides)


def _fbgemm(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    del reader, block
    return WeightArgs(method, 8, "float", "channel")


def _modelopt(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    del reader
    algorithm = str(block.get("quant_algo") or "").upper()
    if algorithm == "NVFP4":
        return WeightArgs(method, 4, "float", "tensor_group", group_size=_NVFP4_GROUP)
    return WeightArgs(method, 8, "float") if algorithm == "FP8" else WeightArgs(method)


def _quanto(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    word = reader.word(block.get("weights"), "weights")
    return quanto_args(reader, word) if word else _plain(reader, method, block)


def quanto_args(reader: BlockReader, word: str) -> WeightArgs:
    """What ``qint4``, ``int4`` or ``qfloat8_e4m3fn`` says."""
    name = word.lower().removeprefix("q").partition("_")[0]
    if name not in _QUANTO:
        raise reader.bad("weights", ", ".join(f"q{each}" for each in _QUANTO), word)
    return WeightArgs("quanto", _QUANTO[name], "float" if name == "float8" else "int")


def _hqq(reader: BlockReader, method: str, block: Mapping[str, Any]) -> WeightArgs:
    quantized = block.get("quant_config", block)
    fields = reader.mapping({} if quantized is None else quantized, "quant_config")
    return hqq_args(reader, fields) if "weight_quant_params" in fields else _plain(reader, method, block)


def hqq_args(reader: BlockReader, fields: Mapping[str, Any]) -> WeightArgs:
    """What the parameters of one kind of weight say."""
    params = reader.mapping(fields.get("weight_quant_params") or {}, "quant_config.weight_quant_params")
    for key in ("scale_quant_params", "zero_quant_params"):
        if fields.get(key):
            raise reader.unread("plain scales and zeros", key, "dequantize it with hqq, or quantize it without this")
    return WeightArgs("hqq", bits_of(reader, params), group_size=group_size_of(reader, params))


_READERS: Mapping[str, Reading] = {
    "gptq": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "fp8": _fp8,
    "mxfp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "modelopt": _modelopt,
    "quanto": _quanto,
    "hqq": _hqq,
}


def overridden(reader: BlockReader, args: WeightArgs, block: Mapping[str, Any]) -> WeightArgs:
    """The arguments of some modules, for which a block changes bits, group or symmetry."""
    bits, size, symmetric = bits_of(reader, block), group_size_of(reader, block), _flag(block, "sym")
    return replace(
        args,
        bits=bits or args.bits,
        group_size=size or args.group_size,
        symmetric=args.symmetric if symmetric is None else symmetric,
    )


def bits_of(reader: BlockReader, block: Mapping[str, Any]) -> int | None:
    """Bits of a code. What is no integer says nothing."""
    key = next((key for key in _BITS if type(block.get(key)) is int), None)
    if key is None:
        return None
    if not 1 <= block[key] <= _MOST_BITS:
        raise reader.bad(key, f"bits of a code, 1 to {_MOST_BITS}", block[key])
    return int(block[key])


def group_size_of(reader: BlockReader, block: Mapping[str, Any]) -> int | None:
    """Columns of a group, or -1 for all of them. What is no integer says nothing."""
    key = next((key for key in _GROUP if type(block.get(key)) is int), None)
    if key is None:
        return None
    if block[key] != -1 and block[key] < 1:
        raise reader.bad(key, "a positive integer, or -1", block[key])
    return int(block[key])


def word_of(block: Mapping[str, Any], *keys: str) -> str | None:
    """The first text among some keys, in lower case."""
    return next((block[key].lower() for key in keys if block.get(key) and isinstance(block[key], str)), None)


def _flag(block: Mapping[str, Any], key: str) -> bool | None:
    value = block.get(key)
    return value if isinstance(value, bool) else None
