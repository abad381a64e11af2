"""The front for pytest: with ``--loader`` or ``--adapter-command``, each case is a test that bears its id.

    pytest conformance --loader transformers -k sharded -n 2
    pytest --pyargs conformance --loader mypackage.adapter:MyLoader -m "container and not resource"

What is not claimed is skipped, and a session in which nothing passed fails: a skip is no pass. Without these options
the project's own tests run, where they are at hand, and this module collects nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.claims import Level
from conformance.engine.errors import ConformanceError
from conformance.engine.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.engine.case import Case
    from conformance.engine.result import Result
    from conformance.engine.runner import Runner
    from conformance.judging import Loader

# The corpus and the runner need numpy. They are imported when a loader is judged: the project's own tests have
# environments without it, in which these hooks are called as well.

_HERE = Path(__file__).resolve()
_RUNNER: pytest.StashKey[Runner] = pytest.StashKey()
_STACK: pytest.StashKey[ExitStack] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that name the loader."""
    group = parser.getgroup("conformance", "judging a checkpoint loader")
    group.addoption("--loader", metavar="NAME", help="a built-in name, module:attribute, or path/to/file.py:attribute")
    group.addoption("--adapter-command", metavar="COMMAND", help="a program that speaks the protocol")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marks of the cases: their levels, and the words of their severities."""
    for level in Level:
        config.addinivalue_line("markers", f"{level}: a case of this level (set by the case)")
    for word in ("silent", "security", "crash", "resource", "message"):
        config.addinivalue_line("markers", f"{word}: a case of this severity (set by the case)")


def _loader(config: pytest.Config) -> Loader | None:
    text, command = config.getoption("--loader"), config.getoption("--adapter-command")
    if not (text or command):
        return None
    from conformance.judging import Loader  # noqa: PLC0415 - see above

    return Loader(text, command)


def _is_front(path: Path) -> bool:
    """Whether a file is this module, of this package or of a checkout that pytest was pointed at."""
    return (path.name, path.parent.name) == (_HERE.name, _HERE.parent.name)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With a loader, only the cases are collected."""
    if _loader(config) is None or collection_path.resolve().is_dir():
        return None
    return None if _is_front(collection_path) else True


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The cases hang on this module."""
    if _is_front(file_path) and _loader(parent.config) is not None:
        return _Cases.from_parent(parent, path=file_path)
    return None


class _Cases(pytest.File):
    """All cases of the corpus."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a case, with the id of the case as its name."""
        from conformance.corpus import corpus  # noqa: PLC0415 - see above

        for case in corpus():
            yield _CaseItem.from_parent(self, name=case.id, case=case)


class _CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.add_marker(case.level.value)
        self.add_marker(case.severity.name.lower())
        self.user_properties.append(("clause", case.clause))

    def runtest(self) -> None:
        """Runs the case, and passes only for a pass."""
        result = _runner(self.config).run_one(self.case)
        self.add_report_section("call", "transcript", result.transcript)
        if result.verdict is Verdict.NOT_CLAIMED:
            pytest.skip(f"not claimed: {result.detail}")
        if result.verdict is not Verdict.PASS:
            raise _FailedCaseError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What a person needs of a case that failed, instead of a traceback through the engine."""
        if isinstance(excinfo.value, _FailedCaseError | ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the case is, and how it is called."""
        return self.path, None, self.case.id


class _FailedCaseError(Exception):
    """A case whose verdict is no pass."""

    def __init__(self, result: Result) -> None:
        case = result.case
        super().__init__(
            f"{result.verdict}: {result.detail}\n  {case.title}\n  expected: {result.expected}\n"
            f"  observed: {result.observed}\n  source: {case.source.text} {case.source.url}",
        )


def _runner(config: pytest.Config) -> Runner:
    """The runner of this process, made when the first case needs it."""
    from conformance.engine.runner import Runner  # noqa: PLC0415 - see above
    from conformance.engine.store import Store  # noqa: PLC0415 - see above
    from conformance.judging import opened  # noqa: PLC0415 - see above

    if _RUNNER not in config.stash:
        loader = _loader(config)
        if loader is None:
            raise pytest.UsageError("a case was collected without a loader")
        stack = ExitStack()
        config.stash[_STACK] = stack
        config.stash[_RUNNER] = Runner(stack.enter_context(opened(loader)), Store.default(), jobs=1)
    return config.stash[_RUNNER]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Ends the processes of the loader, and fails a session in which no case passed."""
    stack = session.config.stash.get(_STACK, None)
    if stack is not None:
        stack.close()
    if _loader(session.config) is None or session.config.option.collectonly:
        return
    if exitstatus == pytest.ExitCode.OK and not _passed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _passed(config: pytest.Config) -> int:
    """How many cases passed: with xdist as the controller counted them, else here."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        return len(reporter.stats.get("passed", ()))
    # A worker of xdist: the controller decides.
    return 1
