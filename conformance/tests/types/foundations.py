"""Errors, dtypes and findings as a type checker sees them. Checked by mypy, run by nobody.

A line that mypy must reject carries the code of its complaint: where mypy no longer complains, it says that the comment
is not needed, and the check fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_type

from inferno_loader.dtypes import DTYPES, Dtype, Kind, parse_dtype
from inferno_loader.errors import ConfigValueError, HoleError, InfernoError, PlanError
from inferno_loader.findings import Finding

error = InfernoError("it is wrong", path=Path("model.safetensors"), tensor="norm.weight", expected=2, actual=1)
assert_type(error.code, str)
assert_type(error.problem, str)
assert_type(error.path, str | None)
assert_type(error.tensor, str | None)
assert_type(error.remedy, str | None)
assert_type(HoleError.code, str)
assert_type(ConfigValueError("it is wrong", key="rope_theta").key, str)

several = PlanError("several things are wrong", names=["a", "b"], problems=[error])
assert_type(several.names, tuple[str, ...])
assert_type(several.problems, tuple[InfernoError, ...])

InfernoError()  # type: ignore[call-arg]
InfernoError("it is wrong", "model.safetensors")  # type: ignore[call-arg]
InfernoError("it is wrong", path=3)  # type: ignore[arg-type]
InfernoError("it is wrong", file="model.safetensors")  # type: ignore[call-arg]
ConfigValueError("it is wrong")  # type: ignore[call-arg]
ConfigValueError("it is wrong", key="rope_theta", tensor="a")  # type: ignore[call-arg]
PlanError("it is wrong", problems=[ValueError()])  # type: ignore[list-item]

dtype = parse_dtype("bfloat16")
assert_type(dtype, Dtype)
assert_type(dtype.bits, int)
assert_type(dtype.kind, Kind)
assert_type(dtype.torch_name, str | None)
assert_type(dtype.dense, bool)
assert_type(dtype.loses_to(DTYPES["F16"]), bool)
assert_type(DTYPES["F32"], Dtype)

DTYPES["F33"] = dtype  # type: ignore[index]
dtype.bits = 8  # type: ignore[misc]
dtype.loses_to("F16")  # type: ignore[arg-type]
Dtype("F33", 33, "fixed", None)  # type: ignore[arg-type]

finding = Finding.from_error(error)
assert_type(finding, Finding)
assert_type(finding.severity, Literal["error", "warning", "note"])
assert_type(finding.expected, str | None)
assert_type(finding.to_json(), dict[str, str])

Finding.from_error(ValueError())  # type: ignore[arg-type]
Finding("code", "fatal", "it is wrong")  # type: ignore[arg-type]
finding.code = "other"  # type: ignore[misc]
