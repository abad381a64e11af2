"""What the real producers of each family write: every weight is what the producer itself makes of it.

Four bits cost this model a fifth of its perplexity and more: it is small (OPT-125M goes from 27.65 to 37.28 when each
weight is rounded to four bits, https://arxiv.org/abs/2210.17323, table 3), and its weights have passed through other
blocks of four bits before. So no limit beside that of BF16 would tell a misreading from a loss, and each form is held
to its own perplexity, which was measured with a plain model of transformers.

The quick forms are there for every run; ``INFERNO_PRODUCERS=all`` asks for all of them, as the tox environment
``producers`` does.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tests.real_models import measuring
from conformance.tests.real_models.measuring import describe, perplexity, plain_model
from conformance.tests.real_models.spans import spans
from conformance.tests.real_models.summary import COMPARED, LINE
from conformance.tools.real_models import EVERY, PRODUCED
from inferno_loader import analyze, load_model, load_state_dict, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_ALL = os.environ.get("INFERNO_PRODUCERS") == "all"
_PRODUCED = {form.name: form for form in EVERY.values() if form.producer}
_FORMS = [form.name for form in _PRODUCED.values() if _ALL or not form.slow]
#: What the analyzer calls each form.
_SCHEMES = {
    "w8a8": "ct-int",
    "fp8-dynamic": "ct-float",
    "fp8-block": "ct-float",
    "w4a16": "ct-pack",
    "w4a16-asym": "ct-pack",
    "nvfp4a16": "ct-nvfp4",
    "nvfp4": "ct-nvfp4",
    "mxfp4": "ct-mxfp",
    "bnb-nf4": "bnb",
    "bnb-int8": "bnb",
    "torchao-int8": "torchao",
    "torchao-fp8": "torchao",
    "torchao-int4": "torchao",
    "quanto-int4": "quanto",
    "hqq-int4": "hqq",
    "gptq": "gptq",
    "gptq-asym-desc-act": "gptq",
    "awq": "awq",
}
#: The linear modules of a layer.
_LINEAR = 7
#: By what share a perplexity may be off the one on record: of codes that depend on sums over the text, which another
#: processor adds up otherwise, by more.
_OFF, _CALIBRATED_OFF = 0.005, 0.05

each_form = pytest.mark.parametrize("form", _FORMS)


def test_every_form_has_a_word() -> None:
    """The table above names each form that a producer writes."""
    assert _SCHEMES.keys() == _PRODUCED.keys()


@each_form
def test_weights_are_those_of_the_producer(
    form: str, directory_of: Callable[[str], Path], record_property: Callable[[str, object], None]
) -> None:
    """Every weight has the dtype, the shape and the bytes to which the producer itself dequantizes it."""
    directory = directory_of(form)
    references = json.loads((directory / "reference.json").read_text(encoding="utf-8"))
    loaded = load_state_dict(directory, names="huggingface")
    assert loaded.keys() == references.keys() | {"lm_head.weight"}
    different = {
        name: (describe(loaded[name]), reference)
        for name, reference in references.items()
        if describe(loaded[name]) != reference
    }
    assert different == {}
    seconds = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))["seconds"]
    quantized = sum(tensor.quantized is not None for tensor in plan(directory).tensors)
    record_property(COMPARED, f"{_SCHEMES[form]} {quantized}")
    record_property(
        LINE,
        f"{form}: {len(references)} tensors equal to the producer's bit for bit, {quantized} of them quantized; "
        f"made in {seconds['clock']:.0f} s ({seconds['processors']:.0f} s of processors)",
    )
    assert quantized == _LINEAR * _layers(directory)
    assert min(seconds["clock"], seconds["processors"]) > 0


def _layers(directory: Path) -> int:
    config: dict[str, int] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return config["num_hidden_layers"]


@each_form
def test_analyzer_names_the_scheme(form: str, directory_of: Callable[[str], Path]) -> None:
    """The analyzer names the family, and counts each parameter once, however many share a byte."""
    found = analyze(directory_of(form))
    assert found.scheme == _SCHEMES[form]
    whole = _PRODUCED[form].layers is None
    assert not whole or found.parameters == 134_515_008


@dataclass(frozen=True, slots=True)
class Measured:
    """A form on the text, by our model and by a plain one of transformers, both in float32.

    Attributes:
        difference: The largest one of logits, absolute.
        largest: The largest logit of transformers.
        same: Whether the first token is the same everywhere.
        perplexity: Ours.
        theirs: That of transformers.
    """

    difference: float
    largest: float
    same: bool
    perplexity: float
    theirs: float


def _plain_logits(directory: Path, weights: Mapping[str, torch.Tensor], text: torch.Tensor) -> torch.Tensor:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return measuring.logits_of(plain_model(config, weights), text)


@pytest.fixture(scope="module")
def measured(directory_of: Callable[[str], Path], text: torch.Tensor) -> Callable[[str], Measured]:
    """What was measured of a form.

    The weights are those that are held against the producer's, rounded to the dtype that it gives, and widened then.
    """
    known: dict[str, Measured] = {}

    def measured(form: str) -> Measured:
        if form not in known:
            directory = directory_of(form)
            ours = measuring.logits_of(load_model(directory).float(), text)
            theirs = _plain_logits(directory, load_state_dict(directory, names="huggingface"), text)
            known[form] = Measured(
                difference=float((ours - theirs).abs().max()),
                largest=float(theirs.abs().max()),
                same=torch.equal(ours.argmax(-1), theirs.argmax(-1)),
                perplexity=perplexity(ours, text),
                theirs=perplexity(theirs, text),
            )
        return known[form]

    return measured


@each_form
def test_logits_are_those_of_the_same_weights(
    form: str, measured: Callable[[str], Measured], record_property: Callable[[str, object], None]
) -> None:
    """In float32, the logits equal those of a plain transformers model that has been given the dequantized weights."""
    found = measured(form)
    record_property(LINE, f"{form}: logits {found.difference:.1e} off transformers' with the same weights")
    assert found.difference < 1e-4 * found.largest
    assert found.same
    assert found.perplexity == pytest.approx(found.theirs, rel=1e-4)


@each_form
def test_kept_codes_compute_the_same_in_the_memory_of_the_file(
    form: str, directory_of: Callable[[str], Path], text: torch.Tensor, record_property: Callable[[str, object], None]
) -> None:
    """Weights that are dequantized on use take the bytes that are stored, and give the logits of dense ones."""
    directory, beginning = directory_of(form), text[:, :32]
    dense = load_model(directory, dtype="float32")
    kept = load_model(directory, dtype="float32", dequantize=False)
    torch.testing.assert_close(
        measuring.logits_of(kept, beginning), measuring.logits_of(dense, beginning), rtol=0, atol=2e-4
    )
    predicted = analyze(directory)
    held, widened = _held(load_model(directory, dequantize=False)), predicted.memory().weights
    record_property(LINE, f"{form}: kept as stored {held:,} bytes, {held / widened:.1%} of those of dense weights")
    assert held == predicted.memory(dequantize=False).weights
    assert held <= sum(span.nbytes for span in spans(directory).values())


def _held(model: torch.nn.Module) -> int:
    """Bytes of all that a model holds, what is tied once."""
    storages = [tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.parametrize("form", [form for form in _FORMS if _PRODUCED[form].layers is None])
def test_perplexity_is_that_on_record(
    form: str,
    measured: Callable[[str], Measured],
    known: Mapping[str, Any],
    dense: Callable[[int | None], float],
    record_property: Callable[[str, object], None],
) -> None:
    """On a text of 300 words the perplexity is the one on record, as that of the BF16 weights is.

    That of a cut of the model says nothing: it is some ten millions, and that of transformers as well.
    """
    found, beside, recorded = measured(form).perplexity, dense(None), known["perplexity"]
    record_property(LINE, f"{form}: perplexity {found:.3f}, bf16 {beside:.3f}")
    assert found == pytest.approx(recorded[form], rel=_CALIBRATED_OFF if form == "gptq" else _OFF)
    assert beside == pytest.approx(recorded["bf16"], rel=_OFF)


@pytest.mark.parametrize("leaf", ["mlp.down_proj", "mlp.up_proj"])
def test_one_misread_weight_of_210_shows(
    leaf: str,
    directory_of: Callable[[str], Path],
    text: torch.Tensor,
    known: Mapping[str, Any],
    record_property: Callable[[str, object], None],
) -> None:
    """The codes of each byte changed for one another, in one weight alone, go far beyond what perplexity may be off."""
    directory, name = directory_of("w4a16"), f"model.layers.15.{leaf}.weight"
    weights = load_state_dict(directory, names="huggingface")
    right = weights[name]
    weights[name] = right.reshape(len(right), -1, 2).flip(2).reshape(right.shape)
    found = perplexity(_plain_logits(directory, weights, text), text)
    record_property(LINE, f"w4a16 with the nibbles of {name} changed: perplexity {found:.3f}")
    assert found > known["perplexity"]["w4a16"] * (1 + 5 * _OFF)


@pytest.mark.parametrize("form", [form for form in _FORMS if form in PRODUCED])
def test_stored_data_is_that_on_record(
    form: str, directory_of: Callable[[str], Path], known: Mapping[str, Any]
) -> None:
    """The data of a form is that on record, but for producers whose choices depend on the processor."""
    file = directory_of(form) / "model.safetensors"
    with file.open("rb") as stream:
        stream.seek(int.from_bytes(stream.read(8), "little"), os.SEEK_CUR)
        found = {"bytes": file.stat().st_size, "data_sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    assert (form in known["produced"]) != (form in known["not_the_same_everywhere"])
    assert known["produced"].get(form, found) == found
