"""What a look at a checkpoint finds: one record a finding, for `check`, for plans and for reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.errors import InfernoError

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. An ``error`` stops a load, a ``warning`` may surprise, a ``note`` is for the record.

    Attributes:
        code: A stable word, that of the error where there is one.
        severity: ``error``, ``warning`` or ``note``.
        message: What is the matter, in one sentence.
        path: The file concerned.
        tensor: The tensor concerned, as named in the file.
        expected: What the rule asks for, as text.
        actual: What was found, as text.
        remedy: What the reader can do.
    """

    code: str
    severity: Severity
    message: str
    path: str | None = None
    tensor: str | None = None
    expected: str | None = None
    actual: str | None = None
    remedy: str | None = None

    @classmethod
    def from_error(cls, error: InfernoError) -> Finding:
        """The finding that says what `error` says."""
        return cls(
            code=error.code,
            severity="error",
            message=error.problem,
            path=error.path,
            tensor=error.tensor,
            expected=None if error.expected is None else str(error.expected),
            actual=None if error.actual is None else str(error.actual),
            remedy=error.remedy,
        )

    @classmethod
    def note(cls, code: str, message: str, *, path: Path | None = None, tensor: str | None = None) -> Finding:
        """A note for the record."""
        return cls(code, "note", message, path=None if path is None else str(path), tensor=tensor)

    @classmethod
    def warning(cls, code: str, message: str, *, path: Path | None = None, tensor: str | None = None) -> Finding:
        """A warning: the checkpoint loads, and may surprise."""
        return cls(code, "warning", message, path=None if path is None else str(path), tensor=tensor)

    def to_json(self) -> dict[str, str]:
        """The finding as a JSON object, without the fields that are absent."""
        return {key: value for key, value in asdict(self).items() if value is not None}
