"""Fixtures of the real models: built once, shared by all workers of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tokenizers import Tokenizer

from conformance.tests.real_models.measuring import logits_of, perplexity
from conformance.tests.real_models.summary import LINE
from conformance.tools import resident
from conformance.tools.facts import facts as figures_of
from conformance.tools.fetch_real_models import ensure
from conformance.tools.real_models import facts
from conformance.tools.twins import build_twin
from inferno_loader import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PEER = Path(__file__).with_name("peer_logits.py")
_TEXT = Path(__file__).parents[2] / "fixtures" / "perplexity.txt"
_POSITIONS = 200

#: The directories under ``$INFERNO_MODELS_DIR`` that are looked for.
THREE = tuple(facts()["stand_ins"])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One of the three models, or its twin.

    Attributes:
        name: The name of its directory under ``$INFERNO_MODELS_DIR``.
        model: The checkpoint on the hub, whose twin stands in.
        directory: Where it lies.
        real: Whether it is the real one.
    """

    name: str
    model: str
    directory: Path
    real: bool

    @property
    def figures(self) -> Mapping[str, Any]:
        """What is known of its layout."""
        known = figures_of(self.model)
        figures: Mapping[str, Any] = known.get("twin") or known["quantized_twin"]
        return figures

    @property
    def standing(self) -> str:
        """One line for the report."""
        return f"{self.name}: {'real' if self.real else 'twin'} ({self.directory if self.real else self.model})"


@pytest.fixture(scope="session")
def known() -> Mapping[str, Any]:
    """What is on record about the model: published figures, digests, prompt, passage."""
    return facts()


@pytest.fixture(scope="session")
def directory_of() -> Callable[[str], Path]:
    """The directory of a form; it is fetched and built where the cache has none."""
    verified: dict[str, Path] = {}

    def directory_of(form: str) -> Path:
        if form not in verified:
            verified[form] = ensure(form)
        return verified[form]

    return directory_of


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of this run that all its workers have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def tokenizer(directory_of: Callable[[str], Path]) -> Tokenizer:
    """The tokenizer of the model, through the tokenizers library."""
    return Tokenizer.from_file(str(directory_of("bf16") / "tokenizer.json"))


@pytest.fixture(scope="session")
def passage(tokenizer: Tokenizer, known: Mapping[str, Any]) -> list[int]:
    """The first 200 tokens of a text."""
    ids: list[int] = tokenizer.encode(known["passage"]).ids[:_POSITIONS]
    assert len(ids) == _POSITIONS
    return ids


@pytest.fixture(scope="session")
def text(tokenizer: Tokenizer) -> torch.Tensor:
    """The tokens of a text that was written for this project, [1, positions]."""
    return torch.tensor([tokenizer.encode(_TEXT.read_text(encoding="utf-8")).ids])


@pytest.fixture(scope="session")
def dense(directory_of: Callable[[str], Path], text: torch.Tensor) -> Callable[[int | None], float]:
    """The perplexity of the BF16 weights on the text, of all layers or of the first ones."""
    known: dict[int | None, float] = {}

    def dense(layers: int | None) -> float:
        if layers not in known:
            model = load_model(directory_of("bf16"), dtype="float32")
            model.layers = model.layers[:layers]
            known[layers] = perplexity(logits_of(model, text), text)
        return known[layers]

    return dense


@pytest.fixture(scope="session")
def peer_logits(directory_of: Callable[[str], Path], passage: list[int], shared: Path) -> Callable[[str], torch.Tensor]:
    """Logits [200, vocabulary] of transformers on the BF16 form, computed in a dtype, in that dtype."""

    def peer_logits(dtype: str) -> torch.Tensor:
        output = shared / f"peer-{dtype}.safetensors"
        with FileLock(f"{output}.lock"):
            if not output.exists():
                _run(_PEER, directory_of("bf16"), dtype, output, *passage)
        return load_file(output)["logits"]

    return peer_logits


@pytest.fixture(scope="session")
def growth() -> Callable[..., tuple[int, int]]:
    """By how many bytes a fresh process grows over a load with the given options of `load_model`: in the end, at most.

    In the end every page of the weights has been touched, unless ``touched=False``. A load of ``warm_up`` comes first.
    """

    def growth(directory: Path, *, warm_up: Path, touched: bool = True, **options: object) -> tuple[int, int]:
        arguments = warm_up, directory, json.dumps(touched), json.dumps(options)
        # Large blocks that are freed go back to the system at once: what is measured is what is held.
        told = _run(resident.__file__, *arguments, MALLOC_MMAP_THRESHOLD_="1048576")
        end, peak = map(int, told.split())
        return end, peak

    return growth


@pytest.fixture(scope="session")
def grown(growth: Callable[..., tuple[int, int]]) -> Callable[..., int]:
    """By how many bytes a fresh process has grown in the end. See `growth`."""

    def grown(directory: Path, **options: object) -> int:
        return growth(directory, **options)[0]

    return grown


@pytest.fixture(scope="session")
def twin_of(shared: Path) -> Callable[[str], Checkpoint]:
    """The twin of one of the three models, built once a run. Its configuration is written last."""

    def twin_of(name: str) -> Checkpoint:
        model, directory = facts()["stand_ins"][name], shared / name
        with FileLock(f"{directory}.lock"):
            if not (directory / "config.json").exists():
                build_twin(model, directory)
        return Checkpoint(name, model, directory, real=False)

    return twin_of


@pytest.fixture
def checkpoint(
    request: pytest.FixtureRequest,
    twin_of: Callable[[str], Checkpoint],
    record_property: Callable[[str, object], None],
) -> Checkpoint:
    """One of the three models: the real one where it is there, else its twin. The report says which."""
    name: str = request.param
    real = Path(os.environ.get("INFERNO_MODELS_DIR", "~/models")).expanduser() / name
    found = Checkpoint(name, facts()["stand_ins"][name], real, real=True) if real.is_dir() else twin_of(name)
    record_property(LINE, found.standing)
    return found


def _run(script: str | Path, *arguments: object, **variables: str) -> str:
    """The output of one of our scripts, run in a process of its own and without the Hub."""
    command = [sys.executable, "-P", str(script), *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **variables}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
