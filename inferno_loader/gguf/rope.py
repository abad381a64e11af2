"""``rope_freqs.weight``: the divisors of the rotary frequencies that a converter stores for Llama 3.1 and its kin.

The tensor holds divisors, not frequencies: 1 where a frequency is kept, the factor of the scaling where it is slowed
down, and numbers between. Where they are those of the published rule, the rule is named; else they are taken as they
are, which is what llama.cpp does with them.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from inferno_loader.config import LlamaConfig, RopeConfig
from inferno_loader.errors import ConfigValueError
from inferno_loader.findings import Finding
from inferno_loader.quantization.parts import bytes_of
from inferno_loader.rope import rope_frequencies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inferno_loader.gguf.container import GgufHeader

_NAME = "rope_freqs.weight"
#: The figures of every published model; ``original_max_position_embeddings`` of 8192 is that of Llama 3.
_LOW, _HIGH, _ORIGINAL = 1.0, 4.0, 8192
#: The divisors are stored in 32 bits, and computed in them.
_TOLERANCE = 1e-5
_LARGEST = 1e6


def divisors_of(headers: Sequence[GgufHeader], head_dim: int) -> tuple[float, ...] | None:
    """The divisors that one of `headers` stores for heads of `head_dim` dimensions; None where there are none.

    Raises:
        ConfigValueError: The tensor is of another size or dtype, or a divisor is no number from 1e-6 to 1e6.
        FileError: The file changed, or cannot be read.
    """
    from inferno_loader.checkpoint import StoredTensor  # noqa: PLC0415 - it reads headers through this package

    header = next((each for each in headers if _NAME in each.tensors), None)
    if header is None:
        return None
    info = header.tensors[_NAME]
    if info.dtype.name != "F32" or info.shape != (head_dim // 2,):
        raise _wrong(header.path, f"F32 [{head_dim // 2}]", f"{info.dtype} {list(info.shape)}")
    found = struct.unpack(f"<{info.elements}f", bytes_of(StoredTensor(info, header)))
    for divisor in found:
        if not 1 / _LARGEST <= divisor <= _LARGEST:
            raise _wrong(header.path, f"numbers from {1 / _LARGEST} to {_LARGEST}", divisor)
    return found


def _wrong(path: Path, expected: object, actual: object) -> ConfigValueError:
    return ConfigValueError(
        f"{_NAME} does not hold the divisors of the frequencies",
        key=_NAME,
        path=path,
        expected=expected,
        actual=actual,
        remedy="convert the model once more, with a current llama.cpp",
    )


def rope_of_divisors(config: LlamaConfig, divisors: tuple[float, ...], path: Path) -> LlamaConfig:
    """`config` with the rope that `divisors` make of it.

    Raises:
        ConfigValueError: The metadata scales the rope as well, and not all divisors are 1.
    """
    if all(divisor == 1.0 for divisor in divisors):
        return config
    if config.rope.type != "default":
        raise _wrong(path, f"none, beside the scaling {config.rope.type} of the metadata", "divisors other than 1")
    rope, text = _llama3(config, divisors), "the divisors of rope_freqs.weight are those of llama3 scaling"
    if rope is None:
        text = "the divisors of rope_freqs.weight follow no published rule, and are taken as they are"
        rope = RopeConfig(
            type="longrope",
            theta=config.rope.theta,
            original_max_position_embeddings=config.max_position_embeddings,
            attention_factor=1.0,
            short_factor=divisors,
            long_factor=divisors,
        )
    return replace(config, rope=rope, findings=(*config.findings, Finding.note("config.rope_freqs", text, path=path)))


def _llama3(config: LlamaConfig, divisors: tuple[float, ...]) -> RopeConfig | None:
    """The llama3 rule with these divisors; None where it gives others."""
    rope = RopeConfig(
        type="llama3",
        theta=config.rope.theta,
        factor=max(divisors),
        original_max_position_embeddings=_ORIGINAL,
        low_freq_factor=_LOW,
        high_freq_factor=_HIGH,
    )
    arguments = config.head_dim, config.max_position_embeddings, 1
    plain, _ = rope_frequencies(config.rope, *arguments)
    scaled, _ = rope_frequencies(rope, *arguments)
    pairs = zip(plain, scaled, divisors, strict=True)
    fits = all(math.isclose(one / other, divisor, rel_tol=_TOLERANCE) for one, other, divisor in pairs)
    return rope if fits else None
