"""The fakes: adapters each of which breaks one promise, which the runner must notice. Public: test your own by them.

    python -m conformance run --loader conformance.planted.fakes:CrashesBySignal

But for what they are named after they behave well: those that read a file read it right, with the reference
implementation (https://github.com/safetensors/safetensors). None but `ReturnsDeviceTensor` imports torch. What their
names do not say is in the docstring of each. Programs that break the protocol itself are in `scripted`.
"""

from __future__ import annotations

from conformance.planted.fake_answers import (
    AcceptsEverything,
    AlwaysRejects,
    AlwaysWrong,
    BadReason,
    BadReport,
    NoLevel,
    NoName,
    NondeterministicByCall,
    NondeterministicByHashSeed,
    RaisesOnConstruction,
    RaisesUnsupported,
    ReportRaises,
    ReturnsDeviceTensor,
    ReturnsWrongType,
    UnknownClaim,
)
from conformance.planted.fake_base import Reading
from conformance.planted.fake_processes import (
    Allocates,
    AllocatesByNumber,
    CrashesBySignal,
    Daemonizes,
    ExitsNonZero,
    ExitsQuietly,
    ForksAndReturnsTwice,
    ForksChild,
    Hangs,
    HangsInC,
    Panics,
    RaisesSystemExit,
    StartsThread,
)
from conformance.planted.fake_surroundings import (
    ClosesStdout,
    ConnectsOut,
    DeletesFromCheckpoint,
    LeaksDescriptors,
    ModifiesCheckpoint,
    PrintsToStdout,
    WritesToCheckpoint,
)

__all__ = [
    "AcceptsEverything",
    "Allocates",
    "AllocatesByNumber",
    "AlwaysRejects",
    "AlwaysWrong",
    "BadReason",
    "BadReport",
    "ClosesStdout",
    "ConnectsOut",
    "CrashesBySignal",
    "Daemonizes",
    "DeletesFromCheckpoint",
    "ExitsNonZero",
    "ExitsQuietly",
    "ForksAndReturnsTwice",
    "ForksChild",
    "Hangs",
    "HangsInC",
    "LeaksDescriptors",
    "ModifiesCheckpoint",
    "NoLevel",
    "NoName",
    "NondeterministicByCall",
    "NondeterministicByHashSeed",
    "Panics",
    "PrintsToStdout",
    "RaisesOnConstruction",
    "RaisesSystemExit",
    "RaisesUnsupported",
    "Reading",
    "ReportRaises",
    "ReturnsDeviceTensor",
    "ReturnsWrongType",
    "StartsThread",
    "UnknownClaim",
    "WritesToCheckpoint",
]
