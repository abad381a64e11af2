"""What is mutated, and by which tests it is tried."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: The files that are mutated, relative to the package, by the word that selects them on the command line.
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "header": (
            "header.py",
            "header_entries.py",
            "strict_json.py",
            "dtypes.py",
            "sniff.py",
            "files.py",
            "errors.py",
        ),
        "checkpoint": ("weight_files.py", "discovery.py", "index.py", "checkpoint.py", "ties.py"),
        "names": ("names/*.py",),
        "config": (
            "config/*.py",
            "quantization/block.py",
            "quantization/refused.py",
            "quantization/settings.py",
            "quantization/settings_ct.py",
            "quantization/settings_form.py",
            "quantization/settings_methods.py",
            "quantization/settings_rules.py",
            "quantization/skips.py",
            "quantization/targets.py",
            "rope.py",
        ),
        "analyzer": ("analyzer.py", "architecture.py", "findings.py", "memory.py", "variants.py", "ranges.py"),
        "check": ("checking.py", "scale_values.py"),
    }
)

#: By which test files the mutants of a part are tried, by what stands behind ``test_`` in their name: its own tests.
#: One that only the tests of another part kill has survived.
_TESTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "header": ("header", "strict_json", "dtypes", "sniff", "files", "errors"),
        "checkpoint": ("weight_files", "discover", "index", "checkpoint", "ties"),
        "names": ("names", "weight_name_mapping"),
        "config": ("config", "quantization_settings", "quantization_targets", "rope"),
        "analyzer": ("analyzer", "findings", "memory", "variants", "ranges", "cli"),
        "check": ("check", "scale_values"),
    }
)


def mutated(package: Path, parts: Iterable[str] = PARTS) -> list[Path]:
    """The files of some parts below `package`, sorted; those in which there is nothing to mutate among them.

    Raises:
        KeyError: There is no such part.
    """
    return sorted(path for part in parts for pattern in PARTS[part] for path in package.glob(pattern))


def part_of(module: str) -> str:
    """The part that a module belongs to: ``inferno_loader.names.tables`` to ``names``.

    Raises:
        LookupError: It belongs to none.
    """
    file = module.removeprefix("inferno_loader.").replace(".", "/") + ".py"
    for part, patterns in PARTS.items():
        if file in patterns or file.rpartition("/")[0] + "/*.py" in patterns:
            return part
    raise LookupError(module)


def tried_by(unit: Path, part: str) -> list[Path]:
    """The test files in the folder of unit tests that the mutants of a part are tried by, those without torch."""
    return sorted(path for path in unit.glob("test_*.py") if _tries(path, _TESTS[part]))


def _tries(path: Path, words: tuple[str, ...]) -> bool:
    stem = path.stem.removeprefix("test_")
    mine = any(stem == word or stem.startswith(f"{word}_") for word in words)
    # `test_check_...` is of another part than `test_checkpoint`, hence whole words.
    return mine and "mark.torch_free" in path.read_text(encoding="utf-8")
