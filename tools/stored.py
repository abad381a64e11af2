"""The tensors of a recipe: each dense parameter, and the tensors in which a checkpoint stores it. No loader, no torch.

Names and row order of the Meta dialect: https://github.com/meta-llama/llama-models (``models/llama3/model.py``); its
rotary embedding turns neighbouring rows (2i, 2i + 1), where that of Hugging Face turns rows i and i + head_dim / 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.architecture import llama_specs
from conformance.tools.container import Spec
from conformance.tools.encode import E4M3, dequantize, quantize_fp8, quantize_int8
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.values import encode_values, tensor_bytes, tensor_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype, Quantized
    from conformance.tools.recipe import Quantization, Recipe

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
_META_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "model.embed_tokens": "tok_embeddings",
        "model.norm": "norm",
        "lm_head": "output",
        "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv",
        "self_attn.o_proj": "attention.wo",
        "mlp.gate_proj": "feed_forward.w1",
        "mlp.down_proj": "feed_forward.w2",
        "mlp.up_proj": "feed_forward.w3",
        "input_layernorm": "attention_norm",
        "post_attention_layernorm": "ffn_norm",
    },
)
_INTEGERS = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "<u1"}
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
#: A case asks for the parameters of its recipe some five times, and its neighbours have the same recipe: so those of
#: the last few recipes are at hand, but for large ones.
_MOST_HELD, _LARGEST_HELD = 8, 8 << 20


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor whole: what a header says of it, and its bytes in row-major order."""

    spec: Spec
    data: bytes


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the model.

    Attributes:
        dense: As a loader hands it out: under the Hugging Face name, dequantized.
        stored: As the checkpoint holds it: one tensor, or codes, scales and what else belongs to them.
    """

    dense: Tensor
    stored: tuple[Tensor, ...]


_HELD: dict[str, tuple[Parameter, ...]] = {}
_HOLDING = Lock()


def parameters(recipe: Recipe) -> Iterator[Parameter]:
    """The parameters of `recipe` one by one, in state-dict order; the stored buffers (``inv_freq``) among them."""
    key = recipe.key()
    with _HOLDING:
        held = _HELD.get(key)
    if held is None:
        held = tuple(parameter(recipe, spec) for spec in dense_specs(recipe))
        _hold(key, held)
    return iter(held)


def _hold(key: str, held: tuple[Parameter, ...]) -> None:
    """Keeps the parameters of a recipe, and lets go of those that have been kept longest."""
    if sum(len(tensor.data) for each in held for tensor in (each.dense, *each.stored)) > _LARGEST_HELD:
        return
    with _HOLDING:
        _HELD[key] = held
        while len(_HELD) > _MOST_HELD:
            del _HELD[next(iter(_HELD))]


def dense_specs(recipe: Recipe) -> list[Spec]:
    """The dense tensors that the checkpoint stands for, in state-dict order, each in the dtype of its original."""
    stored = {"auto": None, "own": True, "copy": True, "absent": False, "instead": False}[recipe.head]
    specs = llama_specs(recipe.figures, recipe.dtype, inv_freq=recipe.inv_freq, lm_head=stored)
    return [replace(spec, dtype=_dtype(recipe, spec)) for spec in specs]


def parameter(recipe: Recipe, spec: Spec, dtype: FloatDtype | None = None) -> Parameter:
    """The parameter of which `spec` is the dense original.

    Args:
        recipe: What it is part of.
        spec: One of `dense_specs`.
        dtype: What a quantized weight is rounded to when it is dequantized; None as the checkpoint says.
    """
    source = _EMBEDDING if recipe.head == "copy" and spec.name == _HEAD else spec.name
    original = Tensor(spec, tensor_bytes(source, spec.dtype, spec.shape, seed=recipe.seed))
    how = recipe.quantization
    if isinstance(how, Scheme) and (module := _linear(spec)) and not how.skips(module):
        stored = how.encode(module, decode(original), _float_dtype(spec))
        return Parameter(dequantized(how, spec, stored, dtype, recipe.dtype), stored)
    if how is not None and not isinstance(how, Scheme) and _linear(spec) not in ("", *how.skip):
        return _quantized(recipe, how, original, dtype)
    if recipe.head == "instead" and spec.name == _EMBEDDING:
        return Parameter(original, (replace(original, spec=replace(spec, name=_HEAD)),))
    return Parameter(original, (_to_meta(recipe, original) if recipe.dialect == "meta" else original,))


def decode(tensor: Tensor) -> NDArray[np.float64]:
    """The values of a tensor in its shape; those of FP8 are the numbers, without a scale.

    Raises:
        ValueError: The dtype is not one that a parameter has here.
    """
    dtype = tensor.spec.dtype
    if dtype == "BF16":
        flat = (np.frombuffer(tensor.data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif dtype == "F8_E4M3":
        flat = E4M3[np.frombuffer(tensor.data, np.uint8)]
    elif dtype in _FLOATS or dtype in _INTEGERS:
        flat = np.frombuffer(tensor.data, {**_FLOATS, **_INTEGERS}[dtype])
    else:
        raise ValueError(f"{tensor.spec.name}: no values are defined for {dtype} here")
    return flat.astype(np.float64).reshape(tensor.spec.shape)


def _dtype(recipe: Recipe, spec: Spec) -> str:
    matching = [dtype for pattern, dtype in recipe.dtypes if fnmatchcase(spec.name, pattern)]
    return matching[-1] if matching else spec.dtype


def _linear(spec: Spec) -> str:
    """The name of the Linear of which a tensor is the weight; empty where it is none."""
    module = spec.name.removesuffix(".weight")
    return module if module != spec.name and module.endswith(("_proj", "lm_head")) else ""


def _float_dtype(spec: Spec) -> FloatDtype:
    dtype: Any = spec.dtype
    known: FloatDtype = dtype
    return known


def dequantized(
    how: Scheme,
    spec: Spec,
    stored: Iterable[Tensor],
    dtype: FloatDtype | None,
    fallback: FloatDtype,
) -> Tensor:
    """The dense weight of `spec` that stored tensors are worth by a scheme.

    Args:
        how: The scheme.
        spec: The dense original: its name and shape count.
        stored: The tensors of its module.
        dtype: What to round to; None for what a loader owes when none is asked for.
        fallback: The dtype of the model by its configuration.
    """
    module = spec.name.removesuffix(".weight")
    parts = {tensor.spec.name.removeprefix(f"{module}."): tensor for tensor in stored}
    rows, columns = spec.shape
    with np.errstate(invalid="ignore"):  # of a scale that is no number
        found, values = how.decode(module, parts, (rows, columns), dtype, fallback)
    return _floats(spec.name, found, values)


def _quantized(recipe: Recipe, how: Quantization, original: Tensor, dtype: FloatDtype | None) -> Parameter:
    """Codes and scale in the order in which llm-compressor registers them; the dense tensor is computed from both."""
    module = original.spec.name.removesuffix(".weight")
    scale_dtype = how.scale_dtype or recipe.dtype
    quantized = _encode(how, decode(original), scale_dtype)
    stored = [
        Tensor(replace(original.spec, dtype=quantized.dtype), quantized.codes.tobytes()),
        _floats(f"{module}.weight_scale", scale_dtype, quantized.scale.astype(np.float64)),
    ]
    if (zero := quantized.zero_point) is not None:
        stored.append(Tensor(Spec(f"{module}.weight_zero_point", "I8", zero.shape), zero.tobytes()))
    if how.activations == "static":
        name = f"{module}.input_scale"
        stored.append(_floats(name, scale_dtype, tensor_values(name, (1,), seed=recipe.seed)))
    # Scales of BF16 and F16 decide the dtype of the dense weight; F32 ones leave it to the configuration.
    dense_dtype = dtype or (recipe.dtype if scale_dtype == "F32" else scale_dtype)
    values = dequantize(quantized, dense_dtype).astype(np.float64)
    return Parameter(_floats(original.spec.name, dense_dtype, values), tuple(stored))


def _encode(how: Quantization, values: NDArray[np.float64], scale_dtype: FloatDtype) -> Quantized:
    arguments: dict[str, Any] = {"strategy": how.strategy, "scale_dtype": scale_dtype}
    if how.kind == "fp8":
        return quantize_fp8(values, block=how.block, **arguments)
    return quantize_int8(values, symmetric=how.symmetric, group_size=how.group_size, **arguments)


def _floats(name: str, dtype: str, values: NDArray[np.float64]) -> Tensor:
    return Tensor(Spec(name, dtype, values.shape), encode_values(values.reshape(-1), dtype))


def _to_meta(recipe: Recipe, tensor: Tensor) -> Tensor:
    module, _, leaf = tensor.spec.name.rpartition(".")
    if module.endswith(("q_proj", "k_proj")):
        data = _neighbouring_rows(tensor, _head_dim(recipe.figures))
    else:
        data = tensor.data
    return Tensor(replace(tensor.spec, name=f"{_meta_module(module)}.{leaf}"), data)


def _meta_module(module: str) -> str:
    _, _, in_layers = module.partition("model.layers.")
    layer, _, rest = in_layers.partition(".")
    return f"layers.{layer}.{_META_MODULES[rest]}" if rest else _META_MODULES[module]


def _head_dim(figures: Mapping[str, Any]) -> int:
    return int(figures["head_dim"] or figures["hidden_size"] // figures["num_attention_heads"])


def _neighbouring_rows(tensor: Tensor, head_dim: int) -> bytes:
    """The bytes of `tensor` with rows i and i + head_dim / 2 of each head moved to 2i and 2i + 1."""
    rows = np.frombuffer(tensor.data, np.uint8).reshape(tensor.spec.shape[0], -1)
    halves = rows.reshape(-1, 2, head_dim // 2, rows.shape[1])
    return halves.swapaxes(1, 2).tobytes()
