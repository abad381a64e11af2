"""What the matrix must show of the releases that are pinned: found by the cases, as it was found by hand before.

A new release may mend one of these. Then the pin moves, the finding goes, and so does its line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.adapters import BUILT_IN
from conformance.adapters.environments import ENVIRONMENTS, make
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
    },
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


@pytest.mark.parametrize("name", _SEEN)
def test_what_is_known_of_a_release_is_found(name: str) -> None:
    """Each case gives the verdict that was measured by hand; the page shows it."""
    if (environment := BUILT_IN[name].environment) is not None:
        make(ENVIRONMENTS[environment])
    judged = judge_loader(Loader(name), globs=tuple(_SEEN[name]))
    assert {result.case.id: str(result.verdict) for result in judged.run.results} == _SEEN[name]
    shown = page([from_lines(judged.lines(1 if set(_SEEN[name].values()) != {"pass"} else 0))])
    assert all(case in shown for case in _SEEN[name])
