"""Every error of the suite, in one tree. None of them judges a loader: they say why there is no judgement.

    ConformanceError                  code, exit, subject, expected, actual, remedy
    ├── UsageError                    usage.invalid; exit 2
    │   ├── SelectionError            usage.selection
    │   └── BaselineError             usage.baseline
    ├── AdapterError                  adapter.broken; exit 3
    │   └── AdapterNotFoundError      adapter.not_found
    └── SuiteError                    suite.broken; exit 4
        ├── StoreError                suite.store
        └── ReportError               suite.report

Codes are stable: a program may match on them. Messages are for people and may change.
"""

from __future__ import annotations

from typing import ClassVar

from conformance.engine.verdict import Exit


class ConformanceError(Exception):
    """The root: catch it to catch everything that the suite raises on purpose.

    Args:
        problem: What is wrong, one sentence without a full stop.
        subject: The file, the adapter or the case at fault.
        expected: What is asked for.
        actual: What was found instead.
        remedy: What the reader can do about it.
    """

    code: ClassVar[str] = "error"
    exit: ClassVar[int] = Exit.SUITE

    def __init__(
        self,
        problem: str,
        *,
        subject: object = None,
        expected: object = None,
        actual: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.subject = None if subject is None else str(subject)
        self.expected = expected
        self.actual = actual
        self.remedy = remedy
        lines = [f"{'at' if name == 'subject' else name}: {value}" for name, value in self.facts.items()]
        super().__init__("\n  ".join([f"[{self.code}] {problem}", *lines]))

    @property
    def facts(self) -> dict[str, str]:
        """What is known beside the problem, as text: subject, expected, actual and remedy, those that there are."""
        known = {name: getattr(self, name) for name in ("subject", "expected", "actual", "remedy")}
        return {name: str(value) for name, value in known.items() if value is not None}

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy by the facts: ``Exception`` would call the class with the finished message as the problem."""
        return _restore, (type(self), *self.args), vars(self)


def _restore(kind: type[ConformanceError], message: str) -> ConformanceError:
    return kind.__new__(kind, message)


class UsageError(ConformanceError):
    """The command was asked for what cannot be."""

    code = "usage.invalid"
    exit = Exit.USAGE


class SelectionError(UsageError):
    """No case matches what was selected."""

    code = "usage.selection"


class BaselineError(UsageError):
    """The file of known failures is not one."""

    code = "usage.baseline"


class AdapterError(ConformanceError):
    """The adapter does not start, or does not keep the contract."""

    code = "adapter.broken"
    exit = Exit.ADAPTER


class AdapterNotFoundError(AdapterError):
    """Nothing is known under the name of the adapter, or it cannot be imported."""

    code = "adapter.not_found"


class SuiteError(ConformanceError):
    """The suite itself is broken: it cannot build a case, or cannot run one."""

    code = "suite.broken"
    exit = Exit.SUITE


class StoreError(SuiteError):
    """The cache of built checkpoints cannot be written or read."""

    code = "suite.store"


class ReportError(SuiteError):
    """A report is not whole: it is cut off, or does not balance."""

    code = "suite.report"
