"""Dense loading of quantized models of 1B shape, beside the same dequantization by compressed-tensors."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from compressed_tensors.compressors import IntQuantizationCompressor, PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import load_file

from conformance.tests.benchmarks.report import Row
from conformance.tests.benchmarks.timing import time_loads
from conformance.tools.architecture import llama_specs
from conformance.tools.container import Spec, write_file
from conformance.tools.recipe import Quantization, Recipe
from conformance.tools.schemes.ct_pack import Packed
from inferno_loader import load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_TOPIC = "Dense loads of two layers of 1B shape (121.6 M codes to 243 MB of BF16), page cache warm, beside {}"
#: Llama-3.2-1B but for layers and vocabulary: what is timed are the Linears.
_SHAPE = {
    "num_hidden_layers": 2,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128,
}
_GROUP = 128
_ROUNDS = 9

_W8 = Quantization("int8", "channel")
_W4 = Packed(bits=4, strategy="group", group_size=_GROUP)
_INT8 = QuantizationArgs(num_bits=8, type="int", strategy="channel", symmetric=True)
_INT4 = QuantizationArgs(num_bits=4, type="int", strategy="group", group_size=_GROUP, symmetric=True)
#: Of each: how a recipe says it, what the library calls it, who decompresses it, and what is to be reached.
_FORMS: dict[str, tuple[Any, Any, Any, str]] = {
    "W8A8": (_W8, _INT8, IntQuantizationCompressor, "at most 0.5 (twice as fast)"),
    "W4A16, groups of 128": (_W4, _INT4, PackedQuantizationCompressor, "at most 1"),
}


def _specs(form: str, specs: Iterable[Spec]) -> Iterator[Spec]:
    """The stored tensors: every Linear of the layers quantized, the rest as it is."""
    for spec in specs:
        module = spec.name.removesuffix(".weight")
        if not module.endswith("_proj"):
            yield spec
            continue
        rows, columns = spec.shape
        if form == "W8A8":
            yield from (Spec(f"{module}.weight", "I8", spec.shape), Spec(f"{module}.weight_scale", "BF16", (rows, 1)))
        else:
            yield Spec(f"{module}.weight_packed", "I32", (rows, columns // 8))
            yield Spec(f"{module}.weight_scale", "BF16", (rows, columns // _GROUP))
            yield Spec(f"{module}.weight_shape", "I64", (2,))


def _data(spec: Spec, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[bytes]:
    """Codes of all bits at random, scales between 1/128 and 1/64, and what else is at random too, within 2."""
    random = np.random.default_rng(len(spec.name))
    if spec.name.endswith("weight_shape"):
        yield np.array(shapes[spec.name.removesuffix("_shape")], "<i8").tobytes()
    elif spec.dtype == "BF16":
        finite = random.integers(0, 1 << 16, spec.nbytes // 2, dtype=np.uint16)
        scale = spec.name.endswith("_scale")
        yield ((finite & 0x7F) | 0x3C00 if scale else finite & 0xBFFF).astype("<u2").tobytes()
    else:
        yield random.bytes(spec.nbytes)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Writes a checkpoint of a form, which is removed when the test is over."""

    def maker(form: str) -> Path:
        recipe = Recipe(config=_SHAPE, quantization=_FORMS[form][0])
        dense = llama_specs(recipe.figures, "BF16")
        shapes = {spec.name: spec.shape for spec in dense}
        write_file(tmp_path / "model.safetensors", list(_specs(form, dense)), lambda spec: _data(spec, shapes))
        (tmp_path / "config.json").write_text(json.dumps(recipe.config_json()), encoding="utf-8")
        return tmp_path

    yield maker
    shutil.rmtree(tmp_path, ignore_errors=True)


def _by_compressed_tensors(directory: Path, form: str) -> dict[str, torch.Tensor]:
    """The tensors of the file, those of each Linear decompressed by the library."""
    _, args, compressor, _ = _FORMS[form]
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    tensors = load_file(directory / "model.safetensors")
    for module in [name.removesuffix(".weight_scale") for name in tensors if name.endswith(".weight_scale")]:
        names = [name for name in tensors if name.startswith(f"{module}.")]
        parts = {name.removeprefix(f"{module}."): tensors.pop(name) for name in names}
        tensors[f"{module}.weight"] = compressor.decompress(parts, scheme)["weight"]
    return tensors


@pytest.mark.parametrize("form", _FORMS)
def test_time_of_a_dense_load(form: str, model: Callable[[str], Path], record: Callable[[Row], None]) -> None:
    """From files to dense tensors of the same bits, in turns with the library that defines the format."""
    directory = model(form)
    ours, theirs = load_state_dict(directory, names="huggingface"), _by_compressed_tensors(directory, form)
    assert ours.keys() == theirs.keys()
    bits = {name: (ours[name].view(torch.int16), theirs[name].view(torch.int16)) for name in ours}
    assert [name for name, (here, there) in bits.items() if not torch.equal(here, there)] == []
    del ours, theirs, bits
    peer = f"load_file, {_FORMS[form][2].__name__}.decompress"
    times = time_loads(
        {form: lambda: load_state_dict(directory), peer: lambda: _by_compressed_tensors(directory, form)}, _ROUNDS
    )
    topic = _TOPIC.format(f"compressed-tensors {version('compressed-tensors')}")
    here, there = times[form].touched, times[peer].touched
    record(Row(topic, f"load_state_dict(), {form}", "copy, warm, touched", "s", here, peer, there, _FORMS[form][3]))
