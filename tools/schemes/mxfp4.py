"""The MXFP4 of gpt-oss, read: blocks of 32 values in 16 bytes, each with a power of two. No Llama has it.

``*_blocks`` U8 ``[..., rows, blocks, 16]``, the low nibble of a byte the even value; ``*_scales`` U8 ``[..., rows,
blocks]``. ``w = E2M1(code) * 2**(scale - 127)``.
Source: https://github.com/openai/gpt-oss, ``gpt_oss/torch/weights.py``; OCP Microscaling Formats (MX) 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conformance.tools.encode import round_bf16
from conformance.tools.schemes.small_floats import E2M1, powers_of_two

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dense(blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The dense matrices of some experts, ``[..., rows, 32 * blocks]``, rounded to BF16.

    Args:
        blocks: uint8 ``[..., rows, blocks, 16]``.
        scales: uint8 ``[..., rows, blocks]``.
    """
    codes = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], -1)
    values = E2M1[codes] * powers_of_two(scales)[..., None]
    return round_bf16(values.reshape(*scales.shape[:-1], -1))
