"""From a directory to a `LoadPlan`, or to an error that names everything that is wrong. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from inferno_loader import problems
from inferno_loader.checkpoint import open_checkpoint
from inferno_loader.dtypes import DTYPES, Dtype, parse_dtype
from inferno_loader.errors import MemoryLimitError, UnsupportedDtypeError
from inferno_loader.findings import Finding
from inferno_loader.gguf.config import model_config
from inferno_loader.load_plan import LoadPlan, PlannedTensor, RowMove
from inferno_loader.names import Dialect, RowPermutation, layout_change, translate
from inferno_loader.packed_rows import part_moves
from inferno_loader.quantization.settings import settings_of
from inferno_loader.ranges import sample
from inferno_loader.resolve import Resolution, ResolvedWeight, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from inferno_loader.config import LlamaConfig
    from inferno_loader.quantization import QuantizedWeight
    from inferno_loader.weight_files import WeightsChoice


class PlanOptions(TypedDict, total=False):
    """The options of `plan`, for whoever passes them on."""

    dtype: object
    device: str
    names: Dialect
    dequantize: bool
    tie: Literal["embedding"] | None
    allow_unexpected: Sequence[str]
    weights: WeightsChoice | None
    mmap: bool
    max_memory: int | None


def plan(
    path: str | Path,
    *,
    dtype: object = None,
    device: str = "cpu",
    names: Dialect = "inferno",
    dequantize: bool = True,
    tie: Literal["embedding"] | None = None,
    allow_unexpected: Sequence[str] = (),
    weights: WeightsChoice | None = None,
    mmap: bool = False,
    max_memory: int | None = None,
) -> LoadPlan:
    """Plan a load. Headers and configuration are read, and no weight.

    One exception: where a tied head is stored beside the embedding, both are compared, because they may be one.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
        dtype: Dtype of the dense weights: F64, F32, F16 or BF16, by name or as a torch dtype. None keeps each as
            stored.
        device: Where the tensors go, as torch spells it.
        names: Dialect of the delivered names.
        dequantize: Deliver quantized weights dense; otherwise their codes, scales and zero points as stored (but for
            a quantized embedding, whose rows are looked up: it is always dense).
        tie: ``"embedding"`` lets the embedding serve as a head that is missing though the configuration unties it.
        allow_unexpected: Patterns (`fnmatch`) of stored names that may be left out.
        weights: Which set of files, where a directory holds several.
        mmap: Let tensors that are kept as stored alias the file. Faster, and a file that is cut later kills the
            process.
        max_memory: Bytes that the load may take at its peak.

    Raises:
        FileError, HeaderError, CheckpointError: The files.
        ConfigError: The configuration.
        PlanError, QuantizationError, TensorNameError: The tensors do not make this model; all that is wrong is told.
    """
    wanted = _dense_dtype(dtype)
    checkpoint = open_checkpoint(path, weights=weights)
    config = model_config(checkpoint.root, checkpoint.shards)
    resolution = resolve(checkpoint, config, settings_of(config), tie=tie, allow_unexpected=allow_unexpected)
    if resolution.problems:
        raise problems.summed_up(resolution.problems, checkpoint)
    delivery = _Delivery(resolution, config, names, wanted, dequantize=dequantize)
    tensors = tuple(tensor for weight in resolution.weights for tensor in delivery.of(weight))
    findings = (*checkpoint.findings, *config.findings, *resolution.findings, *_cast_findings(tensors))
    result = LoadPlan(
        path=Path(path),
        checkpoint=checkpoint,
        config=config,
        names=names,
        device=device,
        mmap=mmap,
        dequantize=dequantize,
        tensors=tensors,
        scheme=resolution.schemes,
        tied=resolution.tied,
        ignored=tuple(resolution.ignored),
        findings=findings,
    )
    _check_memory(result, max_memory)
    return result


def _dense_dtype(dtype: object) -> Dtype | None:
    if dtype is None:
        return None
    wanted = parse_dtype(dtype)
    if not wanted.dense:
        raise UnsupportedDtypeError(
            "weights cannot be cast to this dtype",
            expected=", ".join(name for name, known in DTYPES.items() if known.dense),
            actual=wanted,
            remedy="choose a dtype that holds weights without a scale, or quantize with a library made for it",
        )
    return wanted


class _Delivery:
    """How resolved weights are delivered: under which names, in which dtype and row order."""

    def __init__(
        self, resolution: Resolution, config: LlamaConfig, names: Dialect, dtype: Dtype | None, *, dequantize: bool
    ) -> None:
        self.resolution, self.stored_names = resolution, resolution.modules.dialect
        self.dtypes = {weight.name: dtype or _own_dtype(weight) for weight in resolution.weights if not weight.alias_of}
        self.config, self.names, self.dequantize = config, names, dequantize

    def of(self, weight: ResolvedWeight) -> Iterator[PlannedTensor]:
        """The tensors that deliver `weight`: one, or one for each part of a weight that stays quantized."""
        if weight.alias_of:
            yield self._alias(weight, weight.alias_of)
        elif weight.quantized is None:
            yield self._dense(weight)
        elif self.resolution.stays_quantized(weight, dequantize=self.dequantize):
            yield from self._as_stored(weight)
        else:
            yield self._dequantized(weight)

    def _name(self, name: str) -> str:
        return translate(name, "huggingface", self.names)

    def _alias(self, weight: ResolvedWeight, original: str) -> PlannedTensor:
        return PlannedTensor(
            name=self._name(weight.name),
            source=weight.name,
            shape=weight.shape,
            dtype=self.dtypes[original],
            action="alias",
            parts={},
            alias_of=self._name(original),
        )

    def _dense(self, weight: ResolvedWeight) -> PlannedTensor:
        stored = weight.parts[weight.suffix]
        dtype = self.dtypes[weight.name]
        return PlannedTensor(
            name=self._name(weight.name),
            source=weight.name,
            shape=weight.shape,
            dtype=dtype,
            action="keep" if dtype == stored.info.dtype else "cast",
            parts=weight.parts,
            move=self._move(weight.module, weight.suffix, stored.info.shape, stored.name),
        )

    def _dequantized(self, weight: ResolvedWeight) -> PlannedTensor:
        assert weight.quantized is not None  # noqa: S101 - `of` has seen to it
        return PlannedTensor(
            name=self._name(weight.name),
            source=weight.name,
            shape=weight.shape,
            dtype=self.dtypes[weight.name],
            action="dequantize",
            parts=weight.quantized.parts,
            quantized=weight.quantized,
            move=self._move(weight.module, "weight", weight.shape, weight.name),
        )

    def _as_stored(self, weight: ResolvedWeight) -> Iterator[PlannedTensor]:
        assert weight.quantized is not None  # noqa: S101 - `of` has seen to it
        for suffix, part in weight.quantized.parts.items():
            yield PlannedTensor(
                name=self._name(f"{weight.module}.{suffix}"),
                source=f"{weight.module}.{suffix}",
                shape=part.info.shape,
                dtype=part.info.dtype,
                action="keep",
                parts={suffix: part},
                quantized=weight.quantized,
                move=self._part_move(weight.module, suffix, weight.quantized),
                dense_dtype=self.dtypes[weight.name],
            )

    def _move(self, module: str, suffix: str, shape: tuple[int, ...], tensor: str) -> RowMove | None:
        move = self._change(module)
        return move if move and move.rows.concerns(suffix, shape, tensor=tensor) else None

    def _part_move(self, module: str, suffix: str, weight: QuantizedWeight) -> RowMove | None:
        move = self._change(module)
        return move if move and part_moves(weight, suffix, move.rows) else None

    def _change(self, module: str) -> RowMove | None:
        """How the rows of a module move between the dialect of the file and the one asked for."""
        change = layout_change(module, self.stored_names, self.names)
        if change.kind == "none":
            return None
        heads = self.config.num_key_value_heads if change.heads == "kv" else self.config.num_attention_heads
        return RowMove(RowPermutation(heads, self.config.head_dim), change.kind)


def _own_dtype(weight: ResolvedWeight) -> Dtype:
    """The dtype where the caller asks for none: as stored, or what the format dequantizes to."""
    return weight.quantized.dtype if weight.quantized else weight.parts[weight.suffix].info.dtype


def _cast_findings(tensors: Iterable[PlannedTensor]) -> list[Finding]:
    """One finding for each pair of dtypes that are cast."""
    pairs: dict[tuple[Dtype, Dtype], list[PlannedTensor]] = {}
    for tensor in tensors:
        if tensor.action == "cast":
            stored = next(iter(tensor.parts.values())).info.dtype
            pairs.setdefault((stored, tensor.dtype), []).append(tensor)
    findings = []
    for (stored, target), group in pairs.items():
        text = f"{len(group)} tensors are cast from {stored} to {target}: {sample([item.source for item in group], 3)}"
        lossy = stored.loses_to(target)
        findings.append(
            Finding.warning("plan.lossy_cast", f"{text}; values may change")
            if lossy
            else Finding.note("plan.cast", text)
        )
    return findings


def _check_memory(result: LoadPlan, max_memory: int | None) -> None:
    if max_memory is not None and result.peak_bytes > max_memory:
        raise MemoryLimitError(
            "the load would take more memory than allowed",
            path=result.path,
            expected=f"at most {max_memory} bytes",
            actual=f"{result.peak_bytes} bytes at the peak, {result.weight_bytes} of them weights",
            remedy="allow more, choose a smaller dtype, keep quantized weights with dequantize=False, or use mmap=True",
        )
