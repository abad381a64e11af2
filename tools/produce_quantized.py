"""Write the quantized forms of compressed-tensors: quantize a dense checkpoint with llm-compressor, and decompress it.

Run as a script by `fetch_real_models`, inside the virtual environment of llm-compressor. Beside the checkpoint it
writes ``dequantized.safetensors``, every weight as compressed-tensors itself decompresses it; the fetcher keeps the
digests. So the expected values come from the library that defines the format.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from compressed_tensors.quantization import QuantizationScheme, preset_name_to_scheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

#: Presets that need no calibration data, and one that does: its activations have a scale that is stored.
_DATAFREE = ("W8A8", "FP8_DYNAMIC", "FP8_BLOCK", "W4A16", "W4A16_ASYM", "NVFP4A16", "MXFP4")
_CALIBRATED = ("NVFP4",)
#: The width of this model is no multiple of the 128 columns that the presets of packed integers put into a group.
_GROUP = 64
_SAMPLES = 4


def produce(source: Path, output: Path, scheme: str, text: Path | None) -> None:
    """Write the checkpoint in `source`, quantized by `scheme`, and its decompressed weights to the directory `output`.

    Args:
        source: A dense checkpoint, tokenizer included.
        output: An existing directory.
        scheme: A preset of compressed-tensors.
        text: What calibrates the activations, for a preset that stores a scale of theirs.
    """
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    modifier = QuantizationModifier(config_groups={"group_0": _scheme(scheme)}, ignore=["lm_head"])
    if scheme in _CALIBRATED:
        samples = _samples(source, text) if text else None
        oneshot(model=model, recipe=modifier, dataset=samples, num_calibration_samples=_SAMPLES, pipeline="basic")
    else:
        oneshot(model=model, recipe=modifier, pipeline="datafree")
    model.save_pretrained(output, save_compressed=True)
    save_file(_decompressed(output), output / "dequantized.safetensors")


def _scheme(name: str) -> QuantizationScheme:
    """The preset of compressed-tensors; groups of 64 where it has groups of 128, which do not divide 576."""
    scheme = preset_name_to_scheme(name, ["Linear"])
    if name.startswith("W4A16"):
        scheme.weights.group_size = _GROUP
    return scheme


def _samples(source: Path, text: Path) -> Dataset:
    """Paragraphs of `text` as token ids, one a row."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    paragraphs = text.read_text(encoding="utf-8").split("\n\n")[:_SAMPLES]
    return Dataset.from_list([dict(tokenizer(paragraph)) for paragraph in paragraphs])


def _decompressed(directory: Path) -> dict[str, torch.Tensor]:
    """Every weight, decompressed; the tied head is left out."""
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype="auto",
        quantization_config=CompressedTensorsConfig(dequantize=True),
    )
    return {name: weight.detach().contiguous() for name, weight in model.named_parameters() if name.endswith(".weight")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and produce one form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scheme", choices=(*_DATAFREE, *_CALIBRATED), required=True)
    parser.add_argument("--text", type=Path)
    options = parser.parse_args(arguments)
    produce(options.source, options.output, options.scheme, options.text)


if __name__ == "__main__":
    main()
