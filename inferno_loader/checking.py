"""`check`: whether a checkpoint is whole and sound. Everything that is wrong is told, not only the first. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from inferno_loader.checkpoint import Checkpoint, StoredTensor, assemble, read_file_header, read_shard
from inferno_loader.errors import InfernoError
from inferno_loader.files import open_regular
from inferno_loader.findings import Finding, Severity
from inferno_loader.gguf.config import model_config
from inferno_loader.quantization.settings import settings_of
from inferno_loader.resolve import resolve
from inferno_loader.scale_values import value_findings
from inferno_loader.weight_files import WeightFiles, WeightsChoice, choose_weight_files, list_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inferno_loader.config import LlamaConfig
    from inferno_loader.header import Header

_SUFFIXES = (".safetensors", ".gguf")
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: The checkpoint.
        findings: Everything found, errors first, then warnings, then notes.
    """

    path: Path
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings have `severity`."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether nothing stops a load: no errors."""
        return not self.count("error")

    @property
    def clean(self) -> bool:
        """Whether nothing may surprise either: no errors and no warnings. Notes are for the record."""
        return self.sound and not self.count("warning")

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "path": str(self.path),
            "sound": self.sound,
            "clean": self.clean,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
            "findings": [finding.to_json() for finding in self.findings],
        }


def check(path: str | Path, *, weights: WeightsChoice | None = None) -> CheckReport:
    """Check the checkpoint at `path`: files, headers, index, configuration, names, shapes, dtypes, scales.

    A problem does not end the check: the header of each file is validated, and the configuration is read, whatever is
    wrong with the others. Only whether the tensors make the model is not asked where one of the two is unreadable.

    Beyond headers, only scales and BOOL tensors are read (see `scale_values`), blocks of GGUF for the scales in them,
    and a tied head that is stored beside the embedding, to compare both.

    Args:
        path: A directory, or one .safetensors file with its config.json beside it, or a .gguf file.
        weights: Which set of files, where a directory holds several.

    Raises:
        MissingFileError: Nothing is at `path`.
        UnreadableFileError: It is neither a file nor a directory, or the system refuses it.
    """
    place = Path(path)
    _require_readable(place)
    found = _Findings()
    root = place if os.path.isdir(place) else place.parent  # noqa: PTH112 - as in `choose_weight_files`
    files = found.attempt(choose_weight_files, place, weights)
    shards = _headers(root, files, found)
    checkpoint = found.attempt(assemble, files, shards) if files and len(shards) == len(files.names) else None
    if checkpoint:
        found.add(checkpoint.findings)
    # Of a GGUF that cannot be read, there is no configuration either.
    unread = not shards and files is not None and any(name.endswith(_SUFFIXES[1]) for name in files.names)
    config = None if unread else found.attempt(model_config, root, shards)
    if config:
        found.add(config.findings)
        _check_model(checkpoint, config, found)
    found.attempt(_check_values, checkpoint, shards, found)
    return CheckReport(place, found.told_of(root))


class _Findings:
    """Findings as they come, each once."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        """Take `findings` down, but for those that are down already."""
        self._found.update(dict.fromkeys(findings))

    def attempt(self, step: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """What `step` returns; None where it fails, and its error is a finding."""
        try:
            return step(*args, **kwargs)
        except InfernoError as error:
            self.add([Finding.from_error(error)])
            return None

    def told_of(self, root: Path) -> tuple[Finding, ...]:
        """All of them, the gravest first, otherwise as they came; what names no file is said of `root`."""
        gravest_first = sorted(self._found, key=lambda finding: _ORDER.index(finding.severity))
        return tuple(finding if finding.path else replace(finding, path=str(root)) for finding in gravest_first)


def _require_readable(place: Path) -> None:
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises where the parent may not be searched
        list_names(place)
    else:
        os.close(open_regular(place))


def _headers(root: Path, files: WeightFiles | None, found: _Findings) -> Mapping[str, Header]:
    """The headers that can be read: of the set, or of every file where no set could be chosen."""
    shards: dict[str, Header] = {}
    if files is None:
        names = [name for name in list_names(root) if name.endswith(_SUFFIXES)]
        read = {name: found.attempt(read_file_header, root / name) for name in names}
    else:
        found.add(files.findings)
        read = {name: found.attempt(read_shard, files, name) for name in files.names}
    for name, header in read.items():
        if header is not None:
            shards[name] = header
            found.add(header.findings)
    return shards


def _check_model(checkpoint: Checkpoint | None, config: LlamaConfig, found: _Findings) -> None:
    """Whether the tensors are those of the model. Without the quantization settings, that cannot be told."""
    try:
        settings = settings_of(config)
    except InfernoError as error:
        found.add([Finding.from_error(error)])
        return
    resolution = found.attempt(resolve, checkpoint, config, settings) if checkpoint else None
    if resolution:
        found.add(Finding.from_error(problem) for problem in resolution.problems)
        found.add(resolution.findings)


def _check_values(checkpoint: Checkpoint | None, shards: Mapping[str, Header], found: _Findings) -> None:
    """The values of what a load would use; of all that is there, where that cannot be told."""
    everything = (StoredTensor(info, shard) for shard in shards.values() for info in shard.tensors.values())
    found.add(value_findings(checkpoint.tensors.values() if checkpoint else everything))
