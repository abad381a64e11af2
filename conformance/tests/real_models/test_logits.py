"""The forward pass on trained weights, beside that of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tests.real_models.summary import LINE
from conformance.tools.real_models import FORMS
from inferno_loader import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tokenizers import Tokenizer

#: The least share of positions where a quantized form must agree with the dense one. transformers, on the weights that
#: compressed-tensors decompresses, gives 0.985 and 0.930; a dropped scale gives next to nothing.
_AGREEMENT = {"w8a8": 0.97, "fp8-dynamic": 0.9}


def _logits(directory: Path, dtype: str, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = load_model(directory, dtype=dtype)(torch.tensor([tokens]))[0]
    return logits


def _margin(logits: torch.Tensor) -> torch.Tensor:
    """By how much the first of each position leads the second."""
    first, second = logits.float().topk(2).values.unbind(-1)
    return first - second


@pytest.mark.parametrize("form", FORMS)
def test_greedy_continuation_begins_with_paris(
    form: str, directory_of: Callable[[str], Path], tokenizer: Tokenizer, known: Mapping[str, Any]
) -> None:
    """From every form, "The capital of France is" goes on with " Paris"."""
    prompt = tokenizer.encode(known["prompt"]["text"]).ids
    assert prompt == known["prompt"]["ids"]
    continued = load_model(directory_of(form)).generate(torch.tensor([prompt]), max_new_tokens=3)
    assert tokenizer.decode(continued[0, len(prompt) :].tolist()).startswith(known["prompt"]["continuation"])


def test_float32_logits_equal_those_of_transformers(
    directory_of: Callable[[str], Path],
    passage: list[int],
    peer_logits: Callable[[str], torch.Tensor],
    record_property: Callable[[str, object], None],
) -> None:
    """In float32, on 200 tokens of text: differences below 2e-4, and the same first token everywhere."""
    ours, theirs = _logits(directory_of("bf16"), "float32", passage), peer_logits("float32")
    assert ours.dtype == theirs.dtype == torch.float32
    assert ours.shape == theirs.shape
    difference = float((ours - theirs).abs().max())
    record_property(LINE, f"float32 logits: {difference:.1e} off transformers' at most")
    assert difference < 2e-4
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))


def test_bfloat16_argmax_is_that_of_transformers_where_it_is_sure(
    directory_of: Callable[[str], Path],
    passage: list[int],
    peer_logits: Callable[[str], torch.Tensor],
    record_property: Callable[[str, object], None],
) -> None:
    """In BF16: the same first token wherever transformers' leads by more than 1.0, and that is so often enough."""
    ours, theirs = _logits(directory_of("bf16"), "bfloat16", passage), peer_logits("bfloat16")
    assert ours.dtype == theirs.dtype == torch.bfloat16
    sure = _margin(theirs) > 1.0
    record_property(LINE, f"bfloat16 argmax: verified at {int(sure.sum())} of {len(passage)} positions")
    assert int(sure.sum()) >= 50
    assert torch.equal(ours.argmax(-1)[sure], theirs.argmax(-1)[sure])


@pytest.mark.parametrize("form", _AGREEMENT)
def test_quantized_forms_agree_with_the_dense_one(
    form: str,
    directory_of: Callable[[str], Path],
    passage: list[int],
    peer_logits: Callable[[str], torch.Tensor],
    record_property: Callable[[str, object], None],
) -> None:
    """A quantized form has the first token of the BF16 form nearly everywhere, and where that leads by 1.0 always."""
    ours, theirs = _logits(directory_of(form), "float32", passage), peer_logits("float32")
    same = ours.argmax(-1) == theirs.argmax(-1)
    agreement = float(same.float().mean())
    record_property(LINE, f"{form}: {agreement:.1%} of first tokens as in bf16")
    assert agreement >= _AGREEMENT[form]
    assert bool(same[_margin(theirs) > 1.0].all())


@pytest.mark.parametrize("form", _AGREEMENT)
def test_kept_codes_compute_what_dense_weights_compute(
    form: str, directory_of: Callable[[str], Path], passage: list[int]
) -> None:
    """Weights that are dequantized on use give the logits of those that are dequantized on loading."""
    beginning = torch.tensor([passage[:32]])
    with torch.inference_mode():
        dense = load_model(directory_of(form), dtype="float32")(beginning)
        kept = load_model(directory_of(form), dtype="float32", dequantize=False)(beginning)
    torch.testing.assert_close(kept, dense, rtol=0, atol=2e-4)
