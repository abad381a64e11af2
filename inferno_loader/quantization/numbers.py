"""What the codes of small floating-point formats stand for, as tables. Imports torch when it makes one.

Sources: OCP Microscaling Formats (MX) 1.0 for E2M1, E2M3 and E8M0; OCP 8-bit Floating Point 1.0 for E4M3 and E5M2.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Bytes that a code takes while it is looked up: an int32 index, and a float32 value.
LOOKED_UP_BYTES = 8
#: Magnitudes of the codes 0 to 7 of E2M1; 8 to 15 are their negatives, minus zero among them.
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@cache
def e2m1_values() -> torch.Tensor:
    """float32 [16]: the value of each code of E2M1."""
    return _signed([*E2M1])


@cache
def e2m3_values() -> torch.Tensor:
    """float32 [64]: the value of each code of E2M3: exponent bias 1, subnormal numbers of eighths."""
    normal = [(1 + mantissa / 8) * 2.0 ** (exponent - 1) for exponent in (1, 2, 3) for mantissa in range(8)]
    return _signed([*(mantissa / 8 for mantissa in range(8)), *normal])


def _signed(magnitudes: list[float]) -> torch.Tensor:
    import torch  # noqa: PLC0415 - planning never imports it

    half = torch.tensor(magnitudes, dtype=torch.float32)
    return torch.cat([half, -half])


def e8m0_scales(octets: torch.Tensor) -> torch.Tensor:
    """Powers of two, 2**(code - 127), as float32, from U8 or E8M0 of any shape; 255 is NaN.

    The code 0 is 2**-127, which float32 holds as a subnormal number: by the bits of an exponent it would be zero.
    """
    import torch  # noqa: PLC0415

    return looked_up(octets.view(torch.uint8), _e8m0_values())


@cache
def _e8m0_values() -> torch.Tensor:
    """float32 [256]: the value of each code of E8M0."""
    import torch  # noqa: PLC0415

    powers = [2.0 ** (code - 127) for code in range(255)]
    return torch.tensor([*powers, torch.nan], dtype=torch.float32)


def fp8_values(dtype: torch.dtype) -> torch.Tensor:
    """float32 [256]: the value of each byte of an 8-bit format. torch itself converts eight times slower."""
    import torch  # noqa: PLC0415

    return torch.arange(256, dtype=torch.uint8).view(dtype).to(torch.float32)


def looked_up(codes: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """The entry of `table` for each code, uint8 of any shape, in the dtype of the table."""
    import torch  # noqa: PLC0415

    return table.to(codes.device).index_select(0, codes.reshape(-1).to(torch.int32)).view(codes.shape)
