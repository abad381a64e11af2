"""Tries one scenario: builds it, lets each reader load it, compares what they say, and holds it against the truth."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.search.known import KNOWN
from conformance.tools.steps import WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.search.answers import Answer, Reader, Subject
    from conformance.search.scenarios import Drawn
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step
    from conformance.tools.truth import Tensors

#: Ways without an effect on the truth that leave the tensors as they are, or nothing that could be loaded. Of others
#: without an effect it is not known, and readers are held against each other alone.
_FAITHFUL = frozenset(
    {
        "pad_header", "pad_header_to", "indent_header", "set_metadata", "reverse_entries", "nest", "append", "cut",
        "keep", "length_word", "set_index_metadata", "index_single", "renumber_index", "move_outside", "link_to_blobs",
        "missing_shard", "shard_gap", "truncated_by_one", "trailing_byte", "hole",
        "overlap", "duplicate_across_shards", "index_parent_path", "index_absolute_path",
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the readers say of one thing: a file, the checkpoint, or its parameters.

    Attributes:
        what: The method of the contract, and for a file its name.
        answers: By the name of the reader.
        known: The name of the known difference that this is; empty for none.
        problem: How they disagree; empty where they agree.
    """

    what: str
    answers: Mapping[str, Answer]
    known: str = ""
    problem: str = ""

    @property
    def signature(self) -> str:
        """Words that are the same for what is probably the same defect."""
        told = [f"{name} {answer.short}" for name, answer in sorted(self.answers.items())]
        return f"{self.what.partition(' ')[0]}: {self.problem}: {', '.join(told)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario.

    Attributes:
        unbuilt: Why it could not be built; empty where it was.
        comparisons: What the readers say.
    """

    unbuilt: str = ""
    comparisons: tuple[Comparison, ...] = ()

    @property
    def disagreements(self) -> list[Comparison]:
        """Where they disagree, and it is not known why."""
        return [each for each in self.comparisons if each.problem and not each.known]


def attempt(drawn: Drawn, subject: Subject, place: Path) -> Outcome:
    """Builds a scenario in a directory of its own below `place`, which is removed again, and compares the readers."""
    home = Path(tempfile.mkdtemp(dir=place))
    directory = home / "checkpoint"
    directory.mkdir()
    try:
        try:
            drawn.scenario.build(directory)
        except Exception as error:  # noqa: BLE001 - arguments that do not suit the checkpoint end in any of them
            return Outcome(unbuilt=f"{type(error).__name__}: {error}")
        return Outcome(comparisons=tuple(_compare_all(drawn, subject, directory)))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _compare_all(drawn: Drawn, subject: Subject, directory: Path) -> Iterator[Comparison]:
    whole, steps = _truth_of(drawn, "read_checkpoint"), drawn.scenario.steps
    one_file = not hasattr(drawn.scenario.base, "layout")
    for path in sorted(directory.glob("*.safetensors")):
        truth = whole if one_file else None
        answers = {name: reader.read_file(path) for name, reader in subject.readers.items()}
        yield _compared(f"read_file {path.name}", answers, truth, steps, sound=drawn.sound)
    if one_file:
        return
    both = {name: reader for name, reader in subject.readers.items() if reader.whole}
    yield _compared("read_checkpoint", _ask(both, "read_checkpoint", directory), whole, steps, sound=drawn.sound)
    parameters = _truth_of(drawn, "load_weights")
    sound = drawn.sound and drawn.scenario.figures["tie_word_embeddings"] >= (_head(drawn.scenario) in _HALF)
    yield _compared("load_weights", _ask(both, "load_weights", directory), parameters, steps, sound=sound)


#: Heads that leave one of embedding and head out, which is sound only where the configuration ties them.
_HALF = ("absent", "instead")


def _head(scenario: Scenario) -> str:
    return str(getattr(scenario.base, "head", ""))


def _ask(readers: Mapping[str, Reader], method: str, directory: Path) -> dict[str, Answer]:
    return {name: getattr(reader, method)(directory) for name, reader in readers.items()}


def _truth_of(drawn: Drawn, method: str) -> Tensors | None:
    """The closed form after the steps; None where a step may have changed what it does not say."""
    if not (drawn.sound or all(_faithful(each.way) for each in drawn.scenario.steps)):
        return None
    try:
        return drawn.scenario.stored() if method == "read_checkpoint" else drawn.scenario.dense()
    except Exception:
        if drawn.sound:
            raise
        return None


def _faithful(way: str) -> bool:
    return way in _FAITHFUL or WAYS[way].effect is not None


def _compared(
    what: str, answers: Mapping[str, Answer], truth: Tensors | None, steps: Sequence[Step], *, sound: bool
) -> Comparison:
    problem = _problem(answers, truth, sound=sound)
    if not problem:
        return Comparison(what, answers)
    known = next((each.name for each in KNOWN if each.holds(steps, answers)), "")
    return Comparison(what, answers, known, problem)


def _problem(answers: Mapping[str, Answer], truth: Tensors | None, *, sound: bool) -> str:
    """How the answers disagree, in a few words; empty where they do not."""
    votes = {name: answer for name, answer in answers.items() if answer.kind != "abstains"}
    if broken := [name for name, answer in votes.items() if answer.kind == "breaks"]:
        return f"{' and '.join(broken)} raises what is no error of its own"
    loaded = {name: answer for name, answer in votes.items() if answer.kind == "loads"}
    if loaded and len(loaded) < len(votes):
        return f"{' and '.join(sorted(loaded))} loads, {' and '.join(sorted(votes.keys() - loaded))} refuses"
    if sound and not loaded and votes:
        return "all refuse what is sound"
    return _difference(loaded, truth)


def _difference(loaded: Mapping[str, Answer], truth: Tensors | None) -> str:
    """How what was loaded differs, from the truth or from what another one loaded."""
    if truth is not None:
        wrong = {name: how for name, answer in loaded.items() if (how := _misses(answer, truth))}
        return "; ".join(f"{name} {how}" for name, how in sorted(wrong.items()))
    found: dict[str, Any] = dict(loaded)
    first = next(iter(found), "")
    wrong = {name: how for name, answer in found.items() if (how := answer.differs(found[first]))}
    return "; ".join(f"{name} and {first}: {how}" for name, how in wrong.items())


def _misses(answer: Answer, truth: Tensors) -> str:
    names = answer.tensors.keys()
    if names - truth.wanted.keys() or truth.wanted.keys() - names - truth.optional:
        return "loads other names"
    for name, found in answer.tensors.items():
        if not any(wanted.admits(found) for wanted in truth.wanted[name]):
            return "loads other bytes" if found[:2] == truth.wanted[name][0][:2] else "loads another dtype or shape"
    return ""
