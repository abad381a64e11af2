"""Tables of plain text, sizes for people, and findings: no library, because `inspect` has 0.3 s for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.cli.output import clean, paint
from inferno_loader.ranges import sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inferno_loader.findings import Finding

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def human(nbytes: int) -> str:
    """``14.96 GiB``: two decimals of the largest binary unit that is not above the size."""
    power = min(max(nbytes.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{nbytes / 1024**power:.2f} {_UNITS[power]}" if power else f"{nbytes} bytes"


def size(nbytes: int) -> str:
    """``14.96 GiB (16,060,522,496 bytes)``."""
    return human(nbytes) if nbytes < 1024 else f"{human(nbytes)} ({nbytes:,} bytes)"  # noqa: PLR2004 - the first unit


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell, those of numbers flush right. Integers have their thousands apart."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else clean(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(map(_is_number, column[1:])) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        for row in cells
    )
    return [f"  {line}".rstrip() for line in lines]


def _is_number(cell: str) -> bool:
    """``1,234`` and ``1.21 KiB`` are numbers, ``0-31`` is not."""
    return cell.partition(" ")[0].replace(",", "").replace(".", "").isdecimal()


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """One line a pair, the values below each other; pairs without a value are left out."""
    told = [(name, f"{value:,}" if isinstance(value, int) else clean(str(value))) for name, value in pairs if value]
    width = max((len(name) for name, _ in told), default=0)
    return [f"  {name.ljust(width)}  {value}" for name, value in told]


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Findings with all their facts. Those that differ only in the file and the tensor are told once."""
    groups: dict[tuple[str | None, ...], list[Finding]] = {}
    for found in findings:
        alike = (found.severity, found.code, found.message, found.expected, found.actual, found.remedy)
        groups.setdefault(alike, []).append(found)
    return [line for group in groups.values() for line in _group_lines(group)]


def _group_lines(group: Sequence[Finding]) -> list[str]:
    first = group[0]
    files = dict.fromkeys(found.path for found in group if found.path)
    told = {
        "file": f"{next(iter(files))}, and {len(files) - 1} more" if len(files) > 1 else first.path,
        "tensor": sample(found.tensor for found in group if found.tensor),
        "expected": first.expected,
        "actual": first.actual,
        "remedy": first.remedy,
    }
    head = f"{paint(first.severity, first.severity)}: [{first.code}] {clean(first.message)}"
    return [head, *(f"    {word}: {clean(text)}" for word, text in told.items() if text)]
