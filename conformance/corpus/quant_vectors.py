"""Cases of the weights: one weight that a real library wrote, with the values that it gives it.

The bytes are those of `fixtures/quant_vectors`, whose files name the library and its release. Nothing of an encoder of
this suite is in them: where one shares a mistake with a loader, these cases do not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import conformance
from conformance.corpus.model_parts import PROJECTIONS, small
from conformance.corpus.quant_parts import exact
from conformance.engine.case import Source
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.ct_sparse import Sparse
from conformance.tools.schemes.fp8 import FBGEMM, Fp8
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.recorded import Recorded
from conformance.tools.schemes.torchao import Torchao

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.engine.case import Case
    from conformance.tools.schemes.scheme import Scheme

_FILES = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_MODULE = "model.layers.0.mlp.up_proj"
_DENSE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "lm_head")
_NAMES = (*(f"model.layers.0.{each}" for each in PROJECTIONS if each != "mlp.up_proj"), "lm_head")
_AROUND = {"head_dim": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "num_key_value_heads": 1, "vocab_size": 11}


def _packed(vector: Any) -> Packed:
    told, kept = vector["args"], "weight_g_idx" in vector["parts"]
    return Packed(
        told["bits"],
        told["strategy"],
        told["group_size"],
        symmetric=told["symmetric"],
        order="group" if kept else None,
        version=told["version"],
    )


def _micro(vector: Any) -> Scheme:
    bits: Any = vector["args"]["bits"]
    return Nvfp4(activations=True) if vector["scheme"] == "ct-nvfp4" else Mx(bits)


def _sparse(vector: Any) -> Sparse:
    return Sparse(structured="compressed" in vector["parts"], skip=_NAMES)


def _fp8(vector: Any) -> Fp8:
    told, parts = vector["args"], vector["parts"]
    if told["method"] == "fbgemm_fp8":
        return FBGEMM
    suffix = "weight_scale_inv" if "weight_scale_inv" in parts else "weight_scale"
    block = tuple(told["block"]) if told["block"] else None
    scale = parts[suffix]
    static = "input_scale" if "input_scale" in parts else None
    return Fp8("fp8", block, suffix, scale["dtype"], shape=tuple(scale["shape"]), activations=static)


def _gptq(vector: Any) -> Gptq:
    told = vector["args"]
    dealt_out = "act order" in vector["name"]
    version: Any = {"gptq": 1, "gptq_v2": 2}[told["format"]]
    return Gptq(told["bits"], told["group_size"], symmetric=told["symmetric"], version=version, order=dealt_out)


def _awq(vector: Any) -> Awq:
    return Awq(vector["args"]["format"], vector["args"]["group_size"])


def _bnb(vector: Any) -> Scheme:
    parts = vector["parts"]
    if "SCB" in parts:
        return Int8()
    kind: Any = "nf4" if "weight.quant_state.bitsandbytes__nf4" in parts else "fp4"
    return Four(kind, nested="weight.nested_absmax" in parts, storage=parts["weight"]["dtype"])


def _torchao(vector: Any) -> Torchao:
    told = json.loads(vector["metadata"])
    kind: Any = {"Int8Tensor": "int8", "Float8Tensor": "float8"}.get(told["_type"], "intx")
    size = told["_data"]["block_size"][1]
    grouped = None if size == vector["dense"]["shape"][1] else size
    return Torchao(kind, grouped, scale_dtype=vector["parts"]["_weight_scale"]["dtype"])


def _quanto(vector: Any) -> Quanto:
    return Quanto(vector["name"].split()[1])


def _hqq(vector: Any) -> Hqq:
    parts = vector["parts"]
    figures = {name: int.from_bytes(bytes.fromhex(parts[name]["hex"]), "little") for name in ("nbits", "axis")}
    bits: Any = figures["nbits"]
    axis: Any = figures["axis"]
    return Hqq(bits, 8, axis)


_MAKERS: dict[str, Callable[[Any], Scheme]] = {
    "awq": _awq, "bnb": _bnb, "ct-float": _fp8, "ct-mxfp": _micro, "ct-nvfp4": _micro, "ct-pack": _packed,
    "ct-sparse": _sparse, "fp8-block": _fp8, "gptq": _gptq, "hqq": _hqq, "quanto": _quanto, "torchao": _torchao,
}  # fmt: skip
#: Of each file: the clause of its cases, and their sibling.
_RULES = {
    "awq": ("awq-order", "awq-no-scales"),
    "bnb_fp4": ("bnb-blocks", "bnb-no-absmax"),
    "bnb_int8": ("bnb-rows", "bnb-no-scb"),
    "bnb_nf4": ("bnb-blocks", "bnb-no-absmax"),
    "ct_mxfp": ("mx-scales", "mxfp4-of-a-scale-that-is-no-number"),
    "ct_nvfp4": ("nvfp4-global-scale", "nvfp4-without-global-scale"),
    "ct_pack_quantized": ("packed-offset", "packed-without-scale"),
    "ct_pack_quantized_legacy": ("packed-group-index", "packed-group-that-is-not-there"),
    "ct_sparse": ("sparse-mask", "sparse-of-fewer-values"),
    "fp8": ("block-scales", "fp8-in-blocks-of-a-smaller-grid"),
    "gptq": ("gptq-codes", "gptq-width-of-no-bits"),
    "hqq": ("hqq-packing", "hqq-no-scale"),
    "quanto": ("quanto-codes", "quanto-no-scale"),
    "torchao": ("torchao-parts", "torchao-no-scale"),
}
_URLS = {
    "awq": "https://github.com/casper-hansen/AutoAWQ",
    "bnb": "https://github.com/bitsandbytes-foundation/bitsandbytes",
    "ct": "https://github.com/vllm-project/compressed-tensors",
    "fp8": "https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/finegrained_fp8.py",
    "gptq": "https://github.com/ModelCloud/GPTQModel",
    "hqq": "https://github.com/mobiusml/hqq",
    "quanto": "https://github.com/huggingface/optimum-quanto",
    "torchao": "https://github.com/pytorch/ao",
}


def _block(how: Scheme) -> dict[str, Any]:
    """The block of a scheme, as the library writes it where all but one module of a model are dense."""
    block = how.config()
    method = block.get("quant_method")
    if method == "compressed-tensors":
        groups = block["config_groups"].items()
        return {**block, "config_groups": {name: {**group, "targets": [_MODULE]} for name, group in groups}}
    if method == "gptq":
        # GPTQModel reads the second, and transformers the first.
        dense: dict[str, Any] = {rf"-:.*\.{name}$": {} for name in _DENSE[:-1]}
        return {**block, "modules_in_block_to_quantize": [["mlp.up_proj"]], "dynamic": dense}
    keys = {"bitsandbytes": "llm_int8_skip_modules", "hqq": "skip_modules"}
    return {**block, keys.get(str(method), "modules_to_not_convert"): list(_DENSE)} if block else {}


def _recorded(vector: Any) -> Recorded:
    how, parts = _MAKERS[vector["scheme"]](vector), vector["parts"]
    held = tuple((suffix, part["dtype"], tuple(part["shape"]), part["hex"]) for suffix, part in parts.items())
    block = _block(how)
    return Recorded(how, _MODULE, held, json.dumps(block, sort_keys=True) if block else "", vector.get("metadata", ""))


def _of_file(stem: str) -> Iterator[Case]:
    content = json.loads((_FILES / f"{stem}.json").read_text(encoding="utf-8"))
    clause, sibling = _RULES[stem]
    source = Source(f"Written by {content['source']}.", _URLS[stem.partition("_")[0]])
    for number, vector in enumerate(content["vectors"], 1):
        rows, columns = vector["dense"]["shape"]
        figures = {**_AROUND, "hidden_size": columns, "intermediate_size": rows}
        recipe = small(config=figures, quantization=_recorded(vector), dtype=vector["dense"]["dtype"])
        title = f"One weight of {rows} by {columns} as the library wrote it: {vector['name'].partition(':')[0]}."
        yield exact(f"vector-{stem.replace('_', '-')}-{number}", clause, title, recipe, source, sibling)


#: Of the files of weights in eight bits without packing, in the words of torch.
_PLAIN = ("ct_float_quantized", "ct_int_and_naive_quantized")
_LACKING = "missing-scale"
_DTYPES = {"bfloat16": "BF16", "int8": "I8", "float8_e4m3fn": "F8_E4M3"}


def _plain(entry: Any) -> Scheme | None:
    """The encoder of a weight in eight bits; None for groups of columns, which `Plain` does not read."""
    told = entry["scheme"]["weights"]
    if told["strategy"] == "block":
        rows, columns = told["block_structure"]
        return Fp8("fp8", (rows, columns), "weight_scale", "BF16")
    kind: Any = {"int": "int8", "float": "fp8"}[told["type"]]
    return Plain(kind, told["strategy"]) if told["strategy"] != "group" else None


def _entry(entry: Any, how: Scheme) -> Recorded:
    """One of them, with the arguments that the library was given."""
    block = {
        "config_groups": {"group_0": {**entry["scheme"], "format": entry["format"], "targets": [_MODULE]}},
        "format": entry["format"],
        "ignore": ["lm_head"],
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "version": "0.20.0",
    }
    parts = tuple(
        (suffix, _DTYPES[part["dtype"]], tuple(part["shape"]), part["hex_le"])
        for suffix, part in entry["tensors_on_disk"].items()
    )
    return Recorded(how, _MODULE, parts, json.dumps(block, sort_keys=True))


def _of_entries(stem: str) -> Iterator[Case]:
    content = json.loads((_FILES / f"{stem}.json").read_text(encoding="utf-8"))
    source = Source(f"Written by {content['verified_with']}.", _URLS["ct"])
    for number, entry in enumerate(content["entries"], 1):
        if how := _plain(entry):
            rows, columns = entry["expected_dequant"]["shape"]
            figures = {**_AROUND, "hidden_size": columns, "intermediate_size": rows}
            recipe = small(config=figures, quantization=_entry(entry, how))
            title = f"One weight of {rows} by {columns} as the library wrote it: {entry['note'].partition(':')[0]}."
            yield exact(f"vector-{stem.replace('_', '-')}-{number}", "dequantized", title, recipe, source, _LACKING)


CASES: tuple[Case, ...] = (
    *(case for stem in _RULES for case in _of_file(stem)),
    *(case for stem in _PLAIN for case in _of_entries(stem)),
)
