"""The encoders of `tools` write what the real producers write: the same weights through both, byte for byte.

The weights are those of the model in BF16, and what the producers made of them lies in the cache beside it. The quick
forms are compared in every run by some of their weights, all of them by each weight with ``INFERNO_PRODUCERS=all``.

Whoever calibrates, or searches, chooses codes and scales that no encoder of one weight can know: of GPTQ, AWQ and HQQ
those are taken from what is stored, and stored again. And as with all of them what the producer has stored is decoded
to the weights that the producer itself makes of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open

from conformance.tests.real_models.summary import LINE
from conformance.tools.container import Spec
from conformance.tools.encode import dequantize, quantize_fp8
from conformance.tools.real_models import EVERY
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.ct_micro import Mx, Nvfp4, nvfp4_codes
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.parts import floats, integers, numbers, whole
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.stored import Tensor
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from conformance.tools.schemes.scheme import Scheme

    Weights = Callable[[str], NDArray[np.float64]]

_ALL = os.environ.get("INFERNO_PRODUCERS") == "all"
_SOME = (
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.self_attn.k_proj",
    "model.layers.2.self_attn.o_proj",
    "model.layers.3.mlp.down_proj",
)
#: llm-compressor makes the weights of each of these with one global scale, as they are run as one.
_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
_LINEAR = (*(f"self_attn.{name}_proj" for name in "qkvo"), *(f"mlp.{name}_proj" for name in ("gate", "up", "down")))
_LAYERS = 30
#: Of activations the encoder has made it up.
_ACTIVATIONS = "input_global_scale"
_SCHEMES: Mapping[str, Scheme] = {
    "w8a8": Plain("int8"),
    "fp8-dynamic": Plain("fp8"),
    "w4a16": Packed(4, group_size=64),
    "w4a16-asym": Packed(4, group_size=64, symmetric=False),
    "nvfp4a16": Nvfp4(),
    "nvfp4": Nvfp4(activations=True),
    "mxfp4": Mx(4),
    "bnb-nf4": Four(nested=True),
    "bnb-int8": Int8(),
    "torchao-int8": Torchao(),
    "torchao-fp8": Torchao("float8"),
    "torchao-int4": Torchao("intx", 64, scale_dtype="BF16"),
    "quanto-int4": Quanto("qint4"),
}
_CALIBRATED: Mapping[str, Gptq | Awq | Hqq] = {
    "gptq": Gptq(group_size=64),
    "gptq-asym-desc-act": Gptq(group_size=64, symmetric=False, order=True),
    "awq": Awq(group_size=64),
    "hqq-int4": Hqq(4, 64, 1),
}
#: A recipe has these blocks, and no scheme.
_BLOCKS = "fp8-block"
#: The container's names of the dtypes that these files have.
_KINDS = {
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
}


def _forms(table: Mapping[str, Scheme]) -> list[str]:
    return [form for form in table if _ALL or not EVERY[form].slow]


def _modules(form: str) -> tuple[str, ...]:
    """The modules whose weights are compared."""
    layers = range(EVERY[form].layers or _LAYERS)
    return tuple(f"model.layers.{layer}.{leaf}" for layer in layers for leaf in _LINEAR) if _ALL else _SOME


def _stored(directory: Path, module: str) -> dict[str, Tensor]:
    """The tensors of a module, by what follows its name, as safetensors itself reads them."""
    found = {}
    with safe_open(directory / "model.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118 - no mapping
            if name.startswith(f"{module}."):
                found[name.removeprefix(f"{module}.")] = _tensor(name, file.get_tensor(name))
    return found


def _tensor(name: str, value: torch.Tensor) -> Tensor:
    data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return Tensor(Spec(name, _KINDS[value.dtype], tuple(value.shape)), data)


@pytest.fixture(scope="module")
def weight_of(directory_of: Callable[[str], Path]) -> Iterator[Weights]:
    """The weight of a module in BF16, [out, in]."""
    with safe_open(directory_of("bf16") / "model.safetensors", "pt") as file:
        yield lambda module: file.get_tensor(f"{module}.weight").double().numpy()


def _encoded(form: str, module: str, theirs: Mapping[str, Tensor], weight_of: Weights) -> dict[str, Tensor]:
    """What our encoder makes of a module, by what follows its name; of what the producer has chosen, where it does."""
    if form == _BLOCKS:
        tensors = _of_blocks(module, weight_of(module))
    elif form in _CALIBRATED:
        tensors = _stored_again(_CALIBRATED[form], module, theirs, weight_of(module).shape)
    else:
        scheme = _SCHEMES[form]
        tensors = scheme.encode(module, weight_of(module), "BF16")
        if isinstance(scheme, Nvfp4):
            tensors = (*_with_one_scale(scheme, module, weight_of), *tensors[3:])
    return {tensor.spec.name.removeprefix(f"{module}."): tensor for tensor in tensors}


def _of_blocks(module: str, weight: NDArray[np.float64]) -> tuple[Tensor, ...]:
    made = quantize_fp8(weight, strategy="block", block=(128, 128))
    codes = integers(f"{module}.weight", made.dtype, made.codes)
    return codes, floats(f"{module}.weight_scale", made.scale_dtype, made.scale)


def _with_one_scale(scheme: Nvfp4, module: str, weight_of: Weights) -> tuple[Tensor, ...]:
    """Codes and scales by the smallest of the global scales that the modules which run as one have by themselves."""
    path, _, leaf = module.rpartition(".")
    together = next((names for names in _TOGETHER if leaf in names), (leaf,))
    made = [scheme.encode("", weight_of(f"{path}.{name}"), "BF16") for name in together]
    factor = min(numbers(tensors[2]) for tensors in made)
    codes, scale = nvfp4_codes(weight_of(module), np.float32(factor.item()), "BF16")
    return (
        integers(f"{module}.weight_packed", "U8", codes),
        integers(f"{module}.weight_scale", "F8_E4M3", scale),
        floats(f"{module}.weight_global_scale", "F32", factor),
    )


@pytest.mark.parametrize("form", [_BLOCKS, *_forms({**_SCHEMES, **_CALIBRATED})])
def test_encoder_writes_the_bytes_of_the_producer(
    form: str,
    directory_of: Callable[[str], Path],
    weight_of: Weights,
    record_property: Callable[[str, object], None],
) -> None:
    """Names, dtypes, shapes and bytes of what is stored of a weight are those of the producer."""
    equal, modules, different = 0, _modules(form), []
    for module in modules:
        theirs = _stored(directory_of(form), module)
        ours = _encoded(form, module, theirs, weight_of)
        assert {name: tensor.spec for name, tensor in ours.items()} == {
            name: tensor.spec for name, tensor in theirs.items()
        }
        compared = ours.keys() - {_ACTIVATIONS}
        different += [f"{module}.{name}" for name in compared if ours[name].data != theirs[name].data]
        equal += len(compared)
    assert different == []
    how = ", its own choices stored again" if form in _CALIBRATED else ""
    record_property(LINE, f"encoder of {form}: {equal} tensors of {len(modules)} weights equal to the producer's{how}")


@pytest.mark.parametrize("form", [_BLOCKS, *_forms({**_SCHEMES, **_CALIBRATED})])
def test_decoder_gives_the_weights_of_the_producer(
    form: str,
    directory_of: Callable[[str], Path],
    weight_of: Weights,
    record_property: Callable[[str, object], None],
) -> None:
    """The decoder of `tools` makes of each stored weight, to the bit, what its producer makes of it."""
    directory, modules = directory_of(form), _modules(form)
    references = json.loads((directory / "reference.json").read_text(encoding="utf-8"))
    different = [
        module
        for module in modules
        if _digest(form, module, _stored(directory, module), weight_of) != references[f"{module}.weight"]["sha256"]
    ]
    assert different == []
    record_property(LINE, f"decoder of {form}: {len(modules)} weights, each equal to the producer's")


def _digest(form: str, module: str, stored: Mapping[str, Tensor], weight_of: Weights) -> str:
    """The sha256 of what our decoder makes of a module; of blocks, of what it makes of our codes: they are the same."""
    rows, columns = weight_of(module).shape
    if form == _BLOCKS:
        made = quantize_fp8(weight_of(module), strategy="block", block=(128, 128))
        data = encode_values(dequantize(made).astype(np.float64), "BF16")
    else:
        scheme = {**_SCHEMES, **_CALIBRATED}[form]
        kind, values = scheme.decode(module, stored, (rows, columns), None, "BF16")
        data = encode_values(values, kind)
    return hashlib.sha256(data).hexdigest()


def _stored_again(
    scheme: Gptq | Awq | Hqq, module: str, stored: Mapping[str, Tensor], shape: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """What our encoder makes of the codes of a weight, which are what it is worth over its scale, beside its zero."""
    _, values = scheme.decode(module, stored, (shape[0], shape[1]), None, "BF16")
    if isinstance(scheme, Hqq):
        scale, zero = (Tensor(replace(stored[name].spec, name=name), stored[name].data) for name in ("scale", "zero"))
        codes = np.rint(values.reshape(-1, scheme.group_size) / numbers(scale) + numbers(zero))
        return scheme.stored(module, codes.astype(np.int64), (scale, zero), shape)
    zeros = _zeros(scheme, stored["qzeros"])
    columns = whole(stored["g_idx"]) if isinstance(scheme, Gptq) else np.arange(shape[1]) // scheme.group_size
    codes = np.rint(values / numbers(stored["scales"]).T[:, columns]).astype(np.int64) + zeros[:, columns]
    if isinstance(scheme, Gptq):
        return scheme.stored(module, codes, zeros, stored["scales"], columns)
    return scheme.stored(module, codes, zeros, stored["scales"])


def _zeros(scheme: Gptq | Awq, words: Tensor) -> NDArray[np.int64]:
    """The zeros, [out, groups], of eight to a word: GPTQ's are one less, AWQ's out of order."""
    fields = np.stack([whole(words) >> shift & 15 for shift in range(0, 32, 4)], axis=2)
    if isinstance(scheme, Awq):
        fields = fields[:, :, [0, 4, 1, 5, 2, 6, 3, 7]]
    zeros = fields.reshape(len(fields), -1).T
    return zeros + 1 & 15 if isinstance(scheme, Gptq) else zeros
