"""Every named way to break a checkpoint is found by `check`, under its own code, and nothing else is alleged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from conformance.tools.broken import BREAKAGES
from conformance.tools.recipe import NAMED, build
from inferno_loader.checking import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BASES = sorted({breakage.base for breakage in BREAKAGES.values()})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The sound checkpoint of a recipe, built once."""
    built: dict[str, Path] = {}

    def sound(base: str) -> Path:
        if base not in built:
            built[base] = build(NAMED[base], tmp_path_factory.mktemp(base)).directory
        return built[base]

    return sound


@pytest.mark.parametrize("base", _BASES)
def test_a_sound_checkpoint_is_clean(sound: Callable[[str], Path], base: str) -> None:
    """Before it is broken, a checkpoint has no errors and no warnings."""
    assert check(sound(base)).clean


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_checkpoint_is_found(sound: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """Every error has the code that the breakage calls for, names a file within the checkpoint, and says what to do."""
    breakage = BREAKAGES[name]
    directory = tmp_path / "broken"
    shutil.copytree(sound(breakage.base), directory)
    breakage.apply(directory)
    report = check(directory)
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert {finding.code for finding in errors} == {breakage.expected_code}
    assert all((finding.path or "").startswith(str(directory)) for finding in errors)
    assert all(finding.remedy and finding.message for finding in errors)
    assert not report.sound
