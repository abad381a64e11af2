"""WeightAnalyzer: what a checkpoint holds, whether it is whole, how much memory it takes. No torch, no weight byte."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferno_loader.capabilities import capability
from inferno_loader.checkpoint import Checkpoint, open_checkpoint
from inferno_loader.config import LlamaConfig
from inferno_loader.dtypes import DTYPES, Dtype, parse_dtype
from inferno_loader.findings import Finding
from inferno_loader.load_plan import step_bytes
from inferno_loader.memory import MemoryRequirements, activation_bytes, kv_cache_bytes, recommend
from inferno_loader.quantization.settings import settings_of
from inferno_loader.ranges import format_ranges
from inferno_loader.resolve import Resolution, ResolvedWeight, resolve
from inferno_loader.variants import Variant, identify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferno_loader.header import Header
    from inferno_loader.weight_files import WeightsChoice


@dataclass(frozen=True, slots=True)
class DtypeUse:
    """How much of a checkpoint has one dtype: tensors, elements as stored, and bytes by their offsets."""

    dtype: str
    tensors: int
    elements: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class ShardUse:
    """One file: its size, that of its header, its tensors, and the layers that it holds."""

    name: str
    file_bytes: int
    header_bytes: int
    tensors: int
    layers: str


@dataclass(frozen=True)
class WeightAnalysis:
    """What a checkpoint holds. Tensors and bytes are those that a load uses.

    Attributes:
        path: The checkpoint.
        checkpoint: Its headers.
        config: Its configuration.
        variant: Which model it is.
        resolution: Which tensors make which parameter.
    """

    path: Path
    checkpoint: Checkpoint
    config: LlamaConfig
    variant: Variant
    resolution: Resolution

    @property
    def scheme(self) -> str:
        """``none``, or the words of the quantization schemes, told from the tensors."""
        return self.resolution.schemes

    @property
    def tied(self) -> bool:
        """Whether head and embedding are one."""
        return self.resolution.tied

    @cached_property
    def parameters(self) -> int:
        """Logical elements: packed formats unpacked, a tied head once; no buffers, scales or zero points."""
        return sum(weight.elements for weight in self.resolution.weights)

    @cached_property
    def tensors(self) -> int:
        """Stored tensors that a load uses."""
        return sum(len(weight.parts) for weight in self.resolution.weights)

    @cached_property
    def nbytes(self) -> int:
        """Their bytes, as spans of offsets."""
        return sum(weight.stored_bytes for weight in self.resolution.weights)

    @cached_property
    def dtypes(self) -> tuple[DtypeUse, ...]:
        """What has which dtype, the most bytes first."""
        return _dtype_uses(self.resolution.weights)

    @cached_property
    def shards(self) -> tuple[ShardUse, ...]:
        """Every file, sorted by name."""
        layers = _layers_by_shard(self.resolution.weights)
        return tuple(_shard_use(name, header, layers) for name, header in self.checkpoint.shards.items())

    @cached_property
    def layers(self) -> str:
        """Layers of which at least one tensor is there, with their holes: ``0-6,8-31``."""
        return format_ranges(number for weight in self.resolution.weights for number in _layer(weight.name))

    @cached_property
    def incomplete_layers(self) -> str:
        """Layers that lack a tensor; empty where the checkpoint is whole."""
        return format_ranges(number for name in self.resolution.missing for number in _layer(name))

    @cached_property
    def dense_bytes(self) -> int:
        """Bytes of all weights loaded dense, each in its own dtype; a tied head once."""
        return self.weight_bytes()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything odd or wrong: of the files, the configuration, and how they fit."""
        problems = tuple(Finding.from_error(problem) for problem in self.resolution.problems)
        return (*problems, *self.checkpoint.findings, *self.config.findings, *self.resolution.findings)

    @property
    def sound(self) -> bool:
        """Whether nothing stops a load."""
        return not self.resolution.problems

    def weight_bytes(self, dtype: object = None, *, dequantize: bool = True) -> int:
        """Bytes of the weights as loaded.

        Args:
            dtype: Dtype of the dense weights; None keeps each as stored.
            dequantize: Whether quantized weights become dense.

        Raises:
            UnsupportedDtypeError: `dtype` is none.
        """
        wanted = None if dtype is None else parse_dtype(dtype)
        return sum(self._loaded_bytes(weight, wanted, dequantize=dequantize) for weight in self.resolution.weights)

    def _loaded_bytes(self, weight: ResolvedWeight, dtype: Dtype | None, *, dequantize: bool) -> int:
        if weight.alias_of:
            return 0
        if self.resolution.stays_quantized(weight, dequantize=dequantize):
            return weight.stored_bytes
        return weight.elements * (dtype or self._dense_dtype(weight)).bits // 8

    def _dense_dtype(self, weight: ResolvedWeight) -> Dtype:
        if weight.quantized:
            return weight.quantized.dtype
        return self.compute_dtype if weight.scheme != "none" else weight.parts[weight.suffix].info.dtype

    @property
    def compute_dtype(self) -> Dtype:
        """Dtype of activations where the caller asks for none: the configuration's, else BF16."""
        return self.config.dtype or DTYPES["BF16"]

    def memory(
        self, *, dtype: object = None, dequantize: bool = True, batch: int = 1, length: int | None = None
    ) -> MemoryRequirements:
        """Memory of the model in use.

        Args:
            dtype: Dtype of weights, cache and activations; None keeps weights as stored.
            dequantize: Whether quantized weights become dense.
            batch: Sequences.
            length: Positions of each; the configuration's most where not given.

        Raises:
            UnsupportedDtypeError: `dtype` is none.
        """
        positions = self.config.max_position_embeddings if length is None else length
        compute = self.compute_dtype if dtype is None else parse_dtype(dtype)
        element = compute.bits // 8
        transient = (self._transient_bytes(weight, dtype, dequantize=dequantize) for weight in self.resolution.weights)
        return MemoryRequirements(
            weights=self.weight_bytes(dtype, dequantize=dequantize),
            transient=max(transient, default=0),
            kv_cache=kv_cache_bytes(self.config, batch, positions, element),
            activations=activation_bytes(self.config, batch, positions, element)
            + self._unpacked_bytes(element, dequantize=dequantize),
            batch=batch,
            length=positions,
            dtype=compute.name,
        )

    def _unpacked_bytes(self, element_bytes: int, *, dequantize: bool) -> int:
        """The largest weight that stays quantized, as it is while its product is computed: dense, beside one step."""
        kept = [
            each for each in self.resolution.weights if self.resolution.stays_quantized(each, dequantize=dequantize)
        ]
        return max((each.elements * element_bytes + step_bytes(each.elements) for each in kept), default=0)

    def _transient_bytes(self, weight: ResolvedWeight, dtype: object, *, dequantize: bool) -> int:
        """What stands beside the weight while it is made, where loading makes it from the stored tensors."""
        if weight.alias_of or self.resolution.stays_quantized(weight, dequantize=dequantize):
            return 0
        if weight.scheme != "none":
            return weight.stored_bytes + step_bytes(weight.elements)
        kept = dtype is None or parse_dtype(dtype) == weight.parts[weight.suffix].info.dtype
        return 0 if kept else weight.stored_bytes

    def recommendations(self, needed: MemoryRequirements, available: int | None) -> tuple[str, ...]:
        """What to do so that `needed` fits into `available` bytes."""
        element = DTYPES[needed.dtype].bits // 8
        return recommend(self.config, needed, available, element, quantized=self.scheme != "none")

    def to_json(self) -> dict[str, Any]:
        """The analysis as a JSON object, memory for one sequence of the configuration's length included."""
        needed, machine = self.memory(), capability()
        return {
            "path": str(self.path),
            "variant": asdict(self.variant),
            "layout": self.checkpoint.layout,
            "dialect": self.resolution.modules.dialect,
            "scheme": self.scheme,
            "tied": self.tied,
            "parameters": self.parameters,
            "tensors": self.tensors,
            "bytes": self.nbytes,
            "dense_bytes": self.dense_bytes,
            "dtypes": {
                use.dtype: {"tensors": use.tensors, "elements": use.elements, "bytes": use.nbytes}
                for use in self.dtypes
            },
            "shards": [asdict(shard) for shard in self.shards],
            "layers": self.layers,
            "incomplete_layers": self.incomplete_layers,
            "memory": needed.to_json(),
            "machine": machine.to_json(),
            "recommendations": list(self.recommendations(needed, machine.available_bytes)),
            "sound": self.sound,
            "findings": [finding.to_json() for finding in self.findings],
        }


