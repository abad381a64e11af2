"""The commands that look: inspect, check, names, plan, discover. None of them imports torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

import inferno_loader
from inferno_loader.cli.analysis import analysis_lines
from inferno_loader.cli.options import DEVICE, DTYPE, JSON, KEEP, LOAD, PATH, VERBOSITY, WEIGHTS, plan_options
from inferno_loader.cli.output import error_json, log, paint, show, show_json
from inferno_loader.cli.tables import facts, finding_lines, human, size, table
from inferno_loader.names import DIALECTS, detect_dialect

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.checking import CheckReport
    from inferno_loader.discovery import Discovery
    from inferno_loader.load_plan import LoadPlan
    from inferno_loader.names import Dialect
    from inferno_loader.weight_files import WeightsChoice


@click.command(
    epilog="""\b
JSON keys: path variant layout dialect scheme schemes dense_matrices bits_per_weight tied
  parameters tensors bytes dense_bytes dtypes shards layers incomplete_layers memory machine
  recommendations sound findings

\b
Examples:
  inferno-loader inspect models/Llama-3.1-8B
  inferno-loader inspect models/Llama-3.1-8B --dtype F32 --batch 4 --length 8192
  inferno-loader inspect models/Llama-3.1-8B --json | jq .parameters
""",
)
@PATH
@JSON
@DTYPE
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Sequences at once.")
@click.option("--length", type=click.IntRange(min=1), help="Positions of each.  [default: all of the model]")
@DEVICE
@KEEP
@WEIGHTS
@VERBOSITY
def inspect(
    path: Path, *, as_json: bool, device: str, keep_quantized: bool, weights: WeightsChoice | None, **asked: Any
) -> None:
    """Say what DIR holds, and the memory it takes.

    Only headers and configuration are read. The status is 0 also where findings say that it cannot be loaded: see
    check.
    """
    start = perf_counter()
    analysis = inferno_loader.analyze(path, weights=weights)
    needed = analysis.memory(dequantize=not keep_quantized, **asked)
    machine = inferno_loader.capability(device)
    log(f"read {len(analysis.shards)} headers in {perf_counter() - start:.3f} s", 1)
    if not as_json:
        show(analysis_lines(analysis, needed, machine))
        return
    advice = analysis.recommendations(needed, machine.available_bytes)
    memory = {"memory": needed.to_json(), "machine": machine.to_json(), "recommendations": list(advice)}
    show_json({**analysis.to_json(), **memory})


@click.command(
    epilog="""\b
JSON keys: path sound clean errors warnings notes findings; of a finding: code severity
  message, and where known path tensor expected actual remedy

\b
Exit status: 0 sound, notes aside; 1 errors or warnings; 2 usage; 3 DIR cannot be read.

\b
Examples:
  inferno-loader check models/Llama-3.1-8B
  inferno-loader check -q models/Llama-3.1-8B && echo whole and sound
  inferno-loader check models/Llama-3.1-8B --json | jq -r '.findings[].code'
""",
)
@PATH
@JSON
@WEIGHTS
@VERBOSITY
@click.pass_context
def check(context: click.Context, path: Path, *, as_json: bool, weights: WeightsChoice | None) -> None:
    """Say whether DIR is whole and sound.

    Files, headers, index, configuration, names, shapes, dtypes, and the values of scales: every finding with its code.
    An error stops a load, a warning may surprise, a note is for the record.
    """
    from inferno_loader.checking import check as check_checkpoint  # noqa: PLC0415 - a command has its name

    report = check_checkpoint(path, weights=weights)
    if as_json:
        show_json(report.to_json())
    else:
        show([*finding_lines(report.findings), _verdict(report)])
    context.exit(0 if report.clean else 1)


def _verdict(report: CheckReport) -> str:
    counts = [(report.count(severity), severity) for severity in ("error", "warning", "note")]
    told = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for count, severity in counts if count)
    word = "sound" if report.sound else paint("error", "broken")
    return f"{report.path}: {word}{told and ': '}{told}"


@click.command(
    epilog="""\b
