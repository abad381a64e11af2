"""``python -m conformance.fuzz``: the planted crash is found, the targets are clean, as much is reached as by tests."""

from __future__ import annotations

import argparse
import faulthandler
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.cache import cache_directory
from conformance.fuzz.keeping import keep
from conformance.fuzz.places import scratch, seeds
from conformance.fuzz.recorded import record, recorded, short_of
from conformance.fuzz.replaying import replay
from conformance.fuzz.report import coverage_lines, outcome_lines
from conformance.fuzz.running import Budget, Outcome, corpus, run
from conformance.fuzz.targets import CLEAN, TARGETS
from conformance.fuzz.watching import HANG_SECONDS, explain, judge

#: Executions within which the planted crash must be found: some forty times the mean of what it takes, 7,400.
PLANTED_EXECUTIONS = 300_000

_SECONDS = 120
_REPLAY_SECONDS = 18


def main(arguments: list[str] | None = None) -> int:
    """Run as the options say; 0 if all is clean, 1 if not."""
    options = _options().parse_args(arguments)
    if options.reproduce:
        return reproduce(options.reproduce[0], Path(options.reproduce[1]))
    if options.record:
        record(module for name in CLEAN for module in TARGETS[name].modules)
        return 0
    folder = options.folder or cache_directory() / "fuzz"
    if options.keep:
        for name in options.target or CLEAN:
            print(f"{name}: {keep(TARGETS[name], folder)} inputs kept as seeds")
        return 0
    return fuzz(options, folder)


def fuzz(options: argparse.Namespace, folder: Path) -> int:
    """The whole check: planted crash, targets, coverage."""
    started = time.monotonic()
    if options.target == ["planted"]:  # alone it is a target like any other, and not clean
        return _tell(run(TARGETS["planted"], folder, Budget(PLANTED_EXECUTIONS), seed=options.seed))
    failed = 0 if options.without_planted else _planted(options.seed)
    names = options.target or CLEAN
    budget = _budget(options, len(names), time.monotonic() - started)

    def one(name: str) -> int:
        return _tell(run(TARGETS[name], folder, budget, seed=options.seed))

    with ThreadPoolExecutor(options.jobs) as pool:
        failed += sum(pool.map(one, names))
    failed += sum(_coverage(name, folder) for name in names)
    print(f"{'NOT CLEAN' if failed else 'clean'}, in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def _budget(options: argparse.Namespace, targets: int, spent: float) -> Budget:
    if options.executions:
        return Budget(executions=-(-options.executions // targets))
    left = (options.seconds - spent - _REPLAY_SECONDS) * options.jobs / targets
    return Budget(seconds=max(int(left), 1))


def _tell(outcome: Outcome) -> int:
    print("\n".join(outcome_lines(outcome)), flush=True)
    return 1 if outcome.problem else 0


def _planted(seed: int) -> int:
    """0 if the fuzzer finds the planted crash, and not another one."""
    with scratch() as own:  # without what earlier runs have grown: it must be found from the seeds
        outcome = run(TARGETS["planted"], own, Budget(PLANTED_EXECUTIONS), seed=seed)
        text = outcome.finding.with_suffix(".txt").read_text(encoding="utf-8") if outcome.finding else ""
    if "locate_scales" in text:
        print(
            f"planted  {outcome.executions:>12,} executions until the planted crash was found, {outcome.seconds:.1f} s"
        )
        return 0
    print(f"planted  THE PLANTED CRASH WAS NOT FOUND in {outcome.executions:,} executions: {outcome.problem}\n{text}")
    return 1


def _coverage(name: str, folder: Path) -> int:
    target = TARGETS[name]
    try:
        reached, units = replay(name, [seeds(target.kind), corpus(folder, target)]).reached, recorded()
    except (subprocess.CalledProcessError, OSError, ValueError, KeyError) as error:
        print(f"coverage, {name}: cannot be told: {error}")
        return 1
    short = short_of(reached, units)
    print("\n".join(coverage_lines(name, reached, units, short)), flush=True)
    return 1 if short else 0


def reproduce(name: str, path: Path) -> int:
    """Run one input again, without libFuzzer; 1 with the traceback if it is a finding."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        with scratch() as stage:
            print(judge(TARGETS[name].prepare(stage), path.read_bytes(), traced=True))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        print(explain(error))
        return 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be repeated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=_positive, default=_SECONDS, help="in all, the planted crash included")
    length.add_argument("--executions", type=_positive, default=0, help="in all, over the targets")
    parser.add_argument("--jobs", type=_positive, default=1, help="targets at a time")
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer; 0 draws one")
    parser.add_argument("--folder", type=Path, help="for the grown corpus, logs and findings; else in the cache")
    parser.add_argument("--without-planted", action="store_true", help="do not look for the planted crash first")
    parser.add_argument("--reproduce", nargs=2, metavar=("TARGET", "FILE"), help="run one input again")
    parser.add_argument("--record", action="store_true", help="measure the unit tests, and write it down")
    parser.add_argument("--keep", action="store_true", help="make seeds of grown inputs that reach more than the seeds")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above zero")
    return value


if __name__ == "__main__":
    sys.exit(main())
