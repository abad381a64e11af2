"""Run transformers on a checkpoint, in a process of its own, and keep its logits as a safetensors file.

The peer stays out of the tests' process: its warnings, its threads and its memory are its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


def main(directory: str, dtype: str, output: str, *input_ids: str) -> None:
    """Write ``logits`` [positions, vocabulary], in the dtype that was asked for, to `output`."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype))
    with torch.inference_mode():
        logits = model(torch.tensor([[int(token) for token in input_ids]])).logits[0]
    unfinished = Path(f"{output}.part")
    save_file({"logits": logits.contiguous()}, unfinished)
    unfinished.rename(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
