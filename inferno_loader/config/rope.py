"""What a configuration says about rotary position embeddings, checked and with defaults filled in. No torch.

Required keys and defaults: ``modeling_rope_utils.py`` of transformers 5.23, which computes the published models. Where
it only warns (a factor below 1, a list of the wrong length), this module refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from inferno_loader.config.reader import Bounds, shown
from inferno_loader.config.rope_block import rope_block
from inferno_loader.errors import UnknownRopeTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferno_loader.config.reader import Reader

RopeType = Literal["default", "linear", "dynamic", "llama3", "yarn", "longrope"]

#: Positions: what a signed 32-bit integer can number.
POSITIONS = Bounds(1, 2**31 - 1)

_THETA = Bounds(1.0, 1e15, above=True)
_FACTOR = Bounds(1.0, 1e6)
# Wide enough for every published value, and narrow enough that no quotient of two of them overflows.
_POSITIVE = Bounds(1e-6, 1e6)
_NOT_NEGATIVE = Bounds(0.0, 1e6)


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embeddings. Fields that the type does not use keep their defaults.

    Attributes:
        type: The rule for the frequencies.
        theta: Base of the geometric series of wavelengths.
        factor: How many times the context is extended. longrope: the quotient of the two lengths unless given.
        original_max_position_embeddings: Positions seen in pretraining: llama3, yarn and longrope.
        low_freq_factor: llama3: wavelengths above the original length over this are scaled.
        high_freq_factor: llama3: wavelengths below the original length over this are kept.
        attention_factor: yarn and longrope: scales cos and sin; None for the rule of the paper.
        beta_fast: yarn: dimensions that turn more often than this within the original length are kept.
        beta_slow: yarn: dimensions that turn less often than this are scaled.
        mscale: yarn: weight of ln(factor) in the numerator of the attention factor.
        mscale_all_dim: yarn: the same in the denominator. Both count only if both are there and not 0.
        truncate: yarn: whether the two borders are rounded outwards to whole dimensions.
        short_factor: longrope: divisors of the frequencies up to the original length, one a frequency.
        long_factor: longrope: divisors beyond it.
        partial_rotary_factor: Share of each head that is rotated; always 1.0 in Llama.
    """

    type: RopeType = "default"
    theta: float = 10000.0
    factor: float = 1.0
    original_max_position_embeddings: int | None = None
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    attention_factor: float | None = None
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()
    partial_rotary_factor: float = 1.0


def read_rope(reader: Reader, head_dim: int, max_position_embeddings: int) -> RopeConfig:
    """The rope of a model whose heads have `head_dim` dimensions.

    Args:
        reader: The keys of the language model.
        head_dim: Dimensions of one head, even.
        max_position_embeddings: Stands in for a missing ``original_max_position_embeddings``.

    Raises:
        ConfigValueError: A key is missing, out of range, or contradicts another.
        UnknownRopeTypeError: The type is none of `ROPE_TYPES`.
    """
    block = rope_block(reader)
    rope_type = block.text("rope_type")
    if rope_type not in _READERS:
        raise _unknown(block, rope_type)
    theta = block.number("rope_theta", _THETA, default=10000.0)
    rope = _READERS[rope_type](block, _Base(RopeConfig(theta=theta), head_dim, max_position_embeddings))
    _reject_partial(block)
    for key in block.unread():
        block.warn("config.ignored", f"{block.name(key)} has no meaning for the rope type {rope_type} and is ignored")
    return rope


@dataclass(frozen=True, slots=True)
class _Base:
    rope: RopeConfig
    head_dim: int
    max_position_embeddings: int


def _default(_block: Reader, base: _Base) -> RopeConfig:
    return base.rope


def _linear(block: Reader, base: _Base) -> RopeConfig:
    return replace(base.rope, type="linear", factor=block.number("factor", _FACTOR))


def _dynamic(block: Reader, base: _Base) -> RopeConfig:
    return replace(base.rope, type="dynamic", factor=block.number("factor", _FACTOR))


