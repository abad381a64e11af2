"""Cases of parallel loading: slices of packed weights, along groups and blocks and through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.parallel_parts import of_parallel, ranks
from conformance.corpus.quant_parts import THIRTY_TWOS, TWELVES, quantized
from conformance.engine.case import Case, Source, accept, may, needs
from conformance.engine.reasons import Reason
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.fp8 import Fp8
from conformance.tools.schemes.modelopt import ModelOpt

if TYPE_CHECKING:
    from conformance.tools.schemes.scheme import Scheme

_SIBLING = "int8-without-a-scale"
_BLOCKS = Source(
    "Scales of blocks were cut where their weight was, and a boundary within a block got those of its neighbour.",
    "https://github.com/vllm-project/vllm/pull/33327",
    ("F02", "K12"),
)
_MX = Source(
    "A boundary between ranks lay within a group of 32 columns, and the scales were fewer than a slice needed.",
    "https://github.com/vllm-project/vllm-ascend/pull/11112",
    ("K17",),
)
_NVFP4 = Source(
    "A boundary between ranks cut a group of 16: with one scale more, later ranks would have got wrong ones.",
    "https://github.com/vllm-project/vllm/issues/49949",
    ("K19",),
)
_GROUPS = Source(
    "Weights were cut along their columns, and their scales were not.",
    "https://github.com/vllm-project/vllm/issues/41511",
    ("K18",),
)
#: A half of these is whole groups of 32 in the output projection, and 48 columns in the down projection.
_HALVES = {**THIRTY_TWOS, "head_dim": 32}


def _sliced(
    slug: str, title: str, scheme: Scheme, figures: dict[str, Any], source: Source, of: int = 2, *, cut: bool = True
) -> Case:
    """The slices of all ranks; where a boundary cuts a group, a loader may refuse."""
    feature = f"quant:{scheme.feature}"
    return of_parallel(
        slug,
        "quantized",
        title,
        quantized(scheme, figures=figures),
        ranks(*range(of), of=of),
        source,
        _SIBLING,
        expect=may(Reason.INDIVISIBLE, Reason.SHAPE) if cut else accept(),
        requires=needs("dtype:BF16", feature, "parallel:quantized"),
        flags=("CutGroup",) if cut else (),
    )


CASES: tuple[Case, ...] = (
    _sliced(
        "packed-by-channel",
        "Codes of four bits with a scale for each row, for two ranks: a boundary lies within a word.",
        Packed(4, "channel", None),
        {},
        _GROUPS,
        cut=False,
    ),
    _sliced(
        "packed-groups-that-fit",
        "Codes of four bits in groups of 6 columns, for two ranks that each have whole groups.",
        Packed(4, "group", 6),
        TWELVES,
        _GROUPS,
        cut=False,
    ),
    _sliced(
        "packed-groups-that-are-cut",
        "Codes of four bits in groups of 12 columns, and 30 columns of the output projection for each of two ranks.",
        Packed(),
        TWELVES,
        _GROUPS,
    ),
    _sliced(
        "packed-groups-dealt-out",
        "Codes of four bits whose groups an index names: each rank has columns of all of them.",
        Packed(order="group", version="0.17.1"),
        TWELVES,
        _GROUPS,
    ),
    _sliced(
        "mxfp4-groups-that-are-cut",
        "MXFP4 for two ranks: 48 columns of the down projection for each, a group and a half.",
        Mx(),
        _HALVES,
        _MX,
    ),
    _sliced(
        "mxfp8-groups-that-are-cut",
        "MXFP8 for two ranks: 48 columns of the down projection for each, a group and a half.",
        Mx(8),
        _HALVES,
        _MX,
    ),
    _sliced(
        "nvfp4-groups-that-are-cut",
        "NVFP4 for two ranks: 40 columns of the down projection for each, two groups and a half.",
        Nvfp4(),
        {"hidden_size": 48, "intermediate_size": 80, "head_dim": 16},
        _NVFP4,
    ),
    _sliced(
        "modelopt-nvfp4-groups-that-are-cut",
        "NVFP4 of ModelOpt for two ranks: 40 columns of the down projection for each, two groups and a half.",
        ModelOpt(),
        {"hidden_size": 48, "intermediate_size": 80, "head_dim": 16},
        _NVFP4,
    ),
    _sliced(
        "fp8-blocks-that-are-cut",
        "FP8 in blocks of 32 by 32 for two ranks: each boundary lies within a block.",
        Fp8(),
        {},
        _BLOCKS,
    ),
    _sliced(
        "fp8-blocks-larger-than-slices",
        "FP8 in blocks of 128 by 128 for two ranks: a slice is a part of one block.",
        Fp8(block=(128, 128)),
        {},
        _BLOCKS,
    ),
)
