"""Fixtures of the end-to-end tests: twins that are built once a run, and memory as the system sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from conformance.tools import resident
from conformance.tools.twins import build_twin

if TYPE_CHECKING:
    from collections.abc import Callable

#: Loaded first where memory is measured, so that what comes in once for all loads is in already.
_WARM_UP = "hf-internal-testing/tiny-random-LlamaForCausalLM"


@pytest.fixture(scope="session")
def twin_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a twin, which all workers of a run share. Its configuration is written last."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def twin_of(model: str) -> Path:
        directory = shared / model.replace("/", "__")
        with FileLock(f"{directory}.lock"):
            if not (directory / "config.json").exists():
                build_twin(model, directory)
        return directory

    return twin_of


@pytest.fixture(scope="session")
def grown(twin_of: Callable[[str], Path]) -> Callable[..., int]:
    """By how many bytes a fresh process grows over a load with these options, every page of the weights touched."""

    def grown(directory: Path, **options: object) -> int:
        arguments = [twin_of(_WARM_UP), directory, json.dumps(obj=True), json.dumps(options)]
        command = [sys.executable, "-P", resident.__file__, *map(str, arguments)]
        # More threads would compete with the other workers of the run, and their stacks are no weights.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split()[0])

    return grown


@pytest.fixture
def anonymous() -> Callable[[], int]:
    """Bytes of memory that this process has of its own: ``RssAnon``, which leaves the pages of mapped files out."""

    def anonymous() -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

    return anonymous
