"""How loads are timed: in turns, with what was loaded before gone, and to the last page of the weights."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch

_T = TypeVar("_T")
_PAGE = os.sysconf("SC_PAGE_SIZE")

#: Loads something that holds tensors.
Load = Callable[[], Mapping[str, torch.Tensor] | torch.nn.Module]


@dataclass(frozen=True, slots=True)
class Seconds:
    """The times of one load, in each round.

    Attributes:
        untouched: Until it returned.
        touched: Until a byte of every page of its weights had been read.
    """

    untouched: list[float] = field(default_factory=list)
    touched: list[float] = field(default_factory=list)


def in_turns(cases: Mapping[str, Callable[[], _T]], rounds: int) -> dict[str, list[_T]]:
    """What each case returned in each round: A B A B, so that a busy machine meets all alike.

    A round comes first that counts for nothing: it pays for what is paid once.
    """
    found: dict[str, list[_T]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            result = case()
            if number:
                found[name].append(result)
    return found


def time_loads(cases: Mapping[str, Load], rounds: int) -> dict[str, Seconds]:
    """The times of each load, taken in turns."""
    turns = in_turns({name: lambda load=load: _time(load) for name, load in cases.items()}, rounds)  # type: ignore[misc]
    return {name: Seconds(*map(list, zip(*times, strict=True))) for name, times in turns.items()}


def _time(load: Load) -> tuple[float, float]:
    """One load. The garbage of the one before is collected first, and what is loaded is gone afterwards."""
    gc.collect()
    start = time.perf_counter()
    loaded = load()
    returned = time.perf_counter()
    touch(loaded.state_dict().values() if isinstance(loaded, torch.nn.Module) else loaded.values())
    return returned - start, time.perf_counter() - start


def touch(tensors: Iterable[torch.Tensor]) -> None:
    """Read one byte of every page of every tensor, once where several share their memory."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    for storage in storages.values():
        torch.empty(0, dtype=torch.uint8).set_(storage)[::_PAGE].sum(dtype=torch.int64)
