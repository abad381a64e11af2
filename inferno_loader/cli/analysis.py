"""The analysis of a checkpoint as text that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.cli.tables import facts, finding_lines, human, size, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferno_loader.analyzer import WeightAnalysis
    from inferno_loader.capabilities import Capability
    from inferno_loader.memory import MemoryRequirements

#: Shards shown at each end, where there are more than twice as many.
_SHOWN = 4


def analysis_lines(analysis: WeightAnalysis, needed: MemoryRequirements, machine: Capability) -> Iterator[str]:
    """What `inspect` prints.

    Args:
        analysis: The checkpoint.
        needed: Memory as the caller asked for it.
        machine: The device that is to hold it.
    """
    yield str(analysis.variant)
    yield from _identity(analysis)
    yield from ("", "Dtypes", *_dtypes(analysis))
    if analysis.scheme != "none":
        yield from ("", "Schemes", *_schemes(analysis))
    yield from ("", f"Files ({len(analysis.shards)})", *_shards(analysis))
    yield from ("", f"Memory ({needed.dtype}, batch {needed.batch}, {needed.length} positions)")
    yield from _memory(analysis, needed, machine)
    yield from ("", "Recommendations")
    yield from (f"  {advice}" for advice in analysis.recommendations(needed, machine.available_bytes))
    if analysis.findings:
        yield from ("", f"Findings ({len(analysis.findings)})", *finding_lines(analysis.findings))


def _identity(analysis: WeightAnalysis) -> list[str]:
    return facts(
        (
            ("path", analysis.path),
            ("told by", "; ".join(analysis.variant.evidence)),
            ("or", ", ".join(analysis.variant.alternatives)),
            ("layout", analysis.checkpoint.layout),
            ("dialect", analysis.resolution.modules.dialect),
            ("scheme", analysis.scheme),
            ("head", "tied to the embedding" if analysis.tied else "its own"),
            ("layers", analysis.layers),
            ("incomplete", analysis.incomplete_layers),
            ("parameters", analysis.parameters),
            ("tensors", analysis.tensors),
            ("bytes", size(analysis.nbytes)),
        )
    )


def _dtypes(analysis: WeightAnalysis) -> list[str]:
    rows = [(use.dtype, use.tensors, use.elements, human(use.nbytes), use.nbytes) for use in analysis.dtypes]
    return table(("dtype", "tensors", "elements", "size", "bytes"), rows)


def _schemes(analysis: WeightAnalysis) -> list[str]:
    rows = [
        (use.scheme, use.weights, use.parameters, human(use.nbytes), f"{use.bits_per_weight:.3f}", use.layers)
        for use in analysis.schemes
    ]
    return table(("scheme", "weights", "parameters", "size", "bits a weight", "layers"), rows)


def _shards(analysis: WeightAnalysis) -> list[str]:
    shards = analysis.shards
    rows = [
        (shard.name, human(shard.file_bytes), shard.file_bytes, shard.header_bytes, shard.tensors, shard.layers)
        for shard in shards
    ]
    if len(rows) > 2 * _SHOWN:
        rows = [*rows[:_SHOWN], *rows[-_SHOWN:]]
    lines = table(("name", "size", "bytes", "header", "tensors", "layers"), rows)
    if len(rows) < len(shards):
        lines.insert(1 + _SHOWN, f"  ... {len(shards) - len(rows)} more, all with --json")
    return lines


def _memory(analysis: WeightAnalysis, needed: MemoryRequirements, machine: Capability) -> list[str]:
    there = machine.available_bytes
    rows = [
        ("weights as stored", analysis.nbytes),
        ("weights as loaded", needed.weights),
        ("beside them while loading", needed.transient),
        ("key-value cache", needed.kv_cache),
        ("activations", needed.activations),
        ("in use, all together", needed.total),
        *([] if there is None else [(f"available on {machine.device}", there)]),
    ]
    return table(("what", "size", "bytes"), [(what, human(nbytes), nbytes) for what, nbytes in rows])
