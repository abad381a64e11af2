"""Write the quantized forms: quantize a dense checkpoint with llm-compressor, and note what it decompresses to.

Run as a script by `fetch_real_models`, inside the virtual environment of llm-compressor. Beside the checkpoint it
writes ``reference.json``: the sha256 of every weight as compressed-tensors itself decompresses it. Dequantized weights
are held against those digests, so the expected values come from the library that defines the format.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def produce(source: Path, output: Path, scheme: str) -> None:
    """Write the checkpoint in `source`, quantized by `scheme`, and its references to the directory `output`.

    Args:
        source: A dense checkpoint, tokenizer included.
        output: An existing directory.
        scheme: A preset of compressed-tensors that needs no calibration data: ``W8A8`` or ``FP8_DYNAMIC``.
    """
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    recipe = QuantizationModifier(targets="Linear", scheme=scheme, ignore=["lm_head"])
    oneshot(model=model, recipe=recipe, pipeline="datafree")
    model.save_pretrained(output, save_compressed=True)
    for name in _TOKENIZER_FILES:
        shutil.copyfile(source / name, output / name)
    references = json.dumps(decompressed_digests(output), indent=1) + "\n"
    (output / "reference.json").write_text(references, encoding="utf-8")


def decompressed_digests(directory: Path) -> dict[str, dict[str, object]]:
    """Dtype, shape and sha256 (of the little-endian bytes) of every weight, decompressed; the tied head is left out."""
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype="auto",
        quantization_config=CompressedTensorsConfig(dequantize=True),
    )
    weights = {name: tensor for name, tensor in model.named_parameters() if name.endswith(".weight")}
    return {
        name: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "sha256": hashlib.sha256(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()).hexdigest(),
        }
        for name, tensor in sorted(weights.items())
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and produce one form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scheme", choices=("W8A8", "FP8_DYNAMIC"), required=True)
    options = parser.parse_args(arguments)
    produce(options.source, options.output, options.scheme)


if __name__ == "__main__":
    main()
