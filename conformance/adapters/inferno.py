"""inferno_loader, the loader of this project, judged like any other."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch

from conformance.adapters.inferno_report import Told, reason_of, report_of
from inferno_loader._version import __version__
from inferno_loader.analyzer import analyze
from inferno_loader.checkpoint import Checkpoint, StoredTensor, open_checkpoint
from inferno_loader.load_plan import LoadPlan, PlannedTensor
from inferno_loader.loader import ModelLoader
from inferno_loader.problems import summed_up
from inferno_loader.reader import read_tensors, tensors_of_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from conformance.engine.reasons import Reason

#: Dtypes of the container of which torch makes tensors. F4 and F6 are counted, and not loaded.
_DTYPES = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64",
    "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0",
)  # fmt: skip
#: The schemes beyond those of 8 bits in compressed-tensors.
_SCHEMES = (
    "ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp", "ct-sparse", "gptq", "awq", "bnb", "fp8-block", "fbgemm",
    "modelopt", "torchao", "quanto", "hqq", "gguf",
)  # fmt: skip


class Inferno:
    """Strict, and by its plan: what it leaves out, casts or finds odd is reported."""

    name = "inferno"
    packages = ("inferno-loader", "torch", "safetensors")
    claims = frozenset(
        {"bytes", "sharded", "indexless", "tied", "cast", "bias", "family:mistral"}
        | {f"quant:{scheme}" for scheme in _SCHEMES}
        | {f"rope:{kind}" for kind in ("default", "linear", "dynamic", "llama3", "yarn", "longrope")}
        | {f"dtype:{dtype}" for dtype in _DTYPES},
    )

    def __init__(self) -> None:
        self.version = __version__
        self._told = Told()

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        return self._read(open_checkpoint(path))

    def read_bytes(self, data: bytes) -> Mapping[str, torch.Tensor]:
        """Every tensor of a file whose bytes are in memory."""
        self._told = Told()
        return tensors_of_bytes(data)

    def read_checkpoint(self, directory: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of the checkpoint."""
        return self._read(open_checkpoint(directory))

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """One dense tensor per parameter."""
        loader = self._planned(ModelLoader(directory, names="huggingface", dtype=dtype))
        return loader.load_weights()

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """The logits of every position."""
        model = self._planned(ModelLoader(directory, dtype="F32")).load()
        with torch.inference_mode():
            return cast("torch.Tensor", model(input_ids))

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Every fact. A checkpoint that the analysis does not call sound has none."""
        analysis = analyze(directory)
        if not analysis.sound:
            raise summed_up(analysis.resolution.problems, analysis.checkpoint)
        used = {part.shard.path for weight in analysis.resolution.weights for part in weight.parts.values()}
        return {
            "parameters": analysis.parameters,
            "tensors": analysis.tensors,
            "bytes": analysis.nbytes,
            "shards": len(used),
            "scheme": analysis.scheme,
            "tied": analysis.tied,
            "dtypes": {use.dtype: use.nbytes for use in analysis.dtypes},
            "dense_bytes": analysis.dense_bytes,
        }

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:  # noqa: ARG002 - of the last load
        """What the last load left out, cast and found odd."""
        return report_of(self._told)

    def reason(self, error: Exception) -> Reason | None:
        """By the code of the error."""
        return reason_of(error)

    def _planned(self, loader: ModelLoader) -> ModelLoader:
        plan = loader.plan
        self._told = Told(plan.findings, plan.ignored, tuple(tensor.source for tensor in plan.casts))
        return loader

    def _read(self, checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
        self._told = Told(checkpoint.findings)
        return read_tensors(_as_stored(checkpoint))


def _as_stored(checkpoint: Checkpoint) -> LoadPlan:
    """A plan that delivers every tensor as it is stored: what a load does, without a model that would need them."""
    return LoadPlan(
        path=checkpoint.root,
        checkpoint=checkpoint,
        config=cast("Any", None),
        names="huggingface",
        device="cpu",
        mmap=False,
        dequantize=False,
        tensors=tuple(map(_kept, checkpoint.tensors.values())),
        scheme="none",
        tied=False,
        ignored=(),
        findings=checkpoint.findings,
    )


def _kept(stored: StoredTensor) -> PlannedTensor:
    return PlannedTensor(
        name=stored.name,
        source=stored.name,
        shape=stored.info.shape,
        dtype=stored.info.dtype,
        action="keep",
        parts=MappingProxyType({"": stored}),
    )
