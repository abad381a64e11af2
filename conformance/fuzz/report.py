"""What the fuzzer prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.fuzz.running import reproduction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.fuzz.replaying import Reached
    from conformance.fuzz.running import Outcome


def outcome_lines(outcome: Outcome) -> list[str]:
    """One target: how much it ran, how fast, and what is wrong, with the command that shows it again."""
    head = (
        f"{outcome.target:8} {outcome.executions:>12,} executions {outcome.rate:>8,.0f} a second "
        f"{outcome.seconds:>8.1f} s   {outcome.problem or 'clean'}"
    )
    if outcome.finding is None:
        return [head]
    text = outcome.finding.with_suffix(".txt").read_text(encoding="utf-8")
    return [head, f"  input: {outcome.finding}", f"  again: {reproduction(outcome.target, outcome.finding)}", text]


def coverage_lines(
    target: str, reached: Mapping[str, Reached], units: Mapping[str, Reached], short: Iterable[str]
) -> list[str]:
    """One line a module: what the fuzzer's corpus reaches, and what the unit tests do."""
    below = set(short)
    return [f"coverage, {target}: lines and branches by the corpus, and by the unit tests"] + [
        f"  {module:42} {mine.percent:5.1f} %   {_percent(units.get(module))}{'   LOWER' if module in below else ''}"
        for module, mine in reached.items()
    ]


def _percent(reached: Reached | None) -> str:
    return "not recorded" if reached is None else f"{reached.percent:5.1f} %"
