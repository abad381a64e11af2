"""The glossary of the areas container, checkpoint and limits."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS_OF_FILES: Mapping[str, Flag] = MappingProxyType(
    {
        # Where references disagree.
        "LeadingWhitespace": Flag(
            "choice",
            "White space stands before the header's brace. The text of the format says that a header begins with the"
            " brace, the reference accepts it since 0.8 on purpose. A file may load with one loader and not another.",
        ),
        "OtherPadding": Flag(
            "choice",
            "The header is padded with white space other than the space. The text of the format knows only the space,"
            " JSON and the reference know all four.",
        ),
        "UnknownField": Flag(
            "choice",
            "An entry has a field that the format does not know. Its schema forbids it, the reference ignores it.",
        ),
        "MetadataNull": Flag(
            "choice",
            "__metadata__ is null. The format wants a map; the reference takes null for an absence.",
        ),
        "DuplicateMetadataKey": Flag(
            "choice",
            "A key stands twice within __metadata__. The format forbids it in the header as a whole; the reference"
            " keeps the last. No tensor depends on it.",
        ),
        "DeepJson": Flag(
            "choice",
            "A field that is ignored holds JSON of great depth. A reader may skip it or give up on it, but not crash:"
            " one that descends by recursion runs out of stack.",
        ),
        "MinusZero": Flag(
            "choice",
            "A size or an offset of zero is written as -0. JSON has it, and it equals zero; the reference reads it as a"
            " float, which no size is.",
        ),
        "HugeEmpty": Flag(
            "choice",
            "A tensor has a size of zero beside sizes whose product passes 64 bits. It has no bytes; the reference"
            " takes it where the zero comes first, and libraries cannot count its strides.",
        ),
        "HighRank": Flag(
            "choice",
            "A tensor has more axes than some libraries can hold. The format sets no bound. A loader may refuse it, or"
            " hand it out with all its axes.",
        ),
        "HalfSurrogate": Flag(
            "choice",
            "A text of __metadata__ holds half of a surrogate pair. The grammar of JSON allows the escape, no UTF-8 can"
            " hold it, and the reference refuses it. No tensor depends on it.",
        ),
        "RawBooleans": Flag(
            "choice",
            "The bytes of a BOOL tensor are neither 0 nor 1. A loader may keep them, make them 1, or refuse; other"
            " code that reads them may take 2 for false.",
        ),
        "ConflictingCopies": Flag(
            "choice",
            "A shard holds a tensor that the index places in another. A loader may obey the index or refuse the"
            " checkpoint; the copy that the index does not name must never come back.",
        ),
        "UnindexedTensor": Flag(
            "choice",
            "A shard holds a tensor of which the index says nothing. A loader may leave it out, hand it out under its"
            " own name, or refuse; it must not pass for another tensor.",
        ),
        "SeveralSets": Flag(
            "choice",
            "A directory holds several whole sets of weights. A loader may take one, always the same and never a"
            " mixture; where nothing says which one, it may refuse.",
        ),
        # What wrong loaders do.
        "DataStart": Flag(
            "defect",
            "The data begin where the header ends, which need not be at a multiple of 8. A loader that rounds reads"
            " every tensor shifted by a few bytes, without an error.",
        ),
        "Smuggling": Flag(
            "defect",
            "The file has bytes, or a second meaning, that some readers see and others do not: what a scanner has"
            " passed is not what is loaded.",
        ),
        "Wraparound": Flag(
            "defect",
            "The size of a tensor, counted in 64 bits, wraps to the small number that the offsets span. A reader that"
            " counts so finds nothing wrong, and then reads or writes outside its memory.",
        ),
        "LooseNumbers": Flag(
            "defect",
            "A number is written as something else that a lenient parser takes for it. Two readers disagree on what"
            " the file is.",
        ),
        "Allocation": Flag(
            "defect",
            "A number in a small file asks for more memory than the machine has. A loader that believes it dies, and"
            " with it the server that it runs in.",
        ),
        "ZeroFilled": Flag(
            "defect",
            "Data are missing from the file. A loader that maps it, or reads what there is, hands out zeros or what the"
            " memory held before, on some runs and not on others.",
        ),
        "Traversal": Flag(
            "defect",
            "The index names a file outside the checkpoint. A loader that follows it reads what its user never meant to"
            " hand over.",
        ),
        "CodeExecution": Flag(
            "defect",
            "The checkpoint holds a pickle. A loader that opens it runs what its author wrote.",
        ),
        "StringOrder": Flag(
            "defect",
            "With ten layers and more the order of names as text is not that of their numbers. A loader that pairs by"
            " position exchanges layers.",
        ),
        "CachedByName": Flag(
            "defect",
            "A loader that remembers files by their base name hands out the weights of the checkpoint before.",
        ),
    },
)
