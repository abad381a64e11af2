"""The public names as a type checker sees them. Checked by mypy, run by nobody.

A line that mypy must reject carries the code of its complaint: where mypy no longer complains, it says that the comment
is not needed, and the check fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import torch

from inferno_loader import (
    Checkpoint,
    InfernoLlama,
    LlamaConfig,
    LoadPlan,
    MappedVarBuilder,
    ModelLoader,
    UnifiedModelFactory,
    WeightAnalysis,
    WeightAnalyzer,
    analyze,
    load_model,
    load_state_dict,
    map_weight_name,
    open_checkpoint,
    plan,
)

assert_type(open_checkpoint("model"), Checkpoint)
assert_type(open_checkpoint(Path("model")), Checkpoint)
open_checkpoint(b"model")  # type: ignore[arg-type]
open_checkpoint("model", weights="both")  # type: ignore[arg-type]

analysis = analyze("model")
assert_type(analysis, WeightAnalysis)
assert_type(WeightAnalyzer("model").analyze(), WeightAnalysis)
assert_type(analysis.parameters, int)
assert_type(analysis.scheme, str)
assert_type(analysis.tied, bool)

planned = plan("model", dtype=torch.bfloat16, device="cpu", names="meta", max_memory=2**30)
assert_type(planned, LoadPlan)
assert_type(planned.config, LlamaConfig)
assert_type(planned.weight_bytes, int)
plan("model", "bfloat16")  # type: ignore[call-arg]
plan("model", names="french")  # type: ignore[arg-type]
plan("model", tie="head")  # type: ignore[arg-type]

assert_type(load_state_dict("model", dtype="F32", names="huggingface"), dict[str, torch.Tensor])
assert_type(load_state_dict("model", dequantize=False), dict[str, torch.Tensor])
load_state_dict("model", fallback="cuda")  # type: ignore[arg-type]
load_state_dict("model", dequantise=False)  # type: ignore[call-arg]

model = load_model("model", dtype=torch.float32)
assert_type(model, InfernoLlama)
assert_type(model.config, LlamaConfig)
assert_type(model.generate(torch.tensor([[1]]), 8), torch.Tensor)
assert_type(UnifiedModelFactory.create("model"), InfernoLlama)
assert_type(ModelLoader("model").load(), InfernoLlama)
assert_type(ModelLoader("model").config, LlamaConfig)

builder = MappedVarBuilder.open("model")
assert_type(builder.pp("layers").pp(0), MappedVarBuilder)
assert_type(builder.get((2048,), "norm.weight", dtype="F32"), torch.Tensor)
assert_type(builder.contains("norm.weight"), bool)
builder.get("norm.weight", (2048,))  # type: ignore[arg-type]

assert_type(map_weight_name("model.norm.weight"), str)
map_weight_name(None)  # type: ignore[arg-type]
