"""What the matrix must show of the releases that are pinned: found by the cases, as it was found by hand before.

A new release may mend one of these. Then the pin moves, the finding goes, and so does its line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.adapters import BUILT_IN
from conformance.adapters.environments import ENVIRONMENTS, make
from conformance.adapters.resolve import left_out
from conformance.judging import Loader, judge_loader
from conformance.reports import from_lines, page

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEEN: Mapping[str, Mapping[str, str]] = {
    "inferno": {"weights/files-stale-copy-in-the-last-shard": "pass", "container/trailing-byte": "pass"},
    "transformers": {
        "weights/files-sharded": "pass",
        "weights/files-stale-copy-in-the-last-shard": "wrong_values",
        "weights/missing-matrix": "accepts_invalid",
        "weights/files-shard-in-the-parent": "accepts_invalid",
        # By its plug-ins.
        "weights/int8-by-channel": "pass",
        "weights/packed-four-bits-by-group": "pass",
        "weights/nvfp4": "pass",
        "weights/bnb-nf4-nested": "pass",
        "weights/bnb-int8": "pass",
        "weights/torchao-int8": "pass",
        "gguf/q4-k-asked-in-f32": "pass",
        # The size of a block is guessed from the number of scales, which is wrong where the last block is smaller.
        "weights/fp8-in-blocks": "wrong_values",
        # Codes are handed out without their scale.
        "weights/fp8-per-tensor": "wrong_values",
        "weights/missing-scale": "accepts_invalid",
    },
    "compressed-tensors": {
        "weights/int8-by-channel": "pass",
        "weights/fp8-by-block": "pass",
        "weights/packed-four-bits-by-group": "pass",
        "weights/nvfp4": "pass",
        "weights/missing-scale": "accepts_invalid",
        # As llm-compressor writes it: the modules that it is loaded into have zero points that are not packed.
        "weights/packed-zero-points": "rejects_valid",
    },
    "gguf": {"gguf/stored-q4-0": "pass", "gguf/stored-cut": "pass"},
    "hqq": {"weights/hqq-four-bits": "pass", "weights/hqq-three-bits": "pass"},
    "optimum-quanto": {"weights/quanto-qint8": "pass", "weights/quanto-qint4": "pass"},
    "gptqmodel": {"weights/gptq-f16-model": "pass"},
    "accelerate": {
        "weights/files-stale-copy-in-the-last-shard": "wrong_values",
        "weights/missing-matrix": "accepts_invalid",
    },
    "torch-dcp": {"checkpoint/stale-copy-in-the-middle-shard": "wrong_values"},
    "mlx": {
        "container/plain": "pass",
        "container/overlap": "accepts_invalid",
        "container/hole-in-the-middle": "accepts_invalid",
        "container/trailing-byte": "accepts_invalid",
        "container/duplicate-with-another-shape": "accepts_invalid",
    },
    "fastsafetensors": {"container/plain": "pass", "container/trailing-byte": "accepts_invalid"},
    "safetensors": {"container/trailing-byte": "pass", "container/duplicate-with-another-shape": "accepts_invalid"},
    "naive": {"checkpoint/stale-copy-in-the-last-shard": "wrong_values"},
}


@pytest.mark.parametrize("name", [name for name in _SEEN if name not in left_out()])
def test_what_is_known_of_a_release_is_found(name: str) -> None:
    """Each case gives the verdict that was measured by hand; the page shows it."""
    if (environment := BUILT_IN[name].environment) is not None:
        make(ENVIRONMENTS[environment])
    seen = _SEEN[name]
    judged = judge_loader(Loader(name), globs=tuple(seen))
    assert {result.case.id: str(result.verdict) for result in judged.run.results} == seen
    shown = page([from_lines(judged.lines(1 if set(seen.values()) != {"pass"} else 0))])
    assert all(case in shown for case in seen)
