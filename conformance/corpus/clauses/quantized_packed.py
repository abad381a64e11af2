"""Clauses of the chapter "Quantized schemes": packed weights, scales of small formats, masks, FP8 of other makers."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Clause

_COMPRESSED = "https://github.com/vllm-project/compressed-tensors"
_MX = "https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf"
_FP8 = "https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/finegrained_fp8.py"
_MODELOPT = "https://github.com/NVIDIA/Model-Optimizer"


def _must(name: str, text: str, source: str) -> Clause:
    return Clause(f"weights.{name}", "MUST", text, source)


#: The rules, in the order in which they are numbered.
PACKED: tuple[Clause, ...] = (
    _must(
        "packed-offset",
        "Codes of pack-quantized are stored with half of their range added, from the lowest bit of a word on: "
        "that half is taken away before the scale multiplies.",
        _COMPRESSED,
    ),
    _must(
        "packed-rows",
        "Each row of packed codes begins a word; what the last word of a row holds beyond its columns is no code.",
        _COMPRESSED,
    ),
    _must(
        "packed-width",
        "Codes of 3, 5, 6 and 7 bits straddle words, or fill each word whole: the width tells which, and where it "
        "does not, the release; any other width is refused.",
        "https://github.com/vllm-project/compressed-tensors/pull/732",
    ),
    _must(
        "packed-bits",
        "The bits of a packed code are those that the configuration tells, 1 to 8, and the width must agree.",
        _COMPRESSED,
    ),
    _must(
        "packed-declared",
        "Where the configuration tells of another type, format or method than the stored tensors have, the "
        "checkpoint is refused.",
        _COMPRESSED,
    ),
    _must(
        "packed-shape",
        "The shape that is stored beside packed codes is that of the weight.",
        _COMPRESSED,
    ),
    _must(
        "packed-group-size",
        "Groups have the size that the configuration tells, which divides the columns; the scales are as many.",
        "https://github.com/vllm-project/vllm/issues/1258",
    ),
    _must(
        "packed-group-index",
        "Where an index of groups is stored, it says which group each column is in; -1 throughout says nothing, "
        "and any other number that is no group is refused.",
        "https://github.com/ml-explore/mlx-lm/pull/730",
    ),
    _must(
        "packed-zero-points",
        "Packed zero points lie down the rows, as codes do along the columns, with half of their range added.",
        _COMPRESSED,
    ),
    _must(
        "packed-zero-points-as-bytes",
        "Zero points that are bytes in the shape of the scales are not packed, and have nothing added.",
        "https://github.com/vllm-project/vllm/issues/17862",
    ),
    _must(
        "fp4-codes",
        "Codes of four bits that are floats are E2M1, two a byte, the low half for the even column.",
        _MX,
    ),
    _must(
        "nvfp4-global-scale",
        "The global scale of NVFP4 in compressed-tensors divides the scales of the groups; each weight has one.",
        "https://github.com/modular/modular/issues/6600",
    ),
    _must(
        "nvfp4-scales",
        "The scales of NVFP4 are E4M3 numbers, subnormal ones among them, one for 16 columns.",
        _COMPRESSED,
    ),
    _must(
        "mx-scales",
        "The scales of MX formats are powers of two, 2**(code - 127), one for 32 columns, whatever their dtype is "
        "called; the code 0 is no zero, and 255 no number.",
        _MX,
    ),
    _must(
        "mxfp6-codes",
        "Codes of six bits are E2M3, four in three bytes, from the lowest bit on.",
        _MX,
    ),
    _must(
        "sparse-mask",
        "A mask says from the lowest bit of each byte on which columns are stored, row by row; it keeps as many "
        "as there are values.",
        _COMPRESSED,
    ),
    _must(
        "sparse-shape",
        "The shape that is stored beside a mask is that of the weight.",
        _COMPRESSED,
    ),
    _must(
        "sparse-scales",
        "Where the values that a mask keeps are codes, the mask comes first and the scales then.",
        _COMPRESSED,
    ),
    _must(
        "mixed-groups",
        "Each module is read by the group that means it most exactly, a name before an expression before a class, "
        "in the format of that group.",
        _COMPRESSED,
    ),
    _must(
        "declared-defaults",
        "What a group does not say has the value that its writer leaves out: a format that of the whole, a strategy "
        "what the size of a group tells; a list of targets under the name of a preset has the arguments of that.",
        _COMPRESSED,
    ),
    _must(
        "dense-expressions",
        "An expression in a list of modules holds from the beginning of a name and need not reach its end; a word "
        "that is no whole name means nothing.",
        _COMPRESSED,
    ),
    _must(
        "transforms",
        "A transform that is not in the weights already makes another model of them, and is refused.",
        _COMPRESSED,
    ),
    _must(
        "own-scales",
        "Each weight is scaled by its own scales: query, key and value projections do not share theirs.",
        "https://github.com/vllm-project/vllm/pull/41769",
    ),
    _must(
        "activation-scales",
        "Scales of activations belong to no weight: they are passed over, and nothing is multiplied by them.",
        _COMPRESSED,
    ),
    _must(
        "block-scales",
        "The scales of FP8 in blocks multiply, whatever their name says; the size of a block is that of the "
        "configuration, and the last blocks may be cut.",
        _FP8,
    ),
    _must(
        "block-exponents",
        "Scales of blocks that are stored as exponents stand for powers of two.",
        "https://github.com/unslothai/unsloth/pull/6848",
    ),
    _must(
        "fp8-codes",
        "Codes of FP8 are E4M3 with bias 7: 0x80 is minus zero.",
        "https://www.opencompute.org/documents/ocp-8-bit-floating-point-specification-ofp8",
    ),
    _must(
        "dense-components",
        "A list of dense modules of Hugging Face's FP8 means whole components of names.",
        "https://github.com/ModelCloud/GPTQModel/pull/2889",
    ),
    _must(
        "scalar-scales",
        "One scale for a whole weight has no axis, or one of one element.",
        _FP8,
    ),
    _must(
        "row-scales",
        "FBGEMM has one scale for each row.",
        "https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/fbgemm_fp8.py",
    ),
    _must(
        "modelopt-second-scale",
        "The second scale of NVFP4 in ModelOpt multiplies; each weight has one.",
        "https://github.com/intel/auto-round/pull/2362",
    ),
    _must(
        "modelopt-settings",
        "The settings of ModelOpt count wherever they stand, in hf_quant_config.json or in config.json, and tell "
        "which modules are dense.",
        _MODELOPT,
    ),
)
