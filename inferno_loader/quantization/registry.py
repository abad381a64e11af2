"""Every family, in the order in which they are asked. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.quantization.ct_plain import PlainFamily
from inferno_loader.quantization.known import KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.quantization.family import Family

#: Families are asked in this order; the first that recognises a module has it.
FAMILIES: tuple[Family, ...] = (*KNOWN, PlainFamily())

#: Every word that `recognise` may give.
SCHEMES: tuple[str, ...] = tuple(dict.fromkeys(scheme for family in FAMILIES for scheme in family.schemes))


def recognise(parts: Mapping[str, StoredTensor]) -> tuple[Family, str] | None:
    """The family of a module with these tensors, and its word; None where the weight is dense."""
    for family in FAMILIES:
        if scheme := family.scheme_of(parts):
            return family, scheme
    return None