class WeightAnalyzer:
    """Looks at one checkpoint.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it.
        weights: Which set of files, where a directory holds several.
    """

    def __init__(self, path: str | Path, *, weights: WeightsChoice | None = None) -> None:
        self.path = Path(path)
        self.weights = weights

    def analyze(self) -> WeightAnalysis:
        """Read headers and configuration, and hold them against each other.

        A checkpoint that is readable and wrong gives an analysis whose findings say what is wrong.

        Raises:
            FileError, HeaderError, CheckpointError: The files cannot be read as one checkpoint.
            ConfigError, UnknownSchemeError: The configuration cannot be used.
            TensorNameError: The names belong to no dialect, or collide.
        """
        checkpoint = open_checkpoint(self.path, weights=self.weights)
        config = LlamaConfig.from_directory(checkpoint.root)
        resolution = resolve(checkpoint, config, settings_of(config))
        hint = checkpoint.root.resolve().name
        return WeightAnalysis(self.path, checkpoint, config, identify(config, hint), resolution)


def analyze(path: str | Path, *, weights: WeightsChoice | None = None) -> WeightAnalysis:
    """What the checkpoint at `path` holds. See `WeightAnalyzer.analyze`."""
    return WeightAnalyzer(path, weights=weights).analyze()


def _dtype_uses(weights: Iterable[ResolvedWeight]) -> tuple[DtypeUse, ...]:
    infos = [part.info for weight in weights for part in weight.parts.values()]
    uses = []
    for name in dict.fromkeys(info.dtype.name for info in infos):
        mine = [info for info in infos if info.dtype.name == name]
        uses.append(DtypeUse(name, len(mine), sum(info.elements for info in mine), sum(info.nbytes for info in mine)))
    return tuple(sorted(uses, key=lambda use: -use.nbytes))


def _layer(name: str) -> list[int]:
    """The layer in a Hugging Face name, if any."""
    parts = name.split(".", 3)
    return [int(parts[2])] if len(parts) > 3 and parts[1] == "layers" else []  # noqa: PLR2004 - model.layers.0.rest


def _layers_by_shard(weights: Iterable[ResolvedWeight]) -> dict[Path, set[int]]:
    found: dict[Path, set[int]] = {}
    for weight in weights:
        for part in weight.parts.values():
            found.setdefault(part.shard.path, set()).update(_layer(weight.name))
    return found


def _shard_use(name: str, header: Header, layers: dict[Path, set[int]]) -> ShardUse:
    ranges = format_ranges(layers.get(header.path, ()))
    return ShardUse(name, header.identity.size, header.length, len(header.tensors), ranges)
