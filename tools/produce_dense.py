"""Write the dense forms: read a GGUF file with transformers, and save it as safetensors.

Run as a script by `fetch_real_models`, in a process of its own: it needs torch, transformers and gguf.

transformers' own way (``from_pretrained(gguf_file=...)``) leaves a quantization config in the model, with which it
then refuses to save. So a plain model is built from the config, and takes the tensors that transformers' reader gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.utils.logging import disable_progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence


def produce(gguf: Path, output: Path, dtype: torch.dtype, max_shard_bytes: int | None) -> None:
    """Write config, generation config, tokenizer and weights of the Llama in `gguf` to the directory `output`.

    Args:
        gguf: A GGUF file of architecture ``llama``. Its blocks are dequantized in float32, then rounded to `dtype`.
        output: An existing directory.
        dtype: The dtype of every tensor written.
        max_shard_bytes: Where a new shard starts; None for the default of transformers.
    """
    limit = {} if max_shard_bytes is None else {"max_shard_size": max_shard_bytes}
    _read_model(gguf, dtype).save_pretrained(output, **limit)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(output)


def _read_model(gguf: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config.dtype = dtype
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    read = load_gguf_checkpoint(gguf, return_tensors=True, model_to_load=model, torch_dtype=dtype)
    absent, unknown = model.load_state_dict(read["tensors"], strict=False, assign=True)
    if absent != ["lm_head.weight"] or unknown:
        raise SystemExit(f"{gguf} is not the tied Llama that was expected: absent {absent}, unknown {unknown}")
    model.tie_weights()
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and produce one form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--dtype", choices=("bfloat16", "float16"), required=True)
    parser.add_argument("--max-shard-bytes", type=int)
    options = parser.parse_args(arguments)
    disable_progress_bar()
    produce(options.gguf, options.output, getattr(torch, options.dtype), options.max_shard_bytes)


if __name__ == "__main__":
    main()
