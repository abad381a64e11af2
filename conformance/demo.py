"""The demonstration: a sharded BF16 Llama and a W8A8 one, from recipe to proof, and two loaders judged, as tables.

Nothing here is expected because the loader said so: digests come from the closed form of the recipes, logits from a
float64 forward pass in NumPy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import inferno_loader
from conformance.demo_judging import judge_two
from conformance.demo_quantized import load_each
from conformance.tools import resident
from conformance.tools.digest import digest
from conformance.tools.forward import logits
from conformance.tools.recipe import Built, build, default_recipes
from inferno_loader.names import Dialect, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from conformance.demo_judging import Tally
    from conformance.demo_quantized import Family

#: Largest difference of a logit, as a part of the largest logit. Float32 against float64 of the same weights.
ORACLE_BOUND = 1e-3
#: The same, of the weights in 8 bits against the weights as they were.
QUANTIZED_BOUND = 0.05
#: Predicted against measured resident memory.
MEMORY_BOUND = 0.02

_TOKENS = 48
#: Of the tables in a file or a pipe.
_WIDTH = 132
_DIALECTS: tuple[Dialect, ...] = ("inferno", "meta", "gguf")
_SHOWN_NAMES = ("embed_tokens", "layers.0.self_attn.q_proj", "layers.11.mlp.down_proj", "model.norm", "lm_head")


class Proof(NamedTuple):
    """One thing proved, or not."""

    what: str
    result: str
    bound: str
    holds: bool


@dataclass(frozen=True)
class Specimen:
    """One built checkpoint, and what looking at it and loading it gave."""

    name: str
    built: Built
    build_seconds: float
    load_seconds: float
    tensors: Mapping[str, torch.Tensor]
    analysis: inferno_loader.WeightAnalysis
    measured_bytes: int

    @property
    def predicted_bytes(self) -> int:
        """Weight bytes that the analyzer predicts."""
        return self.analysis.weight_bytes()


def run(directory: Path | None = None, console: Console | None = None) -> int:
    """Run the demonstration. Returns 0 if everything is proved, else 1.

    Args:
        directory: Where to build; a temporary directory, removed afterwards, if not given.
        console: Where to print; stdout if not given.
    """
    out = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    with tempfile.TemporaryDirectory() if directory is None else nullcontext(str(directory)) as place:
        specimens = [_specimen(name, Path(place) / name) for name in default_recipes()]
        out.print(_contents_table(specimens))
        out.print(_shards_table(specimens))
        out.print(_names_table(specimens[0]))
        out.print(_memory_table(specimens))
        proofs = [*(_prove_digests(specimen) for specimen in specimens), *_prove_logits(*specimens)]
        proofs += [_prove_memory(specimen) for specimen in specimens]
        proofs += _prove_families(load_each(Path(place) / "quantized", out))
        proofs += _prove_judgement(*judge_two(out))
        out.print(_proofs_table(proofs))
    proved = sum(proof.holds for proof in proofs)
    out.print(f"{proved} of {len(proofs)} proved. The checkpoints are synthetic: closed-form values, no training.")
    return 0 if proved == len(proofs) else 1


def _specimen(name: str, place: Path) -> Specimen:
    started = time.perf_counter()
    built = build(default_recipes()[name], place)
    build_seconds = time.perf_counter() - started
    inferno_loader.load_state_dict(place)  # the first load pays for what is imported and paged in once
    started = time.perf_counter()
    tensors = inferno_loader.load_state_dict(place, names="huggingface")
    load_seconds = time.perf_counter() - started
    analysis = inferno_loader.analyze(place)
    return Specimen(name, built, build_seconds, load_seconds, tensors, analysis, _measure(place))


def _measure(place: Path) -> int:
    """Resident growth of a fresh process over a load, every page of every weight touched, in bytes."""
    command = [sys.executable, "-m", resident.__name__, str(place), str(place), json.dumps(obj=True), json.dumps({})]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own module
    return int(told.split()[0])


def _prove_digests(specimen: Specimen) -> Proof:
    """Every parameter of the recipe, and none besides, with dtype, shape and bytes as the closed form has them."""
    expected = specimen.built.dense
    right = [
        name
        for name, tensor in specimen.tensors.items()
        if name in expected and _digest(tensor) == expected[name].digest
    ]
    same_names = specimen.tensors.keys() == expected.keys()
    result = f"{len(right)} of {len(expected)} equal"
    return Proof(
        f"{specimen.name}: sha256 of every tensor", result, "all", same_names and len(right) == len(expected) > 0
    )


def _digest(tensor: torch.Tensor) -> str:
    names = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
    flat = tensor.contiguous().view(torch.uint8).numpy()
    return digest(names[tensor.dtype], tuple(tensor.shape), flat.tobytes())


def _prove_logits(dense: Specimen, quantized: Specimen) -> list[Proof]:
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, dense.built.config["vocab_size"], (1, _TOKENS), dtype=np.int64)
    truth = logits(dense.built.config, dense.built.values, tokens)
    exact, coarse = (_forward(specimen, tokens) for specimen in (dense, quantized))
    return [
        _logit_proof(f"{dense.name}: logits against float64 NumPy", exact, truth, ORACLE_BOUND),
        _logit_proof(f"{quantized.name}: logits against the unquantized", coarse, truth, QUANTIZED_BOUND),
    ]


def _forward(specimen: Specimen, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    model = inferno_loader.load_model(specimen.built.directory, dtype="F32")
    with torch.inference_mode():
        return model(torch.from_numpy(tokens)).double().numpy()  # type: ignore[no-any-return]


def _logit_proof(what: str, found: NDArray[np.float64], truth: NDArray[np.float64], bound: float) -> Proof:
    off = float(np.abs(found - truth).max() / np.abs(truth).max())
    same = float((found.argmax(-1) == truth.argmax(-1)).mean())
    return Proof(what, f"off by {off:.2e} of the largest, same argmax {same:.0%}", f"below {bound:.0e}", off < bound)


def _prove_memory(specimen: Specimen) -> Proof:
    off = specimen.measured_bytes / specimen.predicted_bytes - 1
    return Proof(
        f"{specimen.name}: resident memory against the prediction",
        f"{off:+.2%}",
        f"{MEMORY_BOUND:.0%}",
        abs(off) < MEMORY_BOUND,
    )


def _prove_families(families: list[Family]) -> list[Proof]:
    right = [each for each in families if each.equal == each.tensors > 0]
    same = [each for each in families if each.same]
    return [
        Proof(what, f"{len(held)} of {len(families)} checkpoints", "all", len(held) == len(families) > 0)
        for what, held in (
            ("quantized: every tensor to the bit, dense", right),
            ("quantized: the logits of the dense model, as stored", same),
        )
    ]


def _prove_judgement(right: Tally, naive: Tally) -> list[Proof]:
    """Ours passes what it was judged on, and the suite is not blind: it finds defects in a loader that has them."""
    total = right.passed + right.failed
    return [
        Proof(f"{right.loader}: cases passed", f"{right.passed} of {total}", "all", right.passed == total > 0),
        Proof(f"{naive.loader}: defects found in it", str(naive.failed), "1 or more", naive.failed > 0),
    ]


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _contents_table(specimens: list[Specimen]) -> Table:
    def facts(specimen: Specimen) -> list[tuple[str, str]]:
        analysis = specimen.analysis
        dtypes = ", ".join(f"{use.dtype} {use.nbytes:,} B in {use.tensors}" for use in analysis.dtypes)
        return [
            ("scheme", analysis.scheme),
            ("tensors", f"{analysis.tensors:,}"),
            ("parameters", f"{analysis.parameters:,}"),
            ("bytes", f"{analysis.nbytes:,}"),
            ("dtypes", dtypes),
            ("layers", analysis.layers),
            ("head tied", "yes" if analysis.tied else "no"),
            ("generated in", f"{specimen.build_seconds:.2f} s"),
            ("loaded in", f"{specimen.load_seconds:.3f} s"),
        ]

    lines = zip(*(facts(specimen) for specimen in specimens), strict=True)
    rows = ([line[0][0], *(value for _, value in line)] for line in lines)
    return _table("What the checkpoints hold", ("", *(specimen.name for specimen in specimens)), rows)


def _shards_table(specimens: list[Specimen]) -> Table:
    rows = (
        [
            specimen.name,
            shard.name,
            f"{shard.file_bytes:,}",
            f"{shard.header_bytes:,}",
            str(shard.tensors),
            shard.layers,
        ]
        for specimen in specimens
        for shard in specimen.analysis.shards
    )
    return _table("Shards", ("checkpoint", "file", "bytes", "header", "tensors", "layers"), rows)


def _names_table(specimen: Specimen) -> Table:
    names = [name for name in specimen.tensors if any(shown in name for shown in _SHOWN_NAMES)]
    rows = ([name, *(translate(name, "huggingface", dialect) for dialect in _DIALECTS)] for name in names)
    return _table("Names, a sample", ("stored (huggingface)", *_DIALECTS), rows)


def _memory_table(specimens: list[Specimen]) -> Table:
    def row(specimen: Specimen) -> list[str]:
        needed = specimen.analysis.memory(length=1024)
        kept = specimen.analysis.weight_bytes(dequantize=False)
        figures = (specimen.predicted_bytes, specimen.measured_bytes, kept, needed.kv_cache, needed.activations)
        return [specimen.name, *(f"{figure:,}" for figure in figures)]

    columns = ("bytes", "weights predicted", "measured", "kept quantized", "KV cache, 1,024 tokens", "activations")
    return _table("Memory", columns, map(row, specimens))


def _proofs_table(proofs: list[Proof]) -> Table:
    rows = ([proof.what, proof.result, proof.bound, "yes" if proof.holds else "NO"] for proof in proofs)
    return _table("Proved", ("what", "result", "bound", "holds"), rows)
