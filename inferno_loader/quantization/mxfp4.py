"""The MXFP4 of gpt-oss: blocks of 32 values in 16 bytes, each with a power of two. Of experts only: no Llama has it.

``*_blocks`` U8 [..., rows, I / 32, 16], the low nibble of a byte the even value; ``*_scales`` U8 [..., rows, I / 32].
``w = E2M1(code) * 2**(scale - 127)``, [..., rows, I]. (transformers hands out the transposed matrices.)

Source: https://github.com/openai/gpt-oss ``gpt_oss/torch/weights.py``; OCP MX 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.quantization.bits import nibbles
from inferno_loader.quantization.numbers import e2m1_values, e8m0_scales, looked_up

if TYPE_CHECKING:
    import torch


def dense_of_blocks(blocks: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The dense matrices of some experts.

    Args:
        blocks: U8 [..., rows, blocks, 16].
        scales: U8 [..., rows, blocks].
        dtype: Of the result; values are rounded to it once.

    Returns:
        [..., rows, 32 * blocks].
    """
    values = looked_up(nibbles(blocks, low_first=True), e2m1_values())
    return values.mul_(e8m0_scales(scales)[..., None]).flatten(-2).to(dtype)
