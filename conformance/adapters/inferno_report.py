"""What inferno_loader tells, in the words of the suite: its findings as a report, its errors as reasons."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from conformance.engine.reasons import Reason
from inferno_loader.errors import InfernoError, PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.findings import Finding

#: The reason that an error of each code tells.
REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "file.missing": Reason.MISSING_FILE,
        "file.unreadable": Reason.MISSING_FILE,
        "file.not_safetensors": Reason.NOT_SAFETENSORS,
        "file.not_gguf": Reason.NOT_SAFETENSORS,
        "file.truncated": Reason.TRUNCATED,
        "file.trailing": Reason.TRAILING_BYTES,
        "header.too_large": Reason.HEADER_LENGTH,
        "header.json": Reason.HEADER_JSON,
        "header.entry": Reason.HEADER_ENTRY,
        "header.version": Reason.HEADER_ENTRY,
        "header.dtype": Reason.UNKNOWN_DTYPE,
        "header.size": Reason.SIZE_MISMATCH,
        "header.hole": Reason.HOLE,
        "header.overlap": Reason.OVERLAP,
        "header.duplicate": Reason.DUPLICATE_KEY,
        "checkpoint.no_weights": Reason.NO_WEIGHTS,
        "checkpoint.pickle": Reason.PICKLE,
        "checkpoint.ambiguous": Reason.AMBIGUOUS_WEIGHTS,
        "index.invalid": Reason.INDEX_INVALID,
        "index.escape": Reason.PATH_ESCAPE,
        "index.missing_shard": Reason.MISSING_SHARD,
        "index.promise": Reason.BROKEN_PROMISE,
        "shards.incomplete": Reason.SHARD_GAP,
        "shards.duplicate": Reason.DUPLICATE_TENSOR,
        "name.invalid": Reason.UNEXPECTED_TENSOR,
        "name.collision": Reason.DUPLICATE_TENSOR,
        "config.invalid": Reason.CONFIG_INVALID,
        "config.missing": Reason.CONFIG_MISSING,
        "config.value": Reason.CONFIG_VALUE,
        "config.rope_type": Reason.ROPE_TYPE,
        "config.family": Reason.FAMILY,
        "plan.missing": Reason.MISSING_TENSOR,
        "plan.unexpected": Reason.UNEXPECTED_TENSOR,
        "plan.shape": Reason.SHAPE,
        "plan.dtype": Reason.DTYPE,
        "quant.missing_scale": Reason.MISSING_SCALE,
        "quant.undeclared_codes": Reason.MISSING_SCALE,
        "quant.unused_scale": Reason.UNUSED_SCALE,
        "quant.scale": Reason.SCALE_VALUE,
        "quant.unknown_scheme": Reason.UNKNOWN_SCHEME,
        "quant.conflict": Reason.SCHEME_CONFLICT,
    },
)

#: Codes that tell no reason: those of the inner classes of the tree, and those that speak of this machine, of what the
#: caller asked for, or of a file that changes, and not of the checkpoint. `plan.invalid` sums up others.
WITHOUT_REASON = frozenset(
    {
        "error", "file.invalid", "file.changed", "header.invalid", "checkpoint.invalid", "plan.invalid", "plan.memory",
        "quant.invalid", "capability.unavailable", "capability.device", "capability.dtype", "dependency.missing",
    },
)  # fmt: skip

#: The lists of the report in which a finding of each code stands. One that ends in a dot is the beginning of codes.
_LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "index.stale_copy": ("ignored", "conflicting"),
        "index.omitted": ("ignored",),
        "index.total_size": ("conflicting",),
        "checkpoint.ignored_file": ("ignored",),
        "tie.different_head": ("conflicting",),
        "quant.no_zero_point": ("defaulted",),
        "quant.": ("conflicting",),
        "config.default": ("defaulted",),
        "config.ignored": ("ignored",),
        "config.spelled_twice": ("conflicting",),
    },
)


class Told(NamedTuple):
    """What a load tells of itself.

    Attributes:
        findings: What is odd and allowed.
        ignored: Stored names that are left out.
        cast: Names of the tensors that change their dtype.
    """

    findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    cast: tuple[str, ...] = ()


def report_of(told: Told) -> dict[str, list[str]]:
    """The report. A finding stands in it by its tensor, by its file, or by its message where it has neither."""
    lists: dict[str, list[str]] = {"ignored": list(told.ignored), "cast": list(told.cast)}
    for finding in told.findings:
        for category in _lists(finding.code):
            lists.setdefault(category, []).append(_name(finding))
    return {category: sorted(set(names)) for category, names in lists.items() if names}


def _lists(code: str) -> tuple[str, ...]:
    return _LISTS.get(code) or _LISTS.get(f"{code.partition('.')[0]}.", ())


def _name(finding: Finding) -> str:
    if finding.tensor:
        return finding.tensor
    if finding.path and not finding.code.startswith("config."):
        return Path(finding.path).name
    return finding.message


def reason_of(error: BaseException) -> Reason | None:
    """The reason that an error tells. Where one sums up several, the first that it names."""
    if not isinstance(error, InfernoError):
        return None
    if error.code == "plan.invalid" and isinstance(error, PlanError) and error.problems:
        return reason_of(error.problems[0])
    if error.code == "header.entry" and error.tensor == "__metadata__":
        return Reason.METADATA
    if error.code == "header.size" and "overflow" in error.problem:
        return Reason.OVERFLOW
    if error.code == "file.unreadable":
        return _of_unreadable(error)
    return REASONS.get(error.code)


def _of_unreadable(error: InfernoError) -> Reason:
    """A configuration or an index that is no file, or is too large to be one, is none that can be used."""
    name = Path(error.path or "").name
    if name.endswith(".index.json"):
        return Reason.INDEX_INVALID
    return Reason.CONFIG_INVALID if name.endswith(".json") else REASONS[error.code]
