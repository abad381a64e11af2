"""The demonstration's families: each is loaded to the bit, and one that is not is told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import torch
from rich.console import Console

import inferno_loader
from conformance import demo, demo_quantized

if TYPE_CHECKING:
    from pathlib import Path

_ONE = "W4A16, groups of 32"


@pytest.fixture
def only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has one row."""
    monkeypatch.setattr(demo_quantized, "RECIPES", {_ONE: demo_quantized.RECIPES[_ONE]})


def _said(place: Path) -> tuple[list[demo_quantized.Family], str, list[demo.Proof]]:
    written = io.StringIO()
    families = demo_quantized.load_each(place, Console(file=written, width=132))
    return families, written.getvalue(), demo._prove_families(families)


def test_each_family_is_loaded_to_the_bit_and_told(tmp_path: Path) -> None:
    """Every family that the loader reads has a row: whole, to the bit, with fewer than 16 bits a weight."""
    families, written, proofs = _said(tmp_path)
    assert [(each.equal, each.same) for each in families] == [(each.tensors, True) for each in families]
    assert all(each.tensors > 10 and 1 < each.bits < 16 and each.kept < 0.6 for each in families)
    assert all(each.name in written and each.scheme in written for each in families)
    words = {"ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp", "ct-sparse", "gptq", "awq", "bnb", "fp8-block"}
    assert {each.scheme for each in families} == words | {"modelopt", "torchao", "quanto", "hqq", "gguf"}
    assert all(proof.holds for proof in proofs)


@pytest.mark.usefixtures("only_one")
def test_one_wrong_bit_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor that is off by one bit is counted out, and the proof does not hold."""

    def off_by_a_bit(*args: Any, **options: Any) -> dict[str, torch.Tensor]:
        tensors = dict(load(*args, **options))
        tensors["model.norm.weight"].view(torch.int16)[0] ^= 1
        return tensors

    load = inferno_loader.load_state_dict
    monkeypatch.setattr(inferno_loader, "load_state_dict", off_by_a_bit)
    families, written, proofs = _said(tmp_path)
    assert families[0].equal == families[0].tensors - 1
    assert f"{families[0].equal} of {families[0].tensors}" in written
    assert [proof.holds for proof in proofs] == [False, True]


@pytest.mark.usefixtures("only_one")
def test_other_logits_are_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model as stored that answers otherwise than the dense one is told, and the proof does not hold."""

    def with_another_norm(*args: Any, dequantize: bool, **options: Any) -> torch.nn.Module:
        model = load(*args, dequantize=dequantize, **options)
        if not dequantize:
            with torch.no_grad():
                next(iter(model.parameters())).mul_(2)
        return model

    load = inferno_loader.load_model
    monkeypatch.setattr(inferno_loader, "load_model", with_another_norm)
    families, written, proofs = _said(tmp_path)
    assert not families[0].same
    assert "NO" in written
    assert [proof.holds for proof in proofs] == [True, False]


def test_none_is_no_proof() -> None:
    """Of no checkpoint at all nothing is proved."""
    assert [proof.holds for proof in demo._prove_families([])] == [False, False]
