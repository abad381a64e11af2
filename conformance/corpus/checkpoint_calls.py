"""Cases of the checkpoint: several calls in one process, on directories that are easily taken for each other."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16,
    BF16_SHARDED,
    FILE,
    MIDDLE,
    OTHER_SINGLE,
    SHARDED,
    SINGLE,
    SMALL,
    of_checkpoint,
)
from conformance.engine.case import Call, Case, Severity, Source, accept, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario, Several
from conformance.tools.steps import step

_KEPT = Source(
    "A mapping that was kept by its name was handed out for another file.",
    "https://github.com/tinygrad/tinygrad/issues/6294",
    ("I10",),
)
_INCOMPLETE = Source(
    "An incomplete model was declared complete, and what was found of it was kept for the next time.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("I11",),
)
_OTHER_SHARDED = Scenario(Recipe(config=SMALL, seed=1, layout=Layout("by_count", 3)))
_OTHER_CUT = Scenario(Recipe(config=SMALL, seed=1, layout=Layout("shuffled", 3)))
_THEN = step("set_times", 1_700_000_000)
_REFUSED = reject(
    Reason.TRUNCATED, Reason.SIZE_MISMATCH, Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.NO_WEIGHTS,
    Reason.DUPLICATE_TENSOR, Reason.INDEX_INVALID, Reason.HEADER_LENGTH,
)  # fmt: skip


def _calls(slug: str, title: str, several: Several, order: tuple[str, ...], **more: object) -> Case:
    """The case of directories that are read in an order."""
    parts = dict(several.parts)
    return of_checkpoint(
        slug,
        "calls",
        title,
        several,
        accept(),
        _KEPT,
        sibling="only-an-unfinished-download",
        severity=Severity.SILENT,
        flags=("CachedByName",),
        calls=tuple(Call(at=at, recipe=parts[at]) for at in order),
        **more,
    )


def _after(slug: str, title: str, broken: Scenario) -> Case:
    """The case of a checkpoint that is refused before a sound one of the same names, and again behind it."""
    refused = Call(at="broken/model", recipe=broken, expect=_REFUSED)
    return of_checkpoint(
        slug,
        "after-refusal",
        title,
        Several((("broken/model", broken), ("sound/model", _OTHER_SHARDED))),
        accept(),
        _INCOMPLETE,
        sibling="missing-shard",
        severity=Severity.SILENT,
        requires=BF16_SHARDED,
        flags=("CachedByName",),
        calls=(refused, Call(at="sound/model", recipe=_OTHER_SHARDED), refused),
    )


_CALLS: tuple[Case, ...] = (
    _calls(
        "same-names-sizes-and-times",
        "Two files of the same name, size and time of change, with other values, are read in turn.",
        Several((("first/model", SINGLE.then(_THEN)), ("second/model", OTHER_SINGLE.then(_THEN)))),
        ("first/model", "second/model", "first/model"),
        requires=BF16,
    ),
    _calls(
        "same-shards-elsewhere",
        "Two directories with shards of the same names, sizes and times, with other values, are read in turn.",
        Several((("first/model", SHARDED.then(_THEN)), ("second/model", _OTHER_SHARDED.then(_THEN)))),
        ("first/model", "second/model", "second/model", "first/model"),
    ),
    _calls(
        "other-places-by-the-index",
        "Two directories with shards of the same names, in which the tensors lie in other shards, are read in turn.",
        Several((("first/model", SHARDED), ("second/model", _OTHER_CUT))),
        ("first/model", "second/model", "first/model"),
    ),
    _calls(
        "one-file-then-shards",
        "A single file, three shards, and the file again are read.",
        Several((("first/model", SINGLE), ("second/model", _OTHER_SHARDED))),
        ("first/model", "second/model", "first/model"),
    ),
    _calls(
        "ten-reads",
        "A directory is read ten times.",
        Several((("model", SHARDED),)),
        ("model",) * 10,
    ),
    of_checkpoint(
        "two-names-of-a-directory",
        "calls",
        "A directory is read, then by a link to it, while another one has been read in between.",
        Several((("first", SINGLE.then(step("link_directory", "current"))), ("second", OTHER_SINGLE))),
        accept(),
        _KEPT,
        sibling="only-an-unfinished-download",
        severity=Severity.SILENT,
        requires=BF16,
        flags=("CachedByName",),
        calls=(
            Call(at="first", recipe=SINGLE),
            Call(at="second", recipe=OTHER_SINGLE),
            Call(at="current", recipe=SINGLE),
        ),
    ),
)
_AFTER: tuple[Case, ...] = (
    _after(
        "sound-after-a-short-shard",
        "Shards of which one is short are refused, sound ones of the same names are read.",
        SHARDED.then(step("cut", MIDDLE, 100)),
    ),
    _after(
        "sound-after-a-missing-shard",
        "Shards of which one is not there are refused, sound ones are read.",
        SHARDED.then(step("delete_file", MIDDLE)),
    ),
    _after(
        "sound-after-a-bad-index",
        "Shards whose index is cut off are refused, sound ones are read.",
        SHARDED.then(step("bad_json_index")),
    ),
    _after(
        "sound-after-nothing",
        "A directory without weights is refused, and one of the same name is read.",
        SINGLE.then(step("delete_file", FILE)),
    ),
)

CASES: tuple[Case, ...] = (*_CALLS, *_AFTER)
