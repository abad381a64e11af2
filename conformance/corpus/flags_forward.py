"""The glossary of the area model."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS_OF_LOGITS: Mapping[str, Flag] = MappingProxyType(
    {
        # Where references disagree.
        "RopeConflict": Flag(
            "choice",
            "Two places of the configuration contradict each other about the rotation. Programs take the one or the"
            " other; a loader may, or refuse. What it mixes of both is the rotation of no model.",
        ),
        "PartialRotation": Flag(
            "choice",
            "Only a part of each head is to be rotated, as in families near Llama. Some programs do so for a Llama as"
            " well, others pass over the key; a loader may do either, or refuse. Pairs of another width are neither.",
        ),
        "ShrunkContext": Flag(
            "choice",
            "The factor of a scaling is below one. transformers warns and computes; a loader may do so, or refuse.",
        ),
        "NumberInText": Flag(
            "choice",
            "A number is written as text. A loader may take it for what it says, or refuse; a default in its place"
            " makes another model.",
        ),
        "ImpliedFactor": Flag(
            "choice",
            "YaRN has no factor. transformers has code to take the quotient of the two lengths, and wants the key all"
            " the same; a loader may take it, or refuse.",
        ),
        "ImpliedLength": Flag(
            "choice",
            "No original length is told. transformers takes max_position_embeddings; a loader may, or refuse.",
        ),
        "OldRopeName": Flag(
            "choice",
            "LongRoPE bears its first name, su. A loader may know it, or refuse.",
        ),
        "TypelessScaling": Flag(
            "choice",
            "The scaling has a factor and no type. transformers takes it for none; a loader may, or refuse.",
        ),
        "OtherActivation": Flag(
            "choice",
            "hidden_act names another function than silu. A loader may compute it, or refuse; SiLU in its place gives"
            " numbers that are only nearly right.",
        ),
        "WindowOfLlama": Flag(
            "choice",
            "The family is llama, whose class has no window, and the configuration has one. A loader may pass over it,"
            " keep to it, or refuse.",
        ),
        # What wrong loaders do.
        "StaleLength": Flag(
            "defect",
            "The frequencies hang on the length of the text, and those of another text are kept. The first answer is"
            " right, and the next one wrong.",
        ),
        "CoarsePositions": Flag(
            "defect",
            "Positions or angles are computed in 16 bits. From position 256 on neighbours become the same, and long"
            " texts lose their order.",
        ),
    },
)
