"""Every error that inferno_loader raises, in one tree.

    InfernoError                      code, path, tensor, expected, actual, remedy
    ├── FileError                     a file or directory cannot be used as it stands
    │   ├── MissingFileError          file.missing
    │   ├── UnreadableFileError       file.unreadable
    │   ├── NotSafetensorsError       file.not_safetensors
    │   ├── NotGgufError              file.not_gguf
    │   ├── TruncatedFileError        file.truncated
    │   ├── TrailingBytesError        file.trailing
    │   └── ChangedFileError          file.changed
    ├── HeaderError                   header.invalid
    │   ├── HeaderTooLargeError       header.too_large
    │   ├── HeaderJsonError           header.json
    │   ├── HeaderEntryError          header.entry
    │   ├── HeaderVersionError        header.version
    │   ├── UnknownDtypeError         header.dtype
    │   ├── SizeMismatchError         header.size
    │   ├── HoleError                 header.hole
    │   ├── OverlapError              header.overlap
    │   └── DuplicateNameError        header.duplicate
    ├── CheckpointError               checkpoint.invalid
    │   ├── NoWeightsError            checkpoint.no_weights
    │   ├── PickleOnlyError           checkpoint.pickle
    │   ├── AmbiguousWeightsError     checkpoint.ambiguous
    │   ├── IndexFormatError          index.invalid
    │   ├── ShardPathError            index.escape
    │   ├── MissingShardError         index.missing_shard
    │   ├── BrokenPromiseError        index.promise
    │   ├── IncompleteShardsError     shards.incomplete
    │   └── DuplicateTensorError      shards.duplicate
    ├── TensorNameError               name.invalid
    │   └── NameCollisionError        name.collision
    ├── ConfigError                   config.invalid
    │   ├── MissingConfigError        config.missing
    │   └── ConfigValueError          config.value; the key at fault is in `key`
    │       ├── UnknownRopeTypeError    config.rope_type
    │       └── UnsupportedFamilyError  config.family
    ├── PlanError                     plan.invalid; several kinds at once, in `problems`
    │   ├── MissingTensorError        plan.missing
    │   ├── UnexpectedTensorError     plan.unexpected
    │   ├── ShapeMismatchError        plan.shape
    │   ├── DtypeMismatchError        plan.dtype
    │   └── MemoryLimitError          plan.memory
    ├── QuantizationError             quant.invalid
    │   ├── MissingScaleError         quant.missing_scale
    │   ├── UndeclaredCodesError      quant.undeclared_codes
    │   ├── UnusedScaleError          quant.unused_scale
    │   ├── InvalidScaleError         quant.scale
    │   ├── UnknownSchemeError        quant.unknown_scheme
    │   └── SchemeConflictError       quant.conflict
    ├── CapabilityError               capability.unavailable
    │   ├── DeviceUnavailableError    capability.device
    │   └── UnsupportedDtypeError     capability.dtype
    └── MissingDependencyError        dependency.missing

Codes are stable: a program may match on them. Messages are for people and may change. ``tests/unit/test_errors.py``
holds this outline against the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class InfernoError(Exception):
    """The root: catch it to catch everything that this package raises on purpose.

    Args:
        problem: What is wrong, one sentence without a full stop.
        path: The file or directory at fault.
        tensor: The tensor at fault, as named in the file.
        expected: What the rule asks for; any value with a readable ``str``.
        actual: What was found instead.
        remedy: What the reader can do about it.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        problem: str,
        *,
        path: Path | str | None = None,
        tensor: str | None = None,
        expected: object = None,
        actual: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else str(path)
        self.tensor = tensor
        self.expected = expected
        self.actual = actual
        self.remedy = remedy
        super().__init__(self._message())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy by the facts: ``Exception`` would call the class with the finished message as the problem."""
        return _restore, (type(self), *self.args), vars(self)

    def _message(self) -> str:
        facts = [
            f"{word}: {value}"
            for word, value in (
                ("file", self.path),
                ("tensor", self.tensor),
                ("expected", self.expected),
                ("actual", self.actual),
                ("remedy", self.remedy),
            )
            if value is not None
        ]
        return "\n  ".join([f"[{self.code}] {self.problem}", *facts])


def _restore(kind: type[InfernoError], message: str) -> InfernoError:
    return kind.__new__(kind, message)


class FileError(InfernoError):
    """A file or directory cannot be used as it stands."""

    code = "file.invalid"


class MissingFileError(FileError):
    """The path does not exist."""

    code = "file.missing"


class UnreadableFileError(FileError):
    """The operating system refuses the path, or it is no regular file or directory."""

    code = "file.unreadable"


class NotSafetensorsError(FileError):
    """The bytes are something else: an LFS pointer, a web page, a pickle, a GGUF file, an unfinished download."""

    code = "file.not_safetensors"


class NotGgufError(FileError):
    """The file is called ``.gguf``, and its bytes are something else."""

    code = "file.not_gguf"


class TruncatedFileError(FileError):
    """The file ends before the bytes that its header promises."""

    code = "file.truncated"


class TrailingBytesError(FileError):
    """The file goes on behind the last tensor of its header."""

    code = "file.trailing"


class ChangedFileError(FileError):
    """The file was replaced, rewritten or cut after its header was read."""

    code = "file.changed"


class HeaderError(InfernoError):
    """The header of a safetensors or GGUF file breaks a rule of its format."""

    code = "header.invalid"


class HeaderTooLargeError(HeaderError):
    """The header length passes the 100,000,000 bytes of the reference implementation."""

    code = "header.too_large"


class HeaderJsonError(HeaderError):
    """The header is no JSON object in UTF-8."""

    code = "header.json"


class HeaderEntryError(HeaderError):
    """An entry lacks a field, or a field has the wrong JSON type or range."""

    code = "header.entry"


class HeaderVersionError(HeaderError):
    """A GGUF file is of a version, or of a byte order, that is not read."""

    code = "header.version"


class UnknownDtypeError(HeaderError):
    """An entry names a dtype that the format does not know."""

    code = "header.dtype"


class SizeMismatchError(HeaderError):
    """The span of the offsets is not shape times dtype, or the product overflows 64 bits."""

    code = "header.size"


class HoleError(HeaderError):
    """Bytes between two tensors, or before the first one, belong to none."""

    code = "header.hole"


class OverlapError(HeaderError):
    """Two tensors claim the same bytes."""

    code = "header.overlap"


class DuplicateNameError(HeaderError):
    """One header names a tensor, or a field of it, twice."""

    code = "header.duplicate"


class CheckpointError(InfernoError):
    """The files of a directory do not make one checkpoint."""

    code = "checkpoint.invalid"


class NoWeightsError(CheckpointError):
    """The directory holds no weights that this loader reads."""

    code = "checkpoint.no_weights"


class PickleOnlyError(CheckpointError):
    """The directory holds only pickled weights, which are never opened."""

    code = "checkpoint.pickle"


class AmbiguousWeightsError(CheckpointError):
    """The directory holds more than one set of weights, and the caller has not chosen."""

    code = "checkpoint.ambiguous"


class IndexFormatError(CheckpointError):
    """The index file is no valid index."""

    code = "index.invalid"


class ShardPathError(CheckpointError):
    """The index names a shard outside the directory of the checkpoint."""

    code = "index.escape"


class MissingShardError(CheckpointError):
    """The index names a shard that is not there."""

    code = "index.missing_shard"


class BrokenPromiseError(CheckpointError):
    """The index promises a tensor that its shard does not hold."""

    code = "index.promise"


class IncompleteShardsError(CheckpointError):
    """Shards without an index do not number 1 to N."""

    code = "shards.incomplete"


class DuplicateTensorError(CheckpointError):
    """Two shards without an index hold a tensor of the same name."""

    code = "shards.duplicate"


class TensorNameError(InfernoError):
    """A tensor name is empty, cut off, or has a layer index that is no number."""

    code = "name.invalid"


class NameCollisionError(TensorNameError):
    """Two stored tensors map to one name."""

    code = "name.collision"


class ConfigError(InfernoError):
    """The configuration cannot be used."""

    code = "config.invalid"


class MissingConfigError(ConfigError):
    """The directory has no configuration file."""

    code = "config.missing"


class ConfigValueError(ConfigError):
    """A key is missing, or its value has the wrong type or range. The key is in `key`."""

    code = "config.value"

    def __init__(
        self,
        problem: str,
        *,
        key: str,
        path: Path | str | None = None,
        expected: object = None,
        actual: object = None,
        remedy: str | None = None,
    ) -> None:
        self.key = key
        super().__init__(problem, path=path, expected=expected, actual=actual, remedy=remedy)


class UnknownRopeTypeError(ConfigValueError):
    """The rope type is not one that this loader computes."""

    code = "config.rope_type"


class UnsupportedFamilyError(ConfigValueError):
    """The model family is not Llama, nor one with its tensor layout."""

    code = "config.family"


class PlanError(InfernoError):
    """A checkpoint cannot be loaded as asked. Where several things are wrong, each is in `problems`.

    Args:
        problem: What is wrong.
        names: Every tensor concerned.
        problems: The single errors, where this one sums up several.
    """

    code = "plan.invalid"

    def __init__(
        self,
        problem: str,
        *,
        names: Sequence[str] = (),
        problems: Sequence[InfernoError] = (),
        path: Path | str | None = None,
        tensor: str | None = None,
        expected: object = None,
        actual: object = None,
        remedy: str | None = None,
    ) -> None:
        self.names = tuple(names)
        self.problems = tuple(problems)
        super().__init__(problem, path=path, tensor=tensor, expected=expected, actual=actual, remedy=remedy)


class MissingTensorError(PlanError):
    """The model needs tensors that the checkpoint lacks."""

    code = "plan.missing"


class UnexpectedTensorError(PlanError):
    """The checkpoint holds tensors that the model has no place for."""

    code = "plan.unexpected"


class ShapeMismatchError(PlanError):
    """A stored shape is not the one that the configuration, or the caller, asks for."""

    code = "plan.shape"


class DtypeMismatchError(PlanError):
    """A stored dtype cannot stand where a dense weight is expected."""

    code = "plan.dtype"


class MemoryLimitError(PlanError):
    """The load would take more memory than allowed."""

    code = "plan.memory"


class QuantizationError(InfernoError):
    """Quantized tensors do not fit together."""

    code = "quant.invalid"


class MissingScaleError(QuantizationError):
    """A quantized weight has no scale beside it."""

    code = "quant.missing_scale"


class UndeclaredCodesError(QuantizationError):
    """A weight holds codes, has no scale beside it, and the configuration speaks of no quantization."""

    code = "quant.undeclared_codes"


class UnusedScaleError(QuantizationError):
    """A scale stands beside no weight that uses it."""

    code = "quant.unused_scale"


class InvalidScaleError(QuantizationError):
    """A scale or zero point has the wrong shape or dtype, or is not finite."""

    code = "quant.scale"


class UnknownSchemeError(QuantizationError):
    """The quantization scheme is not known, or known and not read by this version."""

    code = "quant.unknown_scheme"


class SchemeConflictError(QuantizationError):
    """The configuration and the tensors tell of different schemes."""

    code = "quant.conflict"


class CapabilityError(InfernoError):
    """This machine or this torch cannot do what was asked."""

    code = "capability.unavailable"


class DeviceUnavailableError(CapabilityError):
    """The device is not there."""

    code = "capability.device"


class UnsupportedDtypeError(CapabilityError):
    """The dtype cannot be held, or computed with, on this device."""

    code = "capability.dtype"


class MissingDependencyError(InfernoError):
    """An optional package is not installed. The remedy is the command that installs it."""

    code = "dependency.missing"
