"""Which module a line of a skip list, or of a map by module, speaks of: each library has a rule of its own. No torch.

========= ===================================================================== ======================================
rule      hits                                                                  of
========= ===================================================================== ======================================
name      the whole name                                                        vLLM and AutoFP8, quanto, torchao
boundary  an expression up to the end of a part of the name, or a suffix        transformers
substring a text anywhere in the name                                           AutoAWQ
start     an expression from the start on                                       GPTQModel
whole     an expression for the whole name                                      torchao
glob      shell wildcards for the whole name                                    ModelOpt
tail      the last parts of the name                                            HQQ, GPTQ
========= ===================================================================== ======================================

Sources: https://github.com/huggingface/transformers/blob/main/src/transformers/quantizers/quantizers_utils.py;
https://github.com/casper-hansen/AutoAWQ ``awq/utils/module.py``; https://github.com/ModelCloud/GPTQModel
``quantization/config.py`` (``dynamic_get``); https://github.com/pytorch/ao ``quantization/quant_api.py`` (FqnToConfig);
https://github.com/NVIDIA/Model-Optimizer. Engines that fuse q, k and v, or gate and up, write the fused name:
https://github.com/sgl-project/sglang/pull/26213.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferno_loader.quantization.family import WeightArgs

Kind = Literal["name", "boundary", "substring", "start", "whole", "glob", "tail"]
#: Rules whose patterns are regular expressions.
EXPRESSIONS: tuple[Kind, ...] = ("boundary", "start", "whole")
#: Modules that engines fuse, and what the result is called.
_FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj"} | dict.fromkeys(
    ("gate_proj", "up_proj"), "gate_up_proj"
)
#: Where a part of a name begins or ends.
_BOUNDARY = r"(?:(?<=\.)|(?=\.|$))"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of some modules.

    Attributes:
        kind: How the pattern is held against a name.
        pattern: Of the name.
        args: What is said; None leaves the modules dense.
    """

    kind: Kind
    pattern: str
    args: WeightArgs | None = None

    def hits(self, module: str) -> bool:
        """Whether it speaks of `module`, under its own name or that of the one it is fused into."""
        hit = _HITS[self.kind]
        parent, _, last = module.rpartition(".")
        return hit(self.pattern, module) or (last in _FUSED and hit(self.pattern, f"{parent}.{_FUSED[last]}"))


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _boundary(pattern: str, module: str) -> bool:
    return module.endswith(pattern) or bool(_compiled(rf"(?:{pattern}){_BOUNDARY}").match(module))


def _tail(pattern: str, module: str) -> bool:
    return module == pattern or module.endswith(f".{pattern}")


_HITS: Mapping[Kind, Callable[[str, str], bool]] = {
    "name": lambda pattern, module: pattern == module,
    "boundary": _boundary,
    "substring": lambda pattern, module: pattern in module,
    "start": lambda pattern, module: bool(_compiled(pattern).match(module)),
    "whole": lambda pattern, module: bool(_compiled(pattern).fullmatch(module)),
    "glob": lambda pattern, module: fnmatchcase(module, pattern),
    "tail": _tail,
}
