"""Cases of the checkpoint: one file of the set is not what it should be, whichever it is, or no file at all."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import BF16, FILE, FIRST, LAST, MIDDLE, SHARDED, SINGLE, of_checkpoint
from conformance.engine.case import Case, Limits, Severity, Source, accept, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_WHERE = (("first", FIRST), ("middle", MIDDLE), ("last", LAST))
_SHORT = Source(
    "Eight of 102 shards were short: one start in five read gibberish, which was hunted as a race.",
    "https://github.com/osaurus-ai/vmlx-swift/pull/217",
    ("B07",),
)
_GROWING = Source(
    "Weights that were still being written were taken for complete, and sliced as far as they went.",
    "https://github.com/Comfy-Org/ComfyUI/pull/14989",
    ("I11",),
)
_LFS = Source(
    "Where git-lfs has not fetched a file, a pointer of three lines lies in its place.",
    "https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md",
)
_SERVER = Source(
    "A download that asks nobody for the status saves the page of an error under the name of the file.",
    "https://curl.se/docs/manpage.html#-f",
)
_TILED = Source("The tensors fill the data to the last byte.", "https://github.com/safetensors/safetensors#format")
_FIFO = Source(
    "Opening a pipe waits until somebody opens its other end.", "https://man7.org/linux/man-pages/man7/fifo.7.html"
)
_ZERO = Source("A device can be read without end.", "https://man7.org/linux/man-pages/man4/zero.4.html")
_LINK = Source(
    "A link of the cache whose blob is not there is a file that is not there.",
    "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
)
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 35208\n".format("0123456789abcdef" * 4)
_PAGE = "<!DOCTYPE html>\n<html><head><title>503</title></head><body>Service Unavailable</body></html>\n"
_ANSWER = '{"error":"Repository not found"}'
_NO_SAFETENSORS = (Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH, Reason.HEADER_JSON, Reason.TRUNCATED)
_NO_FILE = (Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.NO_WEIGHTS, Reason.NOT_SAFETENSORS, Reason.TRUNCATED)
#: What waits is stopped after this many seconds.
_AT_ONCE = Limits(seconds=5.0)


def _fault(slug: str, title: str, way: Step, reasons: tuple[Reason, ...], source: Source) -> Case:
    """The case of one shard that is broken."""
    return of_checkpoint(
        slug,
        "shard-sound",
        title,
        SHARDED.then(way),
        reject(*reasons),
        source,
        sibling="broken-file-outside-the-set",
        severity=Severity.SILENT,
        flags=("ZeroFilled",),
    )


_SHORT_ONES: tuple[Case, ...] = (
    *(
        _fault(
            f"{where}-shard-one-byte-short",
            f"The {where} of three shards lacks its last byte.",
            step("cut", file, 1),
            (Reason.TRUNCATED, Reason.SIZE_MISMATCH),
            _SHORT,
        )
        for where, file in _WHERE
    ),
    *(
        _fault(
            f"{where}-shard-empty",
            f"The {where} of three shards has no bytes.",
            step("keep", file, 0),
            (Reason.TRUNCATED, Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH),
            _GROWING,
        )
        for where, file in _WHERE
    ),
    _fault(
        "shard-ends-in-its-header",
        "The middle one of three shards ends in the middle of its header.",
        step("keep", MIDDLE, 300),
        (Reason.TRUNCATED, Reason.HEADER_LENGTH),
        _GROWING,
    ),
    _fault(
        "shard-ends-behind-its-header",
        "The middle one of three shards has a sound header, and not one byte of data.",
        step("keep_header", MIDDLE),
        (Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        _GROWING,
    ),
    _fault(
        "shard-reserved-and-not-written",
        "The middle one of three shards has its size, and zeros throughout.",
        step("zeros", MIDDLE),
        (*_NO_SAFETENSORS, Reason.TRAILING_BYTES),
        _GROWING,
    ),
    _fault(
        "shard-with-a-byte-too-many",
        "A byte follows the last tensor of the last of three shards.",
        step("append", LAST, "\0"),
        (Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH),
        _TILED,
    ),
)

_OTHERS: tuple[Case, ...] = (
    *(
        _fault(
            f"{where}-shard-is-an-lfs-pointer",
            f"The {where} of three shards is the pointer that git-lfs leaves.",
            step("write_text", file, _POINTER),
            _NO_SAFETENSORS,
            _LFS,
        )
        for where, file in _WHERE
    ),
    _fault(
        "shard-is-a-page",
        "The middle one of three shards is the page of a server that was not at its best.",
        step("write_text", MIDDLE, _PAGE),
        _NO_SAFETENSORS,
        _SERVER,
    ),
    _fault(
        "shard-is-an-answer",
        "The middle one of three shards is the answer of a server, in JSON, that there is no such file.",
        step("write_text", MIDDLE, _ANSWER),
        _NO_SAFETENSORS,
        _SERVER,
    ),
    of_checkpoint(
        "only-an-lfs-pointer",
        "shard-sound",
        "There is one file, model.safetensors, and it is the pointer that git-lfs leaves.",
        SINGLE.then(step("write_text", FILE, _POINTER)),
        reject(*_NO_SAFETENSORS),
        _LFS,
        sibling="single",
        requires=frozenset(),
        severity=Severity.MESSAGE,
    ),
    of_checkpoint(
        "shard-without-an-index-is-an-lfs-pointer",
        "shard-sound",
        "Of three shards without an index the last is the pointer that git-lfs leaves.",
        SHARDED.then(step("reshard", "indexless", 3), step("write_text", LAST, _POINTER)),
        reject(*_NO_SAFETENSORS, Reason.MISSING_SHARD, Reason.SHARD_GAP),
        _LFS,
        sibling="shards-without-an-index",
        severity=Severity.SILENT,
        requires=BF16 | {"indexless"},
    ),
)

_SOUND: tuple[Case, ...] = (
    of_checkpoint(
        "broken-file-outside-the-set",
        "shard-sound",
        "Beside three sound shards and their index lie short ones of another split, and an empty file.",
        SHARDED.then(
            step("values_beside", "model-00001-of-00002.safetensors", 1),
            step("keep", "model-00001-of-00002.safetensors", 1000),
            step("write_text", "model-00002-of-00002.safetensors", ""),
            step("write_text", "extra.safetensors", _POINTER),
        ),
        accept(),
        Source(
            "Two sets lay in a directory, and the index names one: the other one is nobody's business.",
            "https://github.com/unslothai/unsloth-zoo/pull/808",
            ("B15",),
        ),
        sibling="first-shard-one-byte-short",
        flags=("Bystander",),
    ),
)

_SPECIAL: tuple[Case, ...] = tuple(
    of_checkpoint(
        f"shard-is-{slug}",
        "regular-files",
        f"In place of the middle one of three shards there is {what}.",
        SHARDED.then(step("make_special", MIDDLE, kind)),
        reject(*_NO_FILE, Reason.HEADER_LENGTH, Reason.HEADER_JSON),
        source,
        sibling="links-of-the-cache",
        severity=Severity.RESOURCE,
        limits=_AT_ONCE,
        flags=("Waiting",),
    )
    for slug, what, kind, source in (
        ("a-pipe", "a pipe that nobody writes to", "fifo", _FIFO),
        ("a-socket", "a socket", "socket", _FIFO),
        ("a-folder", "a directory", "directory", _LINK),
        ("a-link-to-nothing", "a link whose blob is not there", "dangling", _LINK),
        ("a-link-to-itself", "a link to itself", "loop", _LINK),
        ("a-link-to-a-folder", "a link to a directory", "folder", _LINK),
        ("a-link-to-zeros-without-end", "a link to a device that gives zeros without end", "endless", _ZERO),
    )
)
_SPECIAL_SINGLE: tuple[Case, ...] = tuple(
    of_checkpoint(
        f"only-file-is-{slug}",
        "regular-files",
        f"In place of model.safetensors, the only file of weights, there is {what}.",
        SINGLE.then(step("make_special", FILE, kind)),
        reject(*_NO_FILE, Reason.HEADER_LENGTH, Reason.HEADER_JSON),
        source,
        sibling="single",
        severity=Severity.RESOURCE,
        requires=frozenset(),
        limits=_AT_ONCE,
        flags=("Waiting",),
    )
    for slug, what, kind, source in (
        ("a-pipe", "a pipe that nobody writes to", "fifo", _FIFO),
        ("a-folder", "a directory", "directory", _LINK),
        ("a-link-to-nothing", "a link whose blob is not there", "dangling", _LINK),
    )
)
_INDEX_SPECIAL: tuple[Case, ...] = tuple(
    of_checkpoint(
        f"index-is-{slug}",
        "regular-files",
        f"In place of the index of three shards there is {what}.",
        SHARDED.then(step("make_special", "model.safetensors.index.json", kind)),
        reject(Reason.INDEX_INVALID, Reason.MISSING_FILE, Reason.NO_WEIGHTS, Reason.MISSING_SHARD),
        source,
        sibling="sharded",
        severity=Severity.RESOURCE,
        limits=_AT_ONCE,
        flags=("Waiting",),
    )
    for slug, what, kind, source in (
        ("a-pipe", "a pipe that nobody writes to", "fifo", _FIFO),
        ("a-link-to-itself", "a link to itself", "loop", _LINK),
    )
)

CASES: tuple[Case, ...] = (*_SHORT_ONES, *_OTHERS, *_SOUND, *_SPECIAL, *_SPECIAL_SINGLE, *_INDEX_SPECIAL)
