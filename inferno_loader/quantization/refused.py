"""What is known and not read, each by its name, with what to do: by the configuration, and by the tensors. No torch.

Sources: https://github.com/huggingface/transformers/blob/main/src/transformers/utils/quantization_config.py;
https://github.com/ModelCloud/GPTQModel; https://github.com/turboderp-org/exllamav3;
https://github.com/turboderp-org/exllamav2; https://github.com/Vahe1994/AQLM; https://github.com/microsoft/VPTQ;
https://github.com/NetEase-FuXi/EETQ; https://github.com/intel/auto-round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.errors import UnknownSchemeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferno_loader.checkpoint import StoredTensor

_TILES = "the codes lie in the tiles of a GPU kernel: fetch the same model in the format {}, or quantize it again"
_LIBRARY = "load it with {}, and save the model dense there"
_OTHER = "the codes are of {}, and load there alone: fetch the same model dense, or in a format that is read"

#: Methods that a configuration may name, and what to do.
METHODS: Mapping[str, str] = {
    "aqlm": _OTHER.format("AQLM (additive codebooks)"),
    "bitnet": _LIBRARY.format("transformers, or fetch the BF16 master weights"),
    "eetq": _OTHER.format("EETQ (int8 in the order of its kernel)"),
    "exl2": _OTHER.format("exllamav2"),
    "exl3": _OTHER.format("exllamav3"),
    "fp_quant": _OTHER.format("FP-Quant (with Hadamard transforms beside the weights)"),
    "higgs": _OTHER.format("HIGGS (FLUTE kernels)"),
    "ipex": _TILES.format("AWQ gemm or GPTQ"),
    "marlin": _TILES.format("gptq"),
    "qqq": _TILES.format("gptq"),
    "quark": _LIBRARY.format("AMD Quark"),
    "sinq": _LIBRARY.format("SINQ"),
    "spqr": _OTHER.format("SpQR (sparse outliers beside the codes)"),
    "vptq": _OTHER.format("VPTQ (vector codebooks)"),
}

#: Formats of one method or another that a configuration may name, and what to do.
_FORMATS: Mapping[str, str] = {
    "auto_round": _LIBRARY.format("auto-round, or export it there as auto_round:auto_gptq"),
    "bitblas": _TILES.format("gptq"),
    "exllama": _TILES.format("AWQ gemm"),
    "gemv_fast": "the rows are interleaved for a GPU kernel: save it with AutoAWQ as gemm or gemv",
    "gptq_p": "codes lie in planes of bits: save it with GPTQModel as gptq or gptq_v2",
    "ipex": _TILES.format("AWQ gemm"),
    "llm-awq": "the codes are of the original llm-awq: convert it with AutoAWQ to gemm",
    "marlin": _TILES.format("gptq, or AWQ gemm"),
    "marlin-24": "2:4 weights lie in the tiles of a GPU kernel: save it with compressed-tensors as pack-quantized",
    "qqq": _TILES.format("gptq"),
}

#: Suffixes that together show a layout, the first that fits.
_LAYOUTS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"scale_packed", "weight_packed"}), "marlin-24"),
    (frozenset({"B_24"}), "marlin-24"),
    (frozenset({"B", "s"}), "marlin"),
    (frozenset({"B", "s_channel"}), "qqq"),
    (frozenset({"q_weight"}), "exl2"),
    (frozenset({"trellis"}), "exl3"),
    (frozenset({"codebooks"}), "aqlm"),
    (frozenset({"centroids"}), "vptq"),
    (frozenset({"centroids.weight"}), "vptq"),
    (frozenset({"tables2"}), "higgs"),
    (frozenset({"dense_weights"}), "spqr"),
    (frozenset({"weight", "weight_scales"}), "eetq"),
    (frozenset({"forward_hadamard_matrix"}), "fp_quant"),
    (frozenset({"weight:qdata"}), "torchao of 0.14"),
    (frozenset({"weight_blocks", "weight_scales"}), "mxfp4 of gpt-oss"),
    (frozenset({"weight.blocks", "weight.scales"}), "mxfp4 of gpt-oss"),
)
#: The dtypes that packed codes have in the layouts that are read.
_CODES: Mapping[str, tuple[str, ...]] = {"weight_packed": ("I32", "U8"), "qweight": ("I32",)}
_REMEDIES: Mapping[str, str] = {
    **METHODS,
    **_FORMATS,
    "AWQ gemv_fast or llm-awq": _FORMATS["gemv_fast"],
    "mxfp4 of gpt-oss": _LIBRARY.format("transformers: blocks of MXFP4 are of its experts, and no Llama has them"),
    "torchao of 0.14": _LIBRARY.format("torchao, or save it again with a release from 0.15 on"),
}


def refused_method(method: str, path: Path | None, known: tuple[str, ...]) -> UnknownSchemeError:
    """The error of a method that is not read: known by name, or not at all."""
    return UnknownSchemeError(
        "the configuration names a quantization method that is not read"
        if method in METHODS
        else "the configuration names an unknown quantization method",
        path=path,
        expected=", ".join(known),
        actual=method[:80],
        remedy=METHODS.get(method, "load it with the library that wrote it, or dequantize it there"),
    )


def refused_format(form: str, path: Path | None) -> UnknownSchemeError | None:
    """The error of a format that is known and not read; None for any other word."""
    if form not in _FORMATS:
        return None
    return UnknownSchemeError(
        "the configuration names a format of quantized weights that is not read",
        path=path,
        expected="a format that is read",
        actual=form,
        remedy=_FORMATS[form],
    )


def layout_of(parts: Mapping[str, StoredTensor]) -> str | None:
    """The name of the layout that a module with these parts has, where it is known and not read."""
    if "qweight" in parts and parts["qweight"].info.dtype.name == "I16":
        return "AWQ gemv_fast or llm-awq"
    known = next((word for needed, word in _LAYOUTS if needed <= parts.keys()), None)
    return known or next((_other(parts[each]) for each in _CODES if each in parts and _other(parts[each])), None)


def _other(codes: StoredTensor) -> str | None:
    """What codes of a dtype that no layout has are called."""
    suffix, dtype = codes.name.rpartition(".")[2], codes.info.dtype.name
    return None if dtype in _CODES.get(suffix, (dtype,)) else f"{suffix} of {dtype}"


def refused_layout(word: str, parts: Mapping[str, StoredTensor]) -> UnknownSchemeError:
    """The error of a module whose tensors lie in a layout that is known and not read."""
    part = max(parts.values(), key=lambda each: each.info.nbytes)
    return UnknownSchemeError(
        "the weights are quantized in a layout that is not read",
        path=part.shard.path,
        tensor=part.name,
        expected="a layout that is read",
        actual=f"{word}: {', '.join(sorted(parts))}"[:200],
        remedy=_REMEDIES.get(word, "load it with the library that wrote it, or dequantize it there"),
    )
