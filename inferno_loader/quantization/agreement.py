"""What the configuration says of a weight, held against the scheme that its tensors show. No torch.

Each family checks what its own layout depends on; here is what any of them may be told in vain: the word of the format,
and the bits and the group of the formats that have but one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferno_loader.quantization.parts import conflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.quantization.family import QuantizedWeight, WeightArgs

_PLAIN = frozenset({"ct-int", "ct-float"})
_ANY = frozenset({*_PLAIN, "ct-pack", "ct-nvfp4", "ct-mxfp", "ct-sparse"})
#: The formats of compressed-tensors that are read, and the schemes that each may show. The three without packing have
#: one layout, whose codes the type tells. https://github.com/vllm-project/compressed-tensors, ``config/base.py``.
FORMATS: Mapping[str, frozenset[str]] = {
    "dense": _ANY,
    "fakequant": _ANY,
    "int-quantized": _PLAIN,
    "naive-quantized": _PLAIN,
    "float-quantized": _PLAIN,
    "pack-quantized": frozenset({"ct-pack"}),
    "nvfp4-pack-quantized": frozenset({"ct-nvfp4"}),
    "mxfp4-pack-quantized": frozenset({"ct-mxfp"}),
    "mxfp6-pack-quantized": frozenset({"ct-mxfp"}),
    "mxfp8-quantized": frozenset({"ct-mxfp"}),
    "sparse-24-bitmask": frozenset({"ct-sparse"}),
    "sparse-bitmask": frozenset({"ct-sparse"}),
}
#: Columns that share a scale in the formats that have but one size of it.
_GROUPS = {"ct-nvfp4": 16, "ct-mxfp": 32, "modelopt": 16}


def check_agreement(weight: QuantizedWeight, args: WeightArgs | None) -> None:
    """Hold a planned weight against what is said of it.

    Raises:
        SchemeConflictError: They tell of different schemes.
    """
    if args is None:
        return
    codes = max(weight.parts.values(), key=lambda part: part.info.nbytes)
    allowed = FORMATS.get(args.format or "") if args.method == "compressed-tensors" else None
    if allowed is not None and weight.scheme not in allowed | {"ct-sparse"}:
        raise conflict(codes, f"the format {args.format}, by the configuration", f"the scheme {weight.scheme}")
    if weight.scheme not in _GROUPS:
        return
    group, bits = _GROUPS[weight.scheme], 8 * codes.info.nbytes // max(1, math.prod(weight.shape))
    told = f"{args.type or 'any'} codes of {args.bits} bits in groups of {args.group_size}, by the configuration"
    if args.type == "int" or args.bits not in (None, bits) or args.group_size not in (None, group):
        raise conflict(codes, told, f"float codes of {bits} bits in groups of {group}")
