"""Load a checkpoint as float32 in a process of its own, and print the most memory that it took on the way.

What is sampled, each millisecond, is ``RssAnon`` and ``RssFile`` of ``/proc/self/status`` (proc_pid_status(5)): memory
of its own, and pages of mapped files. A load of a tiny model comes before, so that the code of the libraries is in.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL = 0.001


def sizes() -> tuple[int, int]:
    """Bytes of memory of its own, and of that and mapped files together."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    anonymous, mapped = (int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssFile")))
    return anonymous, anonymous + mapped


class Watch(threading.Thread):
    """Keeps the largest sizes seen until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = sizes()
        self._done = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._done.wait(_INTERVAL):
            self.peak = tuple(map(max, self.peak, sizes()))  # type: ignore[assignment]

    def stop(self) -> None:
        """Stop looking."""
        self._done.set()
        self.join()


def with_inferno(directory: str, *, mmap: bool) -> torch.nn.Module:
    """The model of this package."""
    import inferno_loader  # noqa: PLC0415 - a process has one of the two

    return inferno_loader.load_model(directory, dtype="F32", mmap=mmap)


def with_transformers(directory: str) -> torch.nn.Module:
    """The model of transformers."""
    import transformers  # noqa: PLC0415

    transformers.utils.logging.disable_progress_bar()
    model: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model


_LOADERS: dict[str, Callable[[str], torch.nn.Module]] = {
    "copy": lambda directory: with_inferno(directory, mmap=False),
    "mmap": lambda directory: with_inferno(directory, mmap=True),
    "transformers": with_transformers,
}


def main(loader: str, warm_up: str, directory: str) -> None:
    """Print the peaks over a load of `directory` as JSON: bytes of its own, bytes in all, and bytes of the result."""
    load = _LOADERS[loader]
    load(warm_up)
    gc.collect()
    before = sizes()
    watch = Watch()
    watch.start()
    model = load(directory)
    watch.stop()
    own, resident = (peak - start for peak, start in zip(watch.peak, before, strict=True))
    result = sum(parameter.nbytes for parameter in model.parameters() if parameter.dtype == torch.float32)
    sys.stdout.write(json.dumps({"own": own, "resident": resident, "result": result}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
