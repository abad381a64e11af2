"""Cases of the checkpoint: the text of the index, what of it counts, and a name that stands in it twice."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    FIRST,
    INDEX,
    JSON,
    LAST,
    MIDDLE,
    SHARDED,
    SHARDING,
    of_checkpoint,
)
from conformance.engine.case import Case, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_NORM = "model.norm.weight"
_SIZES = Source(
    "Sizes stand in the headers; a schema that asked for total_size took a checkpoint for incomplete.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("B14",),
)
_OBJECT = Source("An index is an object, whose weight_map gives the name of a file for each tensor.", SHARDING)
_ONE_TEXT = Source("A JSON text is one value, with white space around it and nothing else.", f"{JSON}#section-2")
_UTF_8 = Source("JSON that others are to read is in UTF-8, without a mark of the byte order.", f"{JSON}#section-8.1")
_GRAMMAR = Source("The grammar of JSON.", f"{JSON}#section-2")
_NAMES = Source(
    "Where a name stands twice readers differ: some take the first, some the last, some refuse.", f"{JSON}#section-4"
)
_SAVED_AGAIN = Source("Other writers indent otherwise, or do not sort: the JSON says the same.", SHARDING)


def _sound(slug: str, title: str, way: Step, source: Source, clause: str, sibling: str) -> Case:
    """An index that says all that is needed."""
    return of_checkpoint(slug, clause, title, SHARDED.then(way), accept(), source, sibling=sibling)


def _refused(slug: str, title: str, ways: tuple[Step, ...], source: Source, clause: str, sibling: str) -> Case:
    """An index that says nothing that could be followed."""
    return of_checkpoint(
        slug,
        clause,
        title,
        SHARDED.then(*ways),
        reject(Reason.INDEX_INVALID),
        source,
        sibling=sibling,
        severity=Severity.MESSAGE,
    )


_METADATA: tuple[Case, ...] = tuple(
    _sound(
        f"index-{slug}", title, step("set_index_metadata", value), _SIZES, "index-metadata", "index-without-weight-map"
    )
    for slug, title, value in (
        ("metadata-null", "The metadata of the index are null.", "null"),
        ("metadata-empty", "The metadata of the index are an empty object.", "{}"),
        ("total-size-null", "The total_size of the index is null.", '{"total_size": null}'),
        ("total-size-too-small", "The index says that all tensors together have one byte.", '{"total_size": 1}'),
        (
            "total-size-too-large",
            "The index says that all tensors have 2^63 bytes.",
            '{"total_size": 9223372036854775808}',
        ),
        ("total-size-negative", "The total_size of the index is negative.", '{"total_size": -1}'),
        ("total-size-fraction", "The total_size of the index is written with a point.", '{"total_size": 91692.0}'),
        ("total-size-text", "The total_size of the index is the number as text.", '{"total_size": "91692"}'),
        (
            "metadata-with-more",
            "The metadata of the index hold words, lists and objects beside the size.",
            '{"total_size": 91692, "total_parameters": 45846, "format": "pt", "shards": [1, {"of": null}]}',
        ),
    )
)
_ODD: tuple[Case, ...] = tuple(
    of_checkpoint(
        f"index-{slug}",
        "index-metadata",
        title,
        SHARDED.then(*ways),
        may(Reason.INDEX_INVALID),
        _SIZES,
        sibling="index-without-weight-map",
        flags=("OddMetadata",),
    )
    for slug, title, ways in (
        ("metadata-list", "The metadata of the index are a list.", (step("set_index_metadata", "[1, 2]"),)),
        ("metadata-text", "The metadata of the index are a text.", (step("set_index_metadata", '"pt"'),)),
        ("metadata-number", "The metadata of the index are a number.", (step("set_index_metadata", "91692"),)),
        (
            "total-size-not-a-number",
            "The total_size of the index is NaN, which JSON does not have.",
            (step("set_index_metadata", '{"total_size": 7}'), step("replace_in_index", ": 7", ": NaN")),
        ),
        (
            "total-size-out-of-range",
            "The total_size of the index is 1e400, beyond every floating-point number.",
            (step("set_index_metadata", '{"total_size": 7}'), step("replace_in_index", ": 7", ": 1e400")),
        ),
    )
)
_DEEP = of_checkpoint(
    "index-with-deep-metadata",
    "index-metadata",
    "The metadata of the index hold arrays in arrays, 100,000 levels of them.",
    SHARDED.then(step("nest_index", 100_000)),
    may(Reason.INDEX_INVALID),
    Source("A reader may limit the depth of what it takes.", f"{JSON}#section-9"),
    sibling="index-without-weight-map",
    flags=("DeepJson",),
)

_FORM: tuple[Case, ...] = (
    _sound(
        "index-with-more-keys",
        "The index has keys beside metadata and weight_map.",
        step("set_index_key", "writer", '{"name": "a tool", "version": 3}'),
        _OBJECT,
        "index-form",
        "weight-map-is-null",
    ),
    *(
        _refused(f"index-is-{slug}", title, (step("write_text", INDEX, text),), _OBJECT, "index-form", "sharded")
        for slug, title, text in (
            ("null", "The index is null.", "null"),
            ("a-number", "The index is a number.", "3"),
            ("a-list", "The index is a list of the shards.", f'["{FIRST}", "{MIDDLE}", "{LAST}"]'),
            ("an-empty-object", "The index is an empty object.", "{}"),
        )
    ),
    *(
        _refused(
            f"weight-map-is-{slug}",
            title,
            (step("set_index_key", "weight_map", text),),
            _OBJECT,
            "index-form",
            "sharded",
        )
        for slug, title, text in (
            ("null", "The weight_map of the index is null.", "null"),
            ("a-text", "The weight_map of the index is the name of a shard.", f'"{FIRST}"'),
            ("a-number", "The weight_map of the index is a number.", "3"),
        )
    ),
    of_checkpoint(
        "weight-map-is-empty",
        "index-form",
        "The weight_map of the index is empty, and beside it lie three shards full of tensors.",
        SHARDED.then(step("set_index_key", "weight_map", "{}")),
        reject(Reason.INDEX_INVALID, Reason.NO_WEIGHTS, Reason.UNEXPECTED_TENSOR),
        Source("A model of no tensors is none: what serves it serves values that were never written.", SHARDING),
        sibling="sharded",
        severity=Severity.SILENT,
    ),
    *(
        _refused(
            f"file-of-a-tensor-is-{slug}",
            f"For one tensor the index gives {what} in place of the name of a file.",
            (step("set_index", _NORM, "here"), step("replace_in_index", '"here"', text)),
            _OBJECT,
            "index-form",
            "sharded",
        )
        for slug, what, text in (
            ("null", "null", "null"),
            ("a-number", "the number of the shard", "3"),
            ("a-list", "a list of one name", f'["{LAST}"]'),
            ("an-object", "an object with a name in it", f'{{"file": "{LAST}"}}'),
        )
    ),
)

_TEXT: tuple[Case, ...] = (
    *(
        _sound(f"index-{slug}", title, step("respell_index", how), _SAVED_AGAIN, "index-text", "index-is-cut-off")
        for slug, title, how in (
            ("in-reverse", "The names in the index stand in reverse, before the metadata.", "reversed"),
            ("without-white-space", "The index is one line without white space.", "compact"),
            ("from-windows", "The index has tabs, and lines that end as on Windows.", "windows"),
            ("with-escapes", "In every name in the index, of tensors and of files, a letter is escaped.", "escaped"),
        )
    ),
    _sound(
        "index-between-white-space",
        "Blank lines stand before the index and behind it.",
        step("wrap_index", "\n\t \r\n", "\n\n  \t"),
        _ONE_TEXT,
        "index-text",
        "index-followed-by-another",
    ),
    of_checkpoint(
        "index-with-a-byte-order-mark",
        "index-text",
        "The index begins with the mark of the byte order in UTF-8.",
        SHARDED.then(step("encode_index", "utf-8-sig")),
        may(Reason.INDEX_INVALID),
        _UTF_8,
        sibling="index-in-utf-16",
        flags=("ByteOrderMark",),
    ),
    _refused(
        "index-in-utf-16", "The index is in UTF-16.", (step("encode_index", "utf-16"),), _UTF_8, "index-text", "sharded"
    ),
    _refused(
        "index-not-in-utf-8",
        "A name in the index has a byte that UTF-8 does not have.",
        (step("replace_in_index", _NORM, "model.n\xf6rm.weight"),),
        _UTF_8,
        "index-text",
        "sharded",
    ),
    _refused(
        "index-is-empty",
        "The index has no bytes.",
        (step("write_text", INDEX, ""),),
        _ONE_TEXT,
        "index-text",
        "sharded",
    ),
    _refused(
        "index-followed-by-another",
        "Behind the index stands a second one, an empty object.",
        (step("wrap_index", "", "\n{}\n"),),
        _ONE_TEXT,
        "index-text",
        "index-between-white-space",
    ),
    _refused(
        "index-with-a-comma-too-many",
        "A comma stands behind the last key of the index.",
        (step("set_index_key", "writer", "7"), step("replace_in_index", '"writer": 7', '"writer": 7,')),
        _GRAMMAR,
        "index-text",
        "sharded",
    ),
    _refused(
        "index-with-a-comment",
        "The index begins with a comment.",
        (step("wrap_index", "// written by a tool\n", "\n"),),
        _GRAMMAR,
        "index-text",
        "sharded",
    ),
    _refused(
        "index-is-a-page",
        "The index is the page of a server that asks to log in.",
        (step("write_text", INDEX, "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"),),
        _GRAMMAR,
        "index-text",
        "sharded",
    ),
)

_ONCE: tuple[Case, ...] = (
    *(
        of_checkpoint(
            f"index-names-a-tensor-twice-{slug}",
            "index-once",
            f"Two shards hold a tensor with two values, and the index names both, the right one {where}.",
            SHARDED.then(step("stale_copy", _NORM, FIRST), step("repeat_in_index", _NORM, FIRST, other)),
            reject(Reason.INDEX_INVALID, Reason.DUPLICATE_KEY, Reason.DUPLICATE_TENSOR),
            _NAMES,
            sibling="index-names-a-tensor-twice-alike",
            severity=Severity.SILENT,
            flags=("Smuggling",),
        )
        for slug, where, other in (("right-one-first", "first", "last"), ("right-one-last", "last", "first"))
    ),
    *(
        of_checkpoint(
            f"two-weight-maps-{slug}",
            "index-once",
            f"Two shards hold a tensor with two values, and the index has two weight maps, the right one {where}.",
            SHARDED.then(step("stale_copy", _NORM, FIRST), step("repeat_weight_map", _NORM, FIRST, other)),
            reject(Reason.INDEX_INVALID, Reason.DUPLICATE_KEY, Reason.DUPLICATE_TENSOR),
            _NAMES,
            sibling="index-names-a-tensor-twice-alike",
            severity=Severity.SILENT,
            flags=("Smuggling",),
        )
        for slug, where, other in (("right-one-first", "first", "last"), ("right-one-last", "last", "first"))
    ),
    of_checkpoint(
        "index-names-a-tensor-twice-alike",
        "index-once",
        "The index names a tensor twice, both times with the file that holds it.",
        SHARDED.then(step("repeat_in_index", _NORM, LAST, "first")),
        may(Reason.INDEX_INVALID, Reason.DUPLICATE_KEY, Reason.DUPLICATE_TENSOR),
        _NAMES,
        sibling="index-names-a-tensor-twice-right-one-last",
        flags=("SameTwice",),
    ),
)

CASES: tuple[Case, ...] = (*_METADATA, *_ODD, _DEEP, *_FORM, *_TEXT, *_ONCE)
