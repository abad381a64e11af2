"""The plan's performance test of `map_weight_name`, beside a plain chain of replacements. Printed, never failed."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from inferno_loader.names import map_weight_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from pytest_benchmark.fixture import BenchmarkFixture


MODEL = Path(__file__).parents[2] / "fixtures" / "models" / "meta-llama__Llama-3.1-8B.json"
MODULES = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"),
)
ROUNDS = 101

# The first pass in a process of its own: nothing is in any cache of the interpreter or of the processor.
COLD = """
import sys, time
from inferno_loader.names import map_weight_name
names = sys.stdin.read().split()
start = time.perf_counter_ns()
for name in names: map_weight_name(name)
print((time.perf_counter_ns() - start) / len(names))
"""


def names_of_llama_8b() -> list[str]:
    """The 291 names of Llama-3.1-8B."""
    layers = json.loads(MODEL.read_text(encoding="utf-8"))["config"]["num_hidden_layers"]
    inside = [f"model.layers.{layer}.{module}.weight" for layer in range(layers) for module in MODULES]
    return ["model.embed_tokens.weight", *inside, "model.norm.weight", "lm_head.weight"]


def replace_chain(name: str) -> str:
    """What a loader does that checks nothing."""
    return name.replace("model.", "").replace("self_attn", "attention").replace("mlp", "feed_forward")


def microseconds(mapping: Callable[[str], str], names: list[str]) -> float:
    """Time of one pass over `names`, in microseconds a name."""
    start = time.perf_counter_ns()
    for name in names:
        mapping(name)
    return (time.perf_counter_ns() - start) / len(names) / 1000


def cold_microseconds(names: list[str]) -> float:
    """Time of the first pass after the import, in a new process: the median of five."""
    command = [sys.executable, "-c", COLD]
    runs = [
        subprocess.run(command, input="\n".join(names), capture_output=True, text=True, check=True) for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs) / 1000


def test_performance(benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """The time of a name over the 291 names of an 8B, cold and warm, with the peer measured in alternation."""
    names = names_of_llama_8b()
    assert len(names) == 291
    assert [map_weight_name(name) for name in names] == [replace_chain(name) for name in names]
    pairs = [(microseconds(map_weight_name, names), microseconds(replace_chain, names)) for _ in range(ROUNDS)]
    ours, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
    cold = cold_microseconds(names)
    benchmark.extra_info.update(cold_us=cold, warm_us=ours, replace_chain_us=peer)
    benchmark(microseconds, map_weight_name, names)
    with capsys.disabled():
        sys.stdout.write(
            f"\nmap_weight_name over {len(names)} names, µs a name: cold {cold:.3f}, warm {ours:.3f} "
            f"(median of {ROUNDS}); str.replace chain, which checks nothing, {peer:.3f}; target 0.5\n",
        )