def _llama3(block: Reader, base: _Base) -> RopeConfig:
    low = block.number("low_freq_factor", _POSITIVE)
    high = block.number("high_freq_factor", _POSITIVE)
    if high <= low:
        raise block.error("high_freq_factor", "is too small", expected=f"above low_freq_factor, which is {low}")
    return replace(
        base.rope,
        type="llama3",
        factor=block.number("factor", _FACTOR),
        original_max_position_embeddings=_original(block, base),
        low_freq_factor=low,
        high_freq_factor=high,
    )


def _yarn(block: Reader, base: _Base) -> RopeConfig:
    fast = block.optional_number("beta_fast", _POSITIVE)
    slow = block.optional_number("beta_slow", _POSITIVE)
    rope = replace(
        base.rope,
        type="yarn",
        factor=block.number("factor", _FACTOR),
        original_max_position_embeddings=_original(block, base),
        attention_factor=block.optional_number("attention_factor", _POSITIVE),
        beta_fast=32.0 if fast is None else fast,
        beta_slow=1.0 if slow is None else slow,
        mscale=block.optional_number("mscale", _NOT_NEGATIVE),
        mscale_all_dim=block.optional_number("mscale_all_dim", _NOT_NEGATIVE),
        truncate=block.flag("truncate", default=True),
    )
    if rope.beta_fast < rope.beta_slow:
        raise block.error("beta_fast", "is too small", expected=f"at least beta_slow, which is {rope.beta_slow}")
    _note_implied_factor(block, rope, base.max_position_embeddings)
    return rope


def _longrope(block: Reader, base: _Base) -> RopeConfig:
    original = _original(block, base)
    if original == 1:
        raise block.error(
            "original_max_position_embeddings", "is too small", expected="at least 2: its logarithm divides"
        )
    count, factor = base.head_dim // 2, block.optional_number("factor", _FACTOR)
    return replace(
        base.rope,
        type="longrope",
        factor=base.max_position_embeddings / original if factor is None else factor,
        original_max_position_embeddings=original,
        attention_factor=block.optional_number("attention_factor", _POSITIVE),
        short_factor=block.numbers("short_factor", _POSITIVE, count),
        long_factor=block.numbers("long_factor", _POSITIVE, count),
    )


_READERS: Mapping[str | None, Callable[[Reader, _Base], RopeConfig]] = MappingProxyType(
    {
        "default": _default,
        "linear": _linear,
        "dynamic": _dynamic,
        "llama3": _llama3,
        "yarn": _yarn,
        "longrope": _longrope,
    },
)

#: The rope types that are read and computed.
ROPE_TYPES: tuple[str, ...] = tuple(str(name) for name in _READERS)


def _original(block: Reader, base: _Base) -> int:
    return block.integer("original_max_position_embeddings", POSITIONS, default=base.max_position_embeddings)


def _reject_partial(block: Reader) -> None:
    if block.optional_number("partial_rotary_factor", _NOT_NEGATIVE) not in (None, 1.0):
        raise block.error("partial_rotary_factor", "is not 1.0", expected="1.0: Llama rotates the whole head")


def _note_implied_factor(block: Reader, rope: RopeConfig, max_position_embeddings: int) -> None:
    implied = max_position_embeddings / (rope.original_max_position_embeddings or max_position_embeddings)
    if implied not in (1.0, rope.factor):
        block.note(
            "config.rope_factor",
            f"{block.name('factor')} is {rope.factor}, the two lengths say {implied:g}: {rope.factor} is taken",
        )


def _unknown(block: Reader, rope_type: str | None) -> UnknownRopeTypeError:
    return UnknownRopeTypeError(
        f"the rope type {shown(rope_type)} is not known",
        key=block.name("rope_type"),
        path=block.path,
        expected=", ".join(ROPE_TYPES),
        actual=shown(rope_type),
        remedy="use a loader that computes this rope: another one would give other positions, and wrong text",
    )
