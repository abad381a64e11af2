"""The errors of a checkpoint that does not make its model: each with where, what, and what to do. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.architecture import HEAD
from inferno_loader.errors import (
    DtypeMismatchError,
    InfernoError,
    MissingScaleError,
    MissingTensorError,
    PlanError,
    ShapeMismatchError,
    UndeclaredCodesError,
    UnexpectedTensorError,
    UnusedScaleError,
)
from inferno_loader.names import suggest
from inferno_loader.ranges import sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferno_loader.checkpoint import Checkpoint, StoredTensor
    from inferno_loader.names import Dialect

_MOST_TOLD = 5


def missing(names: Sequence[str], checkpoint: Checkpoint) -> MissingTensorError:
    """Parameters that the checkpoint lacks, by Hugging Face's names."""
    unused = {tensor.name for tensor in checkpoint.unused}
    omitted = [name for name in names if name in unused]
    return MissingTensorError(
        f"the checkpoint lacks {len(names)} tensors of the model",
        names=names,
        path=checkpoint.root,
        tensor=names[0],
        expected=sample(names),
        actual=f"stored in a shard, and omitted by the index: {sample(omitted)}" if omitted else "not stored",
        remedy='tie="embedding" lets the embedding serve as the head, if the model was trained so'
        if names == [HEAD]
        else "the download is incomplete, or the configuration belongs to another model",
    )


def without_scale(weight: StoredTensor, *, declared: bool) -> MissingScaleError | UndeclaredCodesError:
    """Codes without a scale, where the configuration has `declared` a quantization, or has not."""
    kind: type[MissingScaleError | UndeclaredCodesError]
    if declared:
        problem, kind = "a quantized weight has no scale", MissingScaleError
        remedy = "the checkpoint is incomplete: fetch the shard that holds the scales, or write it again"
    else:
        problem, kind = "a weight holds codes, and nothing tells what they stand for", UndeclaredCodesError
        remedy = "scales and quantization_config were lost on the way: fetch the checkpoint again, or quantize it again"
    return kind(
        problem,
        path=weight.shard.path,
        tensor=weight.name,
        expected=f"{weight.name}_scale beside it",
        actual=f"{weight.info.dtype} codes alone",
        remedy=remedy,
    )


def not_dense(stored: StoredTensor) -> DtypeMismatchError:
    """A dtype that is neither a weight nor the codes of one, where a dense weight is expected."""
    return DtypeMismatchError(
        "a dtype that is no weight without a scale, where a dense weight is expected",
        names=(stored.name,),
        path=stored.shard.path,
        tensor=stored.name,
        expected="F64, F32, F16 or BF16, or a scale beside it",
        actual=stored.info.dtype,
        remedy="the scale was lost, or the file is no Llama: fetch the checkpoint again",
    )


def shape_mismatch(
    stored: StoredTensor, shape: tuple[int, ...], actual: Sequence[int] | None = None
) -> ShapeMismatchError:
    """A shape that the configuration contradicts: that of a tensor, or the `actual` one that it tells of its weight."""
    return ShapeMismatchError(
        "a tensor has another shape than the configuration asks for",
        names=(stored.name,),
        path=stored.shard.path,
        tensor=stored.name,
        expected=list(shape),
        actual=list(stored.info.shape if actual is None else actual),
        remedy="the checkpoint was saved without gathering its shards: save it again"
        if 0 in stored.info.shape
        else "the configuration belongs to another model, or the file to another checkpoint",
    )


def unused_scales(scales: Sequence[StoredTensor]) -> UnusedScaleError:
    """Scales beside no weight that uses them."""
    return UnusedScaleError(
        f"{len(scales)} scales stand beside no weight that uses them",
        path=scales[0].shard.path,
        tensor=scales[0].name,
        expected="codes beside each scale",
        actual=sample([stored.name for stored in scales]),
        remedy="the weights were replaced without their scales, or are of a layout that is not read: fetch it again",
    )


def unexpected(strangers: Sequence[StoredTensor], dialect: Dialect) -> UnexpectedTensorError:
    """Tensors that the model has no place for."""
    names = [stored.name for stored in strangers]
    hint = suggest(names[0], dialect)
    return UnexpectedTensorError(
        f"the model has no place for {len(names)} tensors",
        names=names,
        path=strangers[0].shard.path,
        tensor=names[0],
        expected=f"did you mean {hint}?" if hint else "tensors of a Llama",
        actual=sample(names),
        remedy="the configuration belongs to another model; or leave them out with allow_unexpected=[pattern]",
    )


def summed_up(problems: Sequence[InfernoError], checkpoint: Checkpoint) -> InfernoError:
    """The one error, one for all that are of one kind, or one that holds several kinds."""
    if len(problems) == 1:
        return problems[0]
    if len({type(problem) for problem in problems}) == 1:
        return _of_one_kind(problems)
    told = "; ".join(f"[{problem.code}] {problem.problem}: {problem.tensor or ''}" for problem in problems[:_MOST_TOLD])
    more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
    return PlanError(
        f"{len(problems)} things are wrong with the checkpoint",
        problems=problems,
        path=checkpoint.root,
        tensor=problems[0].tensor,
        actual=told + more,
        remedy="each is in the attribute `problems`, and in `inferno-loader check`",
    )


def _of_one_kind(problems: Sequence[InfernoError]) -> InfernoError:
    first, tensors = problems[0], [problem.tensor or "" for problem in problems]
    known = {"names": tensors, "problems": problems} if isinstance(first, PlanError) else {}
    return type(first)(
        f"{first.problem} ({len(problems)} of this kind)",
        path=first.path,
        tensor=first.tensor,
        expected=first.expected,
        actual=f"{first.actual}; likewise {sample(tensors[1:])}",
        remedy=first.remedy,
        **known,
    )
