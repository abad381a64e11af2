"""The clauses of the chapter "Quantized schemes"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause
from conformance.corpus.clauses.quantized_libraries import LIBRARIES
from conformance.corpus.clauses.quantized_packed import PACKED

CHAPTER = Chapter(
    "Quantized schemes",
    "How codes and scales become weights.",
    (
        Clause(
            "weights.scheme",
            "MUST",
            "Codes are read by the scheme that the configuration names; under a name that is not known they are "
            "refused.",
            "https://github.com/vllm-project/vllm/pull/38966",
        ),
        Clause(
            "weights.dequantized",
            "MUST",
            "A quantized weight is handed out as code times scale, rounded once; the configuration says what one "
            "scale covers.",
            "https://github.com/vllm-project/compressed-tensors",
        ),
        Clause(
            "weights.scales",
            "MUST",
            "Scales lie on the grid that the configuration tells, and have as many rows and columns as that has.",
            "https://github.com/vllm-project/compressed-tensors",
        ),
        Clause(
            "model.quantized",
            "MUST",
            "The logits are those of the dequantized weights.",
            "https://github.com/vllm-project/compressed-tensors",
        ),
        Clause(
            "weights.missing-scale",
            "MUST",
            "Every code has its scale, in whatever file it lies: codes without one are refused, and never handed "
            "out as weights or multiplied by one.",
            "https://github.com/sgl-project/sglang/issues/39942",
        ),
        Clause(
            "weights.unused-scale",
            "MUST",
            "Every scale has its codes: one beside a dense weight is refused or reported, for either of the two "
            "is wrong.",
            "https://github.com/sgl-project/sglang/issues/39942",
        ),
        Clause(
            "weights.finite-scales",
            "MUST",
            "A scale is a finite number; one that is none is refused, or handed out as what it makes of its "
            "weights and reported.",
            "https://github.com/ModelCloud/GPTQModel/issues/2350",
        ),
        Clause(
            "weights.zero-points",
            "MUST",
            "A zero point is subtracted as it is stored before the scale multiplies; where one is declared and "
            "none stored, it is zero, or the checkpoint is refused.",
            "https://github.com/vllm-project/compressed-tensors",
        ),
        Clause(
            "weights.dense-modules",
            "MUST",
            "Modules that the configuration lists as ignored are dense, by their whole names, and all others are not.",
            "https://github.com/ModelCloud/GPTQModel/pull/2889",
        ),
        Clause(
            "weights.undeclared-codes",
            "MUST",
            "Codes and scales of which the configuration says nothing are dequantized by what is there, or refused.",
            "https://github.com/vllm-project/compressed-tensors",
        ),
        *PACKED,
        *LIBRARIES,
        Clause(
            "weights.quantized-dialects",
            "SHOULD",
            "Under the names of Meta all parts of q and k that have rows lie in its order of them: the codes, the "
            "scales and the zero points of a row move together, or the checkpoint is refused.",
            "https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py",
        ),
    ),
)