JSON keys: path dialect to names; of a name: name result rule layer suffix layout heads
  suggestion

\b
Examples:
  inferno-loader names models/Llama-3.1-8B
  inferno-loader names models/Llama-3.1-8B --to gguf --explain
""",
)
@PATH
@JSON
@click.option("--to", type=click.Choice(DIALECTS), default="inferno", show_default=True, help="Dialect to map to.")
@click.option("--explain", is_flag=True, help="Say which rule fired, and what was probably meant where none did.")
@WEIGHTS
@VERBOSITY
def names(path: Path, *, as_json: bool, to: Dialect, explain: bool, weights: WeightsChoice | None) -> None:
    """List the tensors of DIR, and their other names.

    The layout says where the rows of q and k stand in another order there.
    """
    stored = inferno_loader.open_checkpoint(path, weights=weights).tensors
    dialect = detect_dialect(stored)
    log(f"{len(stored)} tensors, names of the dialect {dialect}", 1)
    mapped = [inferno_loader.explain(name, dialect, to) for name in stored]
    if as_json:
        show_json({"path": str(path), "dialect": dialect, "to": to, "names": [asdict(each) for each in mapped]})
        return
    head = ["stored", to, "layout", *(["rule", "meant"] if explain else [])]
    rows = [
        [each.name, each.result or "-", each.layout, *([each.rule, each.suggestion or ""] if explain else [])]
        for each in mapped
    ]
    show(table(head, rows))


@click.command(
    epilog="""\b
JSON keys: path names device mmap dequantize scheme tied weight_bytes read_bytes peak_bytes
  ignored findings tensors; of a tensor: name shape dtype action from, and alias_of

\b
Examples:
  inferno-loader plan models/Llama-3.1-8B --dtype F16
  inferno-loader plan models/Llama-3.1-8B --names gguf --json | jq '.tensors[0]'
""",
)
@LOAD
@click.option("--names", type=click.Choice(DIALECTS), default="inferno", show_default=True, help="Delivered names.")
@JSON
def plan(path: Path, *, as_json: bool, **options: Any) -> None:
    """Say what a load of DIR would do.

    Headers and configuration are read, and no weight. What becomes of each single tensor is in the JSON.
    """
    found = inferno_loader.plan(path, **plan_options(**options))
    if as_json:
        show_json(found.to_json())
    else:
        show([*plan_facts(found), *finding_lines(found.findings)])


def plan_facts(found: LoadPlan) -> list[str]:
    """The figures of a plan."""
    actions = Counter(tensor.action for tensor in found.tensors)
    return facts(
        (
            ("path", found.path),
            ("names", found.names),
            ("scheme", found.scheme),
            ("tensors", ", ".join(f"{count} {action}" for action, count in actions.items())),
            ("delivers", size(found.weight_bytes)),
            ("reads", size(found.read_bytes)),
            ("takes", f"{size(found.peak_bytes)} at the peak"),
            ("leaves out", ", ".join(found.ignored)),
        )
    )


@click.command(
    epilog="""\b
JSON: a list; keys of each: path layout files bytes, and problem where it cannot be loaded

\b
Examples:
  inferno-loader discover ~/models
  inferno-loader discover ~/models --json | jq -r '.[] | select(.problem == null).path'
""",
)
@PATH
@JSON
@VERBOSITY
def discover(path: Path, *, as_json: bool) -> None:
    """List the checkpoints at and below DIR."""
    found = list(inferno_loader.discover(path))
    log(f"{len(found)} directories with weights", 1)
    if as_json:
        show_json([_discovery_json(each) for each in found])
        return
    rows = [
        (each.path, each.layout, each.files, human(each.nbytes), f"[{each.problem.code}]" if each.problem else "")
        for each in found
    ]
    show(table(("path", "layout", "files", "size", "problem"), rows))


def _discovery_json(found: Discovery) -> dict[str, Any]:
    told = {"path": str(found.path), "layout": found.layout, "files": found.files, "bytes": found.nbytes}
    return {**told, **({"problem": error_json(found.problem)} if found.problem else {})}
