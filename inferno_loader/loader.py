"""Loading: a plan, its tensors, and a model filled with them. Imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from inferno_loader.capabilities import require_device
from inferno_loader.errors import TensorNameError
from inferno_loader.model.layers import Linear, QuantizedLinear
from inferno_loader.model.llama import InfernoLlama
from inferno_loader.planner import PlanOptions, plan
from inferno_loader.reader import Progress, read_tensors, torch_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from inferno_loader.config import LlamaConfig
    from inferno_loader.load_plan import LoadPlan, PlannedTensor


def load_state_dict(
    path: str | Path,
    *,
    progress: Progress | None = None,
    fallback: Literal["cpu"] | None = None,
    **options: Unpack[PlanOptions],
) -> dict[str, torch.Tensor]:
    """Load every tensor of a checkpoint, all or nothing. A tied head is there under both names, in one memory.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
        progress: Called with the bytes done, the bytes in all, and the tensor just read.
        fallback: ``"cpu"`` allows the CPU where the device is not there.
        options: Those of `inferno_loader.plan`.

    Returns:
        Tensors by name in the dialect asked for, in the order of the model.

    Raises:
        InfernoError: As `inferno_loader.plan`, and what reading can add: a changed file, a scale that is not finite, a
            device that is not there.
    """
    return ModelLoader(path, progress=progress, fallback=fallback, **options).load_weights()


def load_model(
    path: str | Path,
    *,
    progress: Progress | None = None,
    fallback: Literal["cpu"] | None = None,
    **options: Unpack[PlanOptions],
) -> InfernoLlama:
    """Load a checkpoint into an `InfernoLlama`, ready for inference.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
        progress: Called with the bytes done, the bytes in all, and the tensor just read.
        fallback: ``"cpu"`` allows the CPU where the device is not there.
        options: Those of `inferno_loader.plan`, but for the names: a model has those of the inferno dialect.

    Raises:
        InfernoError: As `load_state_dict`.
    """
    return ModelLoader(path, progress=progress, fallback=fallback, **options).load()


class ModelLoader:
    """Config, plan, weights, model: each step at hand for whoever wants to look between them.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
        progress: Called as bytes arrive.
        fallback: ``"cpu"`` allows the CPU where the device is not there.
        options: Those of `inferno_loader.plan`.

    Raises:
        InfernoError: The checkpoint cannot be loaded as asked: known before one weight is read.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        progress: Progress | None = None,
        fallback: Literal["cpu"] | None = None,
        **options: Unpack[PlanOptions],
    ) -> None:
        options["device"] = require_device(options.get("device", "cpu"), options.get("dtype"), fallback=fallback)
        self.plan: LoadPlan = plan(path, **options)
        self._progress = progress

    @property
    def config(self) -> LlamaConfig:
        """The configuration of the checkpoint."""
        return self.plan.config

    def load_weights(self) -> dict[str, torch.Tensor]:
        """The tensors of the plan, by name, all or nothing."""
        return read_tensors(self.plan, progress=self._progress)

    def load(self) -> InfernoLlama:
        """The model, filled.

        Raises:
            TensorNameError: The plan has the names of another dialect. No weight has been read.
        """
        if self.plan.names != "inferno":
            raise TensorNameError(
                "a model has the names of the inferno dialect",
                expected="inferno",
                actual=self.plan.names,
                remedy="leave `names` out, or load the tensors alone with load_state_dict",
            )
        model = build_model(self.plan)
        fill_model(model, self.load_weights())
        return model


def build_model(plan: LoadPlan) -> InfernoLlama:
    """The model of a plan on ``meta``: no memory, and a `QuantizedLinear` for each weight that stays quantized."""
    parts: dict[str, list[PlannedTensor]] = {}
    for tensor in plan.tensors:
        if tensor.quantized and tensor.action == "keep":
            (suffix,) = tensor.parts
            parts.setdefault(tensor.name.removesuffix(f".{suffix}"), []).append(tensor)

    def linear(name: str, features: tuple[int, int], bias: bool) -> Linear | QuantizedLinear:
        return _quantized_linear(parts[name], bias=bias) if name in parts else Linear(features, bias=bias)

    return InfernoLlama(plan.config, linear=linear)


def _quantized_linear(tensors: Sequence[PlannedTensor], *, bias: bool) -> QuantizedLinear:
    """The module of a weight whose parts are `tensors`."""
    first = tensors[0]
    assert first.quantized is not None  # noqa: S101 - they are the parts of one
    shapes = {suffix: tensor.shape for tensor in tensors for suffix in tensor.parts}
    dtype = torch_dtype(first.dense_dtype) if first.dense_dtype else None
    return QuantizedLinear(first.quantized, shapes, dtype=dtype, bias=bias)


def fill_model(model: InfernoLlama, weights: dict[str, Any]) -> None:
    """Put loaded tensors in the place of the empty ones, without a copy. Every place must be filled.

    Raises:
        RuntimeError: A name is missing or too many: the plan and the model disagree, which is a defect of ours.
    """
    model.load_state_dict(weights, strict=True, assign=True)
    if weights.get("lm_head.weight") is weights["embed_tokens.weight"]:
        model.lm_head.weight = model.embed_tokens.weight
    model.requires_grad_(requires_grad=False)
    model.eval()
