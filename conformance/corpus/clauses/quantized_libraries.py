"""Clauses of the chapter "Quantized schemes": GPTQ, AWQ, bitsandbytes, torchao, quanto and HQQ."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Clause

_GPTQMODEL = "https://github.com/ModelCloud/GPTQModel"
_BITSANDBYTES = "https://github.com/bitsandbytes-foundation/bitsandbytes"
_TORCHAO = "https://github.com/pytorch/ao/tree/main/torchao/prototype/safetensors"
_QUANTO = "https://github.com/huggingface/optimum-quanto"
_HQQ = "https://github.com/mobiusml/hqq"


def _must(name: str, text: str, source: str) -> Clause:
    return Clause(f"weights.{name}", "MUST", text, source)


#: The rules, in the order in which they are numbered.
LIBRARIES: tuple[Clause, ...] = (
    _must(
        "gptq-codes",
        "GPTQ stores each output's codes down its inputs, transposed, as one stream of bits from the lowest bit of a "
        "word on; codes of three bits straddle words. The words tell the bits, and the configuration must agree.",
        _GPTQMODEL,
    ),
    _must(
        "gptq-zeros",
        "Version 1 of GPTQ stores each zero less one, within the bits of its own field, so that the largest code "
        "stands for 0; version 2 stores it as it is. Without a label it is version 1.",
        "https://github.com/vllm-project/vllm/pull/26092",
    ),
    _must(
        "gptq-label",
        "Where GPTQ is symmetric its zeros tell the version: under a label that says the other one, the checkpoint "
        "is refused, or read by the zeros and that reported.",
        "https://github.com/vllm-project/vllm/pull/38966",
    ),
    _must(
        "gptq-groups",
        "The index of GPTQ names the group of each input; without one the groups follow each other. A number that "
        "is no group, and a group size that the scales contradict, are refused.",
        "https://github.com/ml-explore/mlx-lm/pull/730",
    ),
    _must(
        "awq-order",
        "gemm of AWQ packs eight outputs in a word in the order 0, 2, 4, 6, 1, 3, 5, 7; gemv packs inputs in "
        "sequence. The shapes tell which, and the configuration must agree.",
        "https://github.com/vllm-project/llm-compressor/pull/2440",
    ),
    _must(
        "awq-zeros",
        "The zeros of AWQ are stored as they are, in the order of its codes, and nothing is added; without any, each "
        "is 8.",
        f"{_GPTQMODEL}/issues/2350",
    ),
    _must(
        "awq-groups",
        "The groups of AWQ divide the columns, and there is a scale for each; gemv pads them.",
        "https://github.com/casper-hansen/AutoAWQ",
    ),
    _must(
        "bnb-rows",
        "A weight of LLM.int8 is its code, times the largest magnitude of its row, times 1 / 127, in float32.",
        _BITSANDBYTES,
    ),
    _must(
        "bnb-blocks",
        "nf4 and fp4 hold two codes a byte, the first in the high bits, whatever dtype the bytes have; blocks run "
        "over the flattened weight, the last may be short, and nested scales have an offset added.",
        _BITSANDBYTES,
    ),
    _must(
        "bnb-state",
        "The state of a weight is held against the model and against its parts; nothing is allocated by it, and "
        "nothing in it is evaluated.",
        f"{_BITSANDBYTES}/pull/868",
    ),
    _must(
        "torchao-parts",
        "A weight of torchao is its code, less the zero point, times the scale of its block.",
        _TORCHAO,
    ),
    _must(
        "torchao-metadata",
        "What a weight of torchao is stands in the metadata of the file that holds its codes: without them, or where "
        "they do not fit the tensors, it is refused.",
        _TORCHAO,
    ),
    _must(
        "quanto-codes",
        "Eight bits of quanto are a code times the scale of its row, rounded to the dtype of the scale.",
        _QUANTO,
    ),
    _must(
        "quanto-packed",
        "Four and two bits of quanto are packed by the rows of the grouped weight, the first part of them in the "
        "lowest bits; the size of a group follows from the scales.",
        _QUANTO,
    ),
    _must(
        "quanto-shifts",
        "A shift of floats is subtracted once the scale has multiplied, one of integers before; each step is rounded "
        "to the dtype of the scale.",
        _QUANTO,
    ),
    _must(
        "hqq-packing",
        "HQQ packs equal parts of the rows of the regrouped weight, the first part in the highest bits; ten codes of "
        "three bits share a word of 32.",
        _HQQ,
    ),
    _must(
        "hqq-axis",
        "The axis of HQQ says whether the groups are the rows or the columns of the regrouped weight.",
        _HQQ,
    ),
    _must(
        "hqq-values",
        "A weight of HQQ is its code, less a zero that is a float, times the scale, each step rounded to the dtype "
        "in which the layer computes.",
        _HQQ,
    ),
    _must(
        "hqq-books",
        "What HQQ stores beside its codes is held against them; texts are looked up, and never evaluated.",
        _HQQ,
    ),
    _must(
        "unread-layouts",
        "A layout that is known and not read, as that of a kernel is, is refused.",
        "https://github.com/vllm-project/vllm/pull/38966",
    ),
)
