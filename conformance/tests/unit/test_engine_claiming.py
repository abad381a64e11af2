"""What an adapter claims decides which cases are run, and nothing else does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from conformance.engine.runner import Runner
from conformance.engine.verdict import Verdict
from conformance.tests.engine_support import make_case

if TYPE_CHECKING:
    from conformance.engine.result import Result


def claimed(*claims: str, requires: set[str]) -> Result | None:
    """The verdict without a run on a case of the container level, or None where it is run."""
    host = SimpleNamespace(hello={"claims": list(claims), "levels": ["container"]})
    runner = Runner(cast("Any", host), cast("Any", None))
    return runner._claimed(make_case("container/plain", requires=frozenset(requires)))


@pytest.mark.parametrize(
    ("claims", "requires", "lacking"),
    [
        (("dtype:F32",), {"dtype:F32"}, None),
        (("dtype:F32",), {"dtype:F32", "sharded"}, "needs sharded"),
        (("dtype:F32", "quant:gptq", "quant:alone"), {"dtype:F32", "quant:gptq"}, None),
        (("dtype:F32", "quant:gptq", "quant:alone"), {"dtype:F32"}, "needs dense checkpoints"),
        (("quant:gptq", "quant:alone"), {"dtype:F32"}, "needs dense checkpoints, dtype:F32"),
        (("dtype:F32", "quant:gptq", "quant:alone"), {"dtype:F32", "quant:awq"}, "needs quant:awq"),
    ],
)
def test_a_case_is_run_where_all_of_it_is_claimed(
    claims: tuple[str, ...], requires: set[str], lacking: str | None
) -> None:
    """Who reads quantized checkpoints alone is asked for no dense one, whatever else it claims."""
    found = claimed(*claims, requires=requires)
    assert (found and (found.verdict, found.detail)) == (lacking and (Verdict.NOT_CLAIMED, lacking))
