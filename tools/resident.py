"""Load a checkpoint in a process of its own, touch every page of its weights, and print by how much the process grew.

What counts is ``RssAnon + RssFile`` of ``/proc/self/status`` (proc_pid_status(5)): memory of our own, and pages of
mapped files. The peak of the load is ``VmHWM`` there, which ``/proc/self/clear_refs`` resets. A load comes before the
one that is measured, so that the code pages of the libraries are in already.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from pathlib import Path

import torch

import inferno_loader

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _status(*keys: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    sizes = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    return sum(int(sizes[key][0]) * 1024 for key in keys)


def resident() -> int:
    """Bytes of this process that are in memory, shared memory aside."""
    return _status("RssAnon", "RssFile")


def touch(model: torch.nn.Module) -> int:
    """Read one byte of every page of every weight; the sum is of no use, but it cannot be left out."""
    weights = (*model.parameters(), *model.buffers())
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in weights}
    views = (torch.tensor([], dtype=torch.uint8).set_(storage) for storage in storages.values())
    return sum(int(view[::_PAGE].sum(dtype=torch.int64)) + int(view[-1]) for view in views)


def settle() -> None:
    """Give back what was freed, so that the load that is measured cannot live on it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def main(warm_up: str, directory: str, touched: str, options: str) -> None:
    """Print the growth in bytes over a load of `directory`, and that at its peak: two numbers.

    `touched` and the options of `load_model` are JSON.
    """
    chosen = json.loads(options)
    touch(inferno_loader.load_model(warm_up, **chosen))
    settle()
    before, level = resident(), _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    model = inferno_loader.load_model(directory, **chosen)
    peak = _status("VmHWM") - level
    settle()
    if json.loads(touched):
        touch(model)
    sys.stdout.write(f"{resident() - before} {peak}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
