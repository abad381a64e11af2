"""The glossary of the areas weights, parallel, model and analysis."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS_OF_MODELS: Mapping[str, Flag] = MappingProxyType(
    {
        # Where references disagree.
        "MetaNames": Flag(
            "choice",
            "The only weights are in Meta's file and under Meta's names. A loader may know them or not; one that does"
            " must bring the rows of q and k into the order of its rotary embedding.",
        ),
        "UndeclaredBias": Flag(
            "choice",
            "Biases are stored of which the configuration says nothing. A loader may use them, refuse the checkpoint,"
            " or leave them out and report it; dropped in silence they make another model.",
        ),
        "HeadAbsent": Flag(
            "choice",
            "The configuration does not tie the head, and none is stored. A loader may take the embedding for it, or"
            " refuse; a head of random numbers or zeros makes a model that talks nonsense.",
        ),
        "TwoHeads": Flag(
            "choice",
            "The configuration ties the head, and one with other values is stored. A loader may use what is stored,"
            " refuse, or tie and report what it left out; to replace a trained head in silence spoils the model.",
        ),
        "NestedConfiguration": Flag(
            "choice",
            "What the configuration says stands under text_config only. A loader may read it there or refuse; to take a"
            " default in its place makes another model.",
        ),
        "UndeclaredQuantization": Flag(
            "choice",
            "Codes and scales are stored, and the configuration says nothing of them. A loader may dequantize by what"
            " is there, or refuse; codes that pass for weights are wrong by orders of magnitude.",
        ),
        "ZeroPointsAbsent": Flag(
            "choice",
            "The configuration declares zero points, and none are stored. Old writers left out those that are zero: a"
            " loader may take zeros, or refuse.",
        ),
        "FloatZeroPoints": Flag(
            "choice",
            "Zero points of a packed weight are stored as floats, one a scale and not packed, as some converters write"
            " them. A loader may subtract them, or refuse.",
        ),
        "CutGroup": Flag(
            "choice",
            "A boundary between ranks cuts through a group of columns that share a scale. A loader may slice exactly,"
            " or refuse; to take the scales of another group is wrong on some ranks only.",
        ),
        "WrappedNames": Flag(
            "choice",
            "Every name stands behind a prefix, or without one, that a wrapper or another program gave it. A loader may"
            " know that, or refuse; where it matches nothing and goes on, all weights are made up.",
        ),
        "OldNames": Flag(
            "choice",
            "Parameters have names that were given up years ago. A loader may know them, by a rule for these alone, or"
            " refuse.",
        ),
        "GgufNames": Flag(
            "choice",
            "The weights have the names of GGUF, in a safetensors file. A loader may know them or not; one that does"
            " must bring the rows of q and k into the order of its rotary embedding.",
        ),
        "UnknownDtypeName": Flag(
            "choice",
            "The configuration names a dtype that does not exist. A loader may go by the tensors, or refuse.",
        ),
        "LooseFlag": Flag(
            "choice",
            "A flag is written as something else than a boolean. A loader may refuse, or take it for what it says; that"
            " a text is not empty does not make it true.",
        ),
        "WholeNumberWithPoint": Flag(
            "choice",
            "A whole number is written with a point and a zero, as some writers do. A loader may take it or refuse.",
        ),
        "EncodedConfiguration": Flag(
            "choice",
            "The configuration begins with a mark of the order of bytes, or is not in UTF-8. A reader of JSON may pass"
            " over that, or refuse.",
        ),
        "RepeatedFigure": Flag(
            "choice",
            "A key of the configuration stands there twice. JSON leaves open which counts; a loader may take one of the"
            " two and hold it against the tensors, or refuse.",
        ),
        "OtherFamily": Flag(
            "choice",
            "The configuration is that of another family, with names and shapes like those of a Llama. A loader may"
            " know the family, and hand its weights out as they are stored; one that does not must refuse.",
        ),
        "FamilyByClass": Flag(
            "choice",
            "The configuration names the class of its model and not the family. A loader may conclude, or refuse.",
        ),
        "OwnCode": Flag(
            "choice",
            "The configuration names code beside the weights. A loader may pass over it, for it knows the family, or"
            " refuse; it runs nothing.",
        ),
        "ShortGroup": Flag(
            "choice",
            "The group size does not divide the columns, and the last group is shorter. Some writers make such files,"
            " some kernels cannot read them: a loader may read it exactly, or refuse.",
        ),
        "UnpackedZeros": Flag(
            "choice",
            "Zeros are stored as numbers in the shape of the scales, where the format packs them. A loader may take"
            " them for what they are, or refuse; read as packed they are other zeros.",
        ),
        "SharedTable": Flag(
            "choice",
            "A table that all weights share is stored with fewer of them than use it. A loader may take the table that"
            " the format fixes, or refuse.",
        ),
        "OtherTable": Flag(
            "choice",
            "A table is stored beside codes whose type fixes one, with other numbers. A loader may read by the table"
            " that is stored, or refuse; by that of the type the weights are others.",
        ),
        "OtherMap": Flag(
            "choice",
            "A file beside the weights tells of other codes than there are. A loader may go by the tensors, which tell"
            " it themselves, or refuse.",
        ),
        "ScaleByAnotherName": Flag(
            "choice",
            "Scales stand under a name that one converter knows and the format does not. A loader may take them for"
            " what they are, or refuse; codes without them are no weights.",
        ),
        # What wrong loaders do.
        "Evaluated": Flag(
            "defect",
            "A text in the checkpoint, which should name a dtype, is evaluated as an expression: whoever wrote the file"
            " runs what he likes.",
        ),
        "Filled": Flag(
            "defect",
            "A parameter that is stored nowhere is filled: with random numbers, ones, zeros, or what the memory held."
            " The model runs, and is another one.",
        ),
        "TwoNames": Flag(
            "defect",
            "Two stored names become one in a loader that drops or adds a prefix, and one of the two tensors is lost."
            " Which one may hang on an order that nobody meant.",
        ),
        "RowOrder": Flag(
            "defect",
            "The rows of q and k stand in the order of one way to pair them for the rotation, and are taken for the"
            " other, or are moved by a wrong number or width of heads. Shapes are right, and short texts look fine.",
        ),
        "SilentCast": Flag(
            "defect",
            "Parameters change their dtype without being asked to, and nothing says so: norms that were F32 on purpose"
            " lose digits.",
        ),
        "BareCodes": Flag(
            "defect",
            "Codes of 8 bits are handed out, or cast, as if they were weights, without their scale: wrong by two or"
            " three orders of magnitude.",
        ),
        "IgnoredScaling": Flag(
            "defect",
            "The base or the scaling of the rotary embedding is not read, and a default taken. Position 0 is right, the"
            " next ones nearly, and the error grows with the text.",
        ),
    },
)
