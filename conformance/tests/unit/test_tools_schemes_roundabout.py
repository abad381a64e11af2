"""Where a library does not store what is nearest, our encoders store what the library does.

The values were made by bitsandbytes 0.50.2 (``functional.quantize_blockwise``, on a CPU) and by optimum-quanto 0.2.7
(``quantize_weight`` with its ``MaxOptimizer``, and ``weight_qbits_tensor`` as when it saves).
"""

from __future__ import annotations

import numpy as np
import pytest

from conformance.tools.schemes.bnb import dynamic_table, looked_up
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.stored import decode

#: A nested scale whose block has the largest magnitude 0.75, the code that bitsandbytes gives it, the nearest one.
_BESIDE = (
    (-0.6023347973823547, 13, 14),
    (-0.04547775164246559, 78, 77),
    (-1.0425000255054329e-05, 123, 124),
    (7.5750003816210665e-06, 131, 130),
    (6.712500180583447e-05, 133, 134),
    (0.07289963215589523, 189, 190),
)
#: The smallest and the largest weight of a group, the shift that quanto makes of them, and the one that it stores.
_SHIFTS = (
    (-3.0, 0.1328125, 3.0, 3.0),
    (-0.01171875, 3.015625, 0.01171875, 0.0078125),
    (-0.00057220458984375, 1.0, 0.00057220458984375, 0.0),
    (-0.333984375, 1.5, 0.333984375, 0.33203125),
)


def test_nested_scales_have_the_codes_of_bitsandbytes() -> None:
    """The table of 65,536 places gives a neighbour of the nearest entry to six numbers, as it does in the library."""
    values, codes, nearest = (np.array(each) for each in zip(*_BESIDE, strict=True))
    spread = np.full(len(values), 0.75, np.float32)
    found = looked_up(values.astype(np.float32), spread, dynamic_table())
    distances = np.abs(values[:, None] / 0.75 - dynamic_table().astype(np.float64))
    np.testing.assert_array_equal(distances.argmin(axis=1), nearest)
    np.testing.assert_array_equal(found, codes)


def test_nested_scales_that_are_all_alike_have_code_zero() -> None:
    """Where nothing is left to store, bitsandbytes stores the code 0, and not that of the entry 0."""
    zeros = np.zeros(4, np.float32)
    np.testing.assert_array_equal(looked_up(zeros, zeros, dynamic_table()), [0, 0, 0, 0])


@pytest.mark.parametrize(("low", "high", "made", "stored"), _SHIFTS)
@pytest.mark.parametrize("columns", [256, 192])
def test_shifts_are_those_that_quanto_saves(columns: int, low: float, high: float, made: float, stored: float) -> None:
    """In groups of 128, a shift in BF16 goes by way of the middle code and back; in groups of 96 it does not."""
    weight = np.zeros((16, columns))
    weight[:, [0, -1]], weight[:, [1, -2]] = low, high
    tensors = {tensor.spec.name: tensor for tensor in Quanto("qint4").encode("m", weight, "BF16")}
    shifts = decode(tensors["m.weight._shift"])
    assert shifts.shape == (32, 1)
    assert set(shifts.flat) == {stored if columns == 256 else made}


def test_shifts_in_float32_are_stored_as_they_are_made() -> None:
    """Only BF16 goes that way: of float32 the shift is the smallest weight with the other sign."""
    weight = np.zeros((16, 256))
    weight[:, [0, -1]], weight[:, [1, -2]] = -0.333984375, 1.5
    tensors = {tensor.spec.name: tensor for tensor in Quanto("qint4").encode("m", weight, "F32")}
    assert set(decode(tensors["m.weight._shift"]).flat) == {0.333984375}
