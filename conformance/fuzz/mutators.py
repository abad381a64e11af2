"""The structure-aware mutators: a header that stays one, as do an index, a configuration, and a file of GGUF.

Each takes the bytes of an input, the largest size, and a seed, and returns the bytes of the next input. What no longer
can be read as the target's kind of document goes to the plain mutator, and so does a fixed share of everything else:
the rules for malformed text need inputs too.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

from conformance.fuzz.changes import NUMBERS, change
from conformance.fuzz.gguf_mutator import mutate_gguf
from conformance.fuzz.pairs import Pairs, dumps, loads
from conformance.tools.container import DTYPE_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Plain = Callable[[bytes, int], bytes]
    Mutator = Callable[[bytes, int, int], bytes]

_LENGTH_BYTES = 8
_RAW_SHARE = 0.2
_LARGEST_BODY = 2048
_DTYPES = tuple(DTYPE_BITS)
_NAMES = ("a", "b", "lm_head.weight", "model.norm.weight", "é", "\u2028", '"', "__metadata__", "\U0001f999", "")


def mutator(kind: str, words: Sequence[str], plain: Plain) -> Mutator:
    """The mutator of the target `kind`.

    Args:
        kind: ``header``, ``index``, ``config`` or ``gguf``.
        words: Keys and texts that count for the target: its dictionary.
        plain: The mutator of libFuzzer, ``atheris.Mutate``.
    """
    structured = {"header": _mutate_header, "gguf": mutate_gguf}.get(kind, _mutate_document)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < _RAW_SHARE:
            return plain(data, largest)
        try:
            changed = structured(data, rng, words)
        except (ValueError, RecursionError):  # no longer JSON, or too deep to be written again
            return plain(data, largest)
        return changed if len(changed) <= largest else plain(data, largest)

    return mutate


def _changes(root: Any, rng: Random, words: Sequence[str]) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change(root, rng, words)


def _encoded(root: Any, rng: Random) -> bytes:
    return dumps(root, rng, rng.choice((0.0, 0.5))).encode("utf-8", "surrogatepass")


def _mutate_document(data: bytes, rng: Random, words: Sequence[str]) -> bytes:
    """The blanks at the end stay as they are, or grow or shrink: their number chooses the surroundings."""
    text = data.rstrip(b" ")
    blanks = len(data) - len(text)
    if rng.random() < 0.1:  # noqa: PLR2004 - now and then
        return text + b" " * rng.randrange(16)
    root = loads(text)
    _changes(root, rng, words)
    return _encoded(root, rng) + b" " * blanks


def _mutate_header(data: bytes, rng: Random, words: Sequence[str]) -> bytes:
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    root = loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    if not isinstance(root, Pairs):
        raise ValueError("no object")  # noqa: TRY004 - of the text, not of an argument
    rng.choice((_add_tensor, _redraw, _swap_offsets, *(3 * (_changes,))))(root, rng, words)
    body = len(data) - _LENGTH_BYTES - length
    if rng.random() < 0.5:  # noqa: PLR2004 - a coin
        body = retile(root)
    return framed(_encoded(root, rng), body, rng)


def framed(text: bytes, body: int, rng: Random) -> bytes:
    """`text` behind its length, with `body` zero bytes; now and then either is one off, or the text is padded."""
    oddity = rng.random()
    if oddity < 0.1:  # noqa: PLR2004 - now and then
        text = rng.choice((b" " * rng.randrange(9) + text, text + b" " * (-len(text) % 8), text + b"\n\t"))
    word, size = len(text), min(max(body, 0), _LARGEST_BODY)
    if oddity > 0.95:  # noqa: PLR2004 - now and then
        word = rng.choice((word + 1, word - 1, 0, 2**63, 2**64 - 1, 100_000_001)) % 2**64
    elif oddity > 0.9:  # noqa: PLR2004 - now and then
        size = max(size + rng.choice((-1, 1)), 0)
    return word.to_bytes(_LENGTH_BYTES, "little") + text + bytes(size)


def retile(root: Pairs) -> int:
    """Give every entry of `root` whose shape and dtype make sense the offsets that tile, and return their bytes."""
    position = 0
    for name, entry in root:
        if not isinstance(entry, Pairs):
            continue
        shape, dtype = entry.find("shape"), entry.find("dtype")
        sound = isinstance(shape, list) and isinstance(dtype, str) and dtype in DTYPE_BITS and name != "__metadata__"
        if not sound or not all(type(size) is int and 0 <= size <= _LARGEST_BODY for size in shape):
            continue
        end = position + math.prod(shape) * DTYPE_BITS[dtype] // 8
        entry.put("data_offsets", [position, end])
        position = end
    return position


def _tensor(rng: Random) -> Pairs:
    shape = [rng.choice((0, 1, 1, 2, 3, 4, 8)) for _ in range(rng.randrange(5))]
    return Pairs([["dtype", rng.choice(_DTYPES)], ["shape", shape], ["data_offsets", [0, 0]]])


def _add_tensor(root: Pairs, rng: Random, words: Sequence[str]) -> None:
    name = rng.choice((rng.choice(_NAMES), rng.choice(words), f"t{rng.randrange(100)}"))
    root.insert(rng.randrange(len(root) + 1), [name, _tensor(rng)])


def _redraw(root: Pairs, rng: Random, _words: Sequence[str]) -> None:
    """Another dtype, shape or pair of offsets for one entry."""
    entries = [value for _, value in root if isinstance(value, Pairs)]
    if entries:
        field = rng.choice(("dtype", "shape", "data_offsets"))
        drawn = _tensor(rng).find(field)
        if field == "data_offsets":
            drawn = [rng.choice(NUMBERS), rng.choice(NUMBERS)]
        rng.choice(entries).put(field, drawn)


def _swap_offsets(root: Pairs, rng: Random, _words: Sequence[str]) -> None:
    entries = [value for _, value in root if isinstance(value, Pairs)]
    if len(entries) > 1:
        one, other = rng.sample(entries, 2)
        mine, its = one.find("data_offsets"), other.find("data_offsets")
        one.put("data_offsets", its)
        other.put("data_offsets", mine)
