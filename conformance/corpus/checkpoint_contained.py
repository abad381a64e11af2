"""Cases of the checkpoint: the names of files in an index, inside the directory and outside, and what is none."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import FIRST, MIDDLE, NO_SUCH_NAME, SHARDED, SHARDING, of_checkpoint
from conformance.engine.case import Case, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_TRAVERSAL = Source(
    "Several loaders opened, and loaded, files outside the checkpoint.",
    "https://github.com/huggingface/transformers/issues/47176",
    ("J01",),
)
_FILES = Source("The weight_map gives the name of a file in the directory for each tensor.", SHARDING)
_BELOW = f"shards/{MIDDLE}"


def _outside(slug: str, spelling: str, title: str) -> Case:
    """The case of a sound shard beside the directory, which the index names there."""
    return of_checkpoint(
        slug,
        "contained",
        title,
        SHARDED.then(step("move_outside", MIDDLE, spelling)),
        reject(*NO_SUCH_NAME),
        _TRAVERSAL,
        sibling="shard-in-a-directory-below",
        severity=Severity.SECURITY,
        flags=("Traversal",),
    )


def _no_file(slug: str, title: str, *ways: Step) -> Case:
    """The case of a name that is not that of a file in the directory."""
    return of_checkpoint(
        slug,
        "contained",
        title,
        SHARDED.then(*ways),
        reject(*NO_SUCH_NAME, Reason.NOT_SAFETENSORS),
        _FILES,
        sibling="shard-in-a-directory-below",
    )


def _loose(slug: str, title: str, *ways: Step) -> Case:
    """The case of a name that the system understands, and no writer uses."""
    return of_checkpoint(
        slug,
        "contained",
        title,
        SHARDED.then(*ways),
        may(*NO_SUCH_NAME),
        _FILES,
        sibling="shard-in-the-parent",
        flags=("LooseSpelling",),
    )


_OUTSIDE: tuple[Case, ...] = (
    _outside("shard-by-file-url", "url", "The index names a sound shard outside by a URL with file://."),
    _outside(
        "shard-in-the-parent-percent-encoded",
        "percent",
        "The index names a sound shard outside with ../ written as %2e%2e%2f.",
    ),
    of_checkpoint(
        "shard-in-a-directory-below",
        "contained",
        "The index names a shard in a directory below that of the checkpoint.",
        SHARDED.then(step("rename_shard", MIDDLE, _BELOW)),
        accept(),
        _FILES,
        sibling="shard-behind-a-directory",
    ),
)

_NO_FILES: tuple[Case, ...] = (
    *(
        _no_file(slug, title, step("point_index", MIDDLE, name))
        for slug, title, name in (
            (
                "shard-by-web-address",
                "The index names a shard by its address on a server.",
                f"https://example.com/{MIDDLE}",
            ),
            ("shard-without-a-name", "The index gives an empty name for a shard.", ""),
            ("shard-is-the-directory", "The index gives the directory itself, a dot, for a shard.", "."),
            ("shard-is-the-parent", "The index gives the parent of the directory, two dots, for a shard.", ".."),
            ("shard-with-a-nul", "The index names a shard with a NUL behind the name of the file.", f"{MIDDLE}\0.txt"),
            ("shard-with-a-name-too-long", "The index names a shard with 300 letters.", "m" * 288 + ".safetensors"),
            ("shard-named-by-spaces", "The index gives three spaces for a shard.", "   "),
        )
    ),
    _no_file(
        "shard-is-a-directory",
        "The index gives the name of a directory for a shard.",
        step("rename_shard", MIDDLE, _BELOW),
        step("point_index", _BELOW, "shards"),
    ),
)

_LOOSE: tuple[Case, ...] = (
    _loose(
        "shard-with-a-dot-before",
        "The index names a shard with ./ before it.",
        step("point_index", MIDDLE, f"./{MIDDLE}"),
    ),
    _loose(
        "shard-by-two-spellings",
        "The index names a shard with ./ before it for every other tensor.",
        step("spell_twice", MIDDLE, f"./{MIDDLE}"),
    ),
    _loose(
        "shard-with-a-slash-behind",
        "The index names a shard with a slash behind it.",
        step("point_index", MIDDLE, f"{MIDDLE}/"),
    ),
    _loose(
        "shard-with-two-slashes",
        "The index names a shard in a directory below with two slashes between.",
        step("rename_shard", MIDDLE, _BELOW),
        step("point_index", _BELOW, f"shards//{MIDDLE}"),
    ),
    _loose(
        "shard-there-and-back",
        "The index names a shard by way of a directory below and back.",
        step("rename_shard", FIRST, f"shards/{FIRST}"),
        step("point_index", MIDDLE, f"shards/../{MIDDLE}"),
    ),
    _loose(
        "shard-with-backslashes",
        "A shard in the directory has a name that leads out of it where a backslash parts directories.",
        step("rename_shard", MIDDLE, f"..\\{MIDDLE}"),
    ),
    _loose(
        "shard-with-a-drive",
        "A shard in the directory has a name that begins with a drive and a colon.",
        step("rename_shard", MIDDLE, f"C:{MIDDLE}"),
    ),
)

CASES: tuple[Case, ...] = (*_OUTSIDE, *_NO_FILES, *_LOOSE)
