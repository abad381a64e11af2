"""Adequacy: whether the corpus finds what it claims to find: each planted bug killed, and no right loader failed.

A planted loader is killed by a case that fails it: of its own level, and of its own clause where it declares one. The
killer that is on record is tried first, then the cases of its clause, then the rest of its levels.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance import recorded
from conformance.engine.fork_host import Member, ZygoteHost
from conformance.engine.runner import DEFAULT_JOBS, Runner
from conformance.engine.verdict import CONTENT, FAILURES, Verdict
from conformance.planted.family import declared, import_planted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.engine.case import Case
    from conformance.engine.result import Result
    from conformance.engine.store import Store
    from conformance.planted.family import Planted

#: The planted loaders of the project.
OWN = "conformance.planted.registry"
_LOADER = "conformance.planted.family:load_family"


@dataclass(slots=True)
class Trial:
    """What came of one planted loader.

    Attributes:
        planted: The loader.
        killers: The cases that failed it, with their verdicts.
        own: The killer of its own level and clause, or None.
        broken: What the adapter or the suite did wrong: no kill, and no acquittal.
        tried: How many cases were run.
    """

    planted: Planted
    killers: dict[str, Verdict] = field(default_factory=dict)
    own: str | None = None
    broken: list[str] = field(default_factory=list)
    tried: int = 0

    @property
    def content(self) -> bool:
        """Whether it is as it must be: killed, or if it is right, not failed and tried at all."""
        if self.planted.right:
            return not self.killers and not self.broken and self.tried > 0
        return self.own is not None

    def to_json(self) -> dict[str, Any]:
        """As plain lists and dicts."""
        return {
            "name": self.planted.name,
            "right": self.planted.right,
            "method": self.planted.method,
            "clause": self.planted.clause,
            "killed_by": self.own,
            "killers": self.killers,
            "broken": self.broken,
            "tried": self.tried,
            "content": self.content,
        }


def try_all(
    text: str,
    cases: Sequence[Case],
    store: Store,
    *,
    full: bool = False,
    every: int = 1,
    jobs: int = DEFAULT_JOBS,
    progress: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Runs every planted loader of a module.

    Args:
        text: The module: a path, or a dotted name.
        cases: The corpus.
        store: Where the checkpoints lie.
        full: Run every case of a planted loader's levels, instead of stopping at its first kill.
        every: Of the right loaders each is tried on one case in so many, and the next one on other ones, so that as
            many of them see every case.
        jobs: Loaders at a time.
        progress: Called with each trial, as it ends.

    Raises:
        AdapterError: The module cannot be used.
    """
    planted = declared(import_planted(text))
    first = {each.name: number % every for number, each in enumerate(each for each in planted if each.right)}
    record = recorded.read(recorded.KILLERS)
    host = ZygoteHost(_LOADER, text)
    try:

        def one(each: Planted) -> Trial:
            mine = cases[first[each.name] :: every] if each.right else cases
            trial = _try(each, Member(host, each.name), mine, store, record.get(each.name), full=full)
            if progress:
                progress(trial)
            return trial

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, planted))
    finally:
        host.close()


def _try(
    planted: Planted, member: Member, cases: Sequence[Case], store: Store, killer: str | None, *, full: bool
) -> Trial:
    trial = Trial(planted)
    if "broken" in member.hello:
        trial.broken.append(member.hello["broken"])
        return trial
    runner = Runner(member, store, jobs=1)
    for case in _order(planted, cases, killer):
        _count(trial, case, runner.run_one(case))
        if trial.own and not full:
            break
    return trial


def _order(planted: Planted, cases: Sequence[Case], killer: str | None) -> list[Case]:
    """The cases of the loader's levels, the likeliest first."""
    touched = [case for case in cases if case.level in planted.levels]
    return sorted(touched, key=lambda case: (case.id != killer, case.clause != planted.clause))


def _count(trial: Trial, case: Case, result: Result) -> None:
    if result.verdict in FAILURES:
        trial.killers[case.id] = result.verdict
        if not trial.planted.right and trial.own is None and trial.planted.clause in {"", case.clause}:
            trial.own = case.id
    elif result.verdict not in CONTENT:
        trial.broken.append(f"{case.id}: {result.verdict}: {result.detail}")
    trial.tried += result.verdict is not Verdict.NOT_CLAIMED
