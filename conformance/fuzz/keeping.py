"""Makes seeds of what a long run has grown: each input that reaches a line or branch that no seed reaches."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from conformance.fuzz.places import seeds
from conformance.fuzz.replaying import replay
from conformance.fuzz.running import corpus

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.fuzz.targets import Target


def keep(target: Target, folder: Path) -> int:
    """Copy from the grown corpus in `folder` to the seeds what reaches more than they do; how many were copied.

    The shortest come first, so that a line is kept with the shortest input that reaches it.
    """
    grown = corpus(folder, target)
    chosen = [path for path in replay(target.name, [seeds(target.kind), grown]).growing if path.parent == grown]
    for path in chosen:
        data = path.read_bytes()
        (seeds(target.kind) / f"found_{hashlib.sha256(data).hexdigest()[:8]}.bin").write_bytes(data)
    return len(chosen)
