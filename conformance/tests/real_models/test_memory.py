"""Memory: what is predicted, and what a fresh process takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from conformance.tests.real_models.summary import LINE
from conformance.tools.real_models import EVERY
from inferno_loader import analyze, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TOLERANCE = 0.02
#: Of a peak beside the planned one: what is below a megabyte is not given back at once, but to the heap.
_HEAP = 0.08
_ALL = os.environ.get("INFERNO_PRODUCERS") == "all"
_DEQUANTIZED = [form.name for form in EVERY.values() if form.producer and (_ALL or form.name in {"w8a8", "w4a16"})]


@pytest.mark.parametrize(
    ("form", "dtype", "dequantize", "mmap"),
    [
        pytest.param("bf16", None, True, False, id="bf16"),
        pytest.param("bf16", None, True, True, id="bf16, mapped"),
        pytest.param("bf16-sharded", None, True, False, id="bf16-sharded"),
        pytest.param("f16", "float32", True, False, id="f16 as float32"),
        pytest.param("w8a8", None, True, False, id="w8a8, dequantized"),
        pytest.param("w8a8", None, False, False, id="w8a8, kept"),
        pytest.param("fp8-dynamic", None, False, True, id="fp8-dynamic, kept, mapped"),
    ],
)
def test_resident_memory_is_as_predicted(
    form: str,
    dtype: str | None,
    dequantize: bool,
    mmap: bool,
    request: pytest.FixtureRequest,
    directory_of: Callable[[str], Path],
    grown: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    """The growth of a process whose weights have all been touched is the predicted one, within 2 %."""
    directory = directory_of(form)
    predicted = analyze(directory).memory(dtype=dtype, dequantize=dequantize).weights
    measured = grown(directory, warm_up=directory, dtype=dtype, dequantize=dequantize, mmap=mmap)
    case = request.node.callspec.id
    record_property(LINE, f"resident, {case}: {measured:,} bytes, {measured / predicted - 1:+.2%} off the prediction")
    assert measured == pytest.approx(predicted, rel=_TOLERANCE)


@pytest.mark.parametrize("form", _DEQUANTIZED)
def test_peak_of_a_dequantizing_load_is_the_result_and_one_tensor(
    form: str,
    directory_of: Callable[[str], Path],
    growth: Callable[..., tuple[int, int]],
    record_property: Callable[[str, object], None],
) -> None:
    """While a form is dequantized, a process holds the result and less than its largest tensor, as planned."""
    directory = directory_of(form)
    planned, (_, peak) = plan(directory), growth(directory, warm_up=directory)
    beside = peak - planned.weight_bytes
    record_property(
        LINE, f"peak, {form}: the result and {beside:,} bytes, {peak / planned.peak_bytes - 1:+.2%} off the plan"
    )
    assert peak == pytest.approx(planned.peak_bytes, rel=_HEAP)
    assert beside < max(tensor.nbytes for tensor in planned.tensors)
