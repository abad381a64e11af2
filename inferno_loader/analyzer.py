"""WeightAnalyzer: what a checkpoint holds, whether it is whole, how much memory it takes. No torch, no weight byte."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferno_loader.capabilities import capability
from inferno_loader.checkpoint import Checkpoint, open_checkpoint
from inferno_loader.dtypes import DTYPES, Dtype, parse_dtype
from inferno_loader.findings import Finding
from inferno_loader.gguf.config import model_config
from inferno_loader.memory import MemoryRequirements, activation_bytes, kv_cache_bytes, recommend
from inferno_loader.quantization.settings import settings_of
from inferno_loader.ranges import format_ranges
from inferno_loader.resolve import Resolution, ResolvedWeight, resolve
from inferno_loader.uses import (
    DtypeUse,
    SchemeUse,
    ShardUse,
    dtype_uses,
    layer_of,
    layers_by_shard,
    scheme_use,
    shard_use,
)
from inferno_loader.variants import Variant, identify

if TYPE_CHECKING:
    from inferno_loader.config import LlamaConfig
    from inferno_loader.weight_files import WeightsChoice

__all__ = ["DtypeUse", "SchemeUse", "ShardUse", "WeightAnalysis", "WeightAnalyzer", "analyze"]


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
        return dtype_uses(self.resolution.weights)

    @cached_property
    def schemes(self) -> tuple[SchemeUse, ...]:
        """What has which scheme, ``none`` last."""
        stored = [weight for weight in self.resolution.weights if not weight.alias_of]
        words = sorted({weight.scheme for weight in stored}, key=lambda word: (word == "none", word))
        return tuple(scheme_use(word, [weight for weight in stored if weight.scheme == word]) for word in words)

    @cached_property
    def dense_matrices(self) -> tuple[str, ...]:
        """Hugging Face's names of the matrices that are not quantized; empty where none is."""
        if self.scheme == "none":
            return ()
        dense = [weight for weight in self.resolution.weights if weight.scheme == "none" and not weight.alias_of]
        return tuple(weight.name for weight in dense if len(weight.shape) == 2)  # noqa: PLR2004 - rows and columns

    @cached_property
    def bits_per_weight(self) -> float:
        """Bits on disk for each logical element of the whole model."""
        return 8 * self.nbytes / self.parameters if self.parameters else 0.0

    @cached_property
    def shards(self) -> tuple[ShardUse, ...]:
        """Every file, sorted by name."""
        layers = layers_by_shard(self.resolution.weights)
        return tuple(shard_use(name, header, layers) for name, header in self.checkpoint.shards.items())

    @cached_property
    def layers(self) -> str:
        """Layers of which at least one tensor is there, with their holes: ``0-6,8-31``."""
        return format_ranges(number for weight in self.resolution.weights for number in layer_of(weight.name))

    @cached_property
    def incomplete_layers(self) -> str:
        """Layers that lack a tensor; empty where the checkpoint is whole."""
        return format_ranges(number for name in self.resolution.missing for number in layer_of(name))

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
        wanted = None if dtype is None else parse_dtype(dtype)
        compute = wanted or self.compute_dtype
        element = compute.bits // 8
        return MemoryRequirements(
            weights=self.weight_bytes(dtype, dequantize=dequantize),
            transient=self._transient_bytes(wanted, dequantize=dequantize),
            kv_cache=kv_cache_bytes(self.config, batch, positions, element),
            activations=activation_bytes(self.config, batch, positions, element)
            + self._unpacked_bytes(compute, dequantize=dequantize),
            batch=batch,
            length=positions,
            dtype=compute.name,
        )

    def _unpacked_bytes(self, compute: Dtype, *, dequantize: bool) -> int:
        """The largest weight that stays quantized, as it is while its product is computed: dense, beside one step."""
        kept = [
            each for each in self.resolution.weights if self.resolution.stays_quantized(each, dequantize=dequantize)
        ]
        return max((each.elements * compute.bits // 8 + _step_bytes(each, compute) for each in kept), default=0)

    def _transient_bytes(self, dtype: Dtype | None, *, dequantize: bool) -> int:
        """What stands beside the weights at the peak of a load: see `LoadPlan.peak_bytes`."""
        own = [each for each in self.resolution.weights if not each.alias_of]
        own = [each for each in own if not self.resolution.stays_quantized(each, dequantize=dequantize)]
        made = [weight for weight in own if weight.scheme != "none"]
        room = max((weight.stored_bytes for weight in made), default=0)
        step = max((_step_bytes(weight, dtype or self._dense_dtype(weight)) for weight in made), default=0)
        cast = max((_cast_bytes(weight, dtype) for weight in own if weight.scheme == "none"), default=0)
        return max(room + step, cast - sum(self._loaded_bytes(each, dtype, dequantize=True) for each in made))

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
            "schemes": [{**asdict(use), "bits_per_weight": use.bits_per_weight} for use in self.schemes],
            "dense_matrices": list(self.dense_matrices),
            "bits_per_weight": self.bits_per_weight,
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
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
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
        config = model_config(checkpoint.root, checkpoint.shards)
        resolution = resolve(checkpoint, config, settings_of(config))
        hint = checkpoint.root.resolve().name
        return WeightAnalysis(self.path, checkpoint, config, identify(config, hint), resolution)


def analyze(path: str | Path, *, weights: WeightsChoice | None = None) -> WeightAnalysis:
    """What the checkpoint at `path` holds. See `WeightAnalyzer.analyze`."""
    return WeightAnalyzer(path, weights=weights).analyze()


def _cast_bytes(weight: ResolvedWeight, dtype: Dtype | None) -> int:
    """What is stored of a dense weight, where it is cast; nothing where it is kept."""
    kept = dtype is None or dtype == weight.parts[weight.suffix].info.dtype
    return 0 if kept else weight.stored_bytes


def _step_bytes(weight: ResolvedWeight, dtype: Dtype) -> int:
    """Memory of one step of the arithmetic; none is told of a weight that cannot be loaded."""
    return weight.quantized.step_bytes(dtype) if weight.quantized else 0
