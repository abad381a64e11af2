"""Twins: sparse files with the exact tensors of a real checkpoint.

Names, dtypes, shapes, header bytes, shard plan, file sizes and index are those of the original; the values are zeros
but for closed-form ones at the first and last elements of every tensor, so that an offset beyond 4 GiB is checked
without its gigabytes. An 811 GB twin of Llama-3.1-405B takes a few MB of disk.

    python tools/twins.py --list
    python tools/twins.py meta-llama/Llama-3.1-8B ~/models/llama-8b-twin
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tools.architecture import llama_specs, quantized_specs
from conformance.tools.container import DTYPE_BITS, Rule, Spec, header_bytes, write_sparse
from conformance.tools.facts import dense_models, facts, quantized_models
from conformance.tools.shardplan import by_size, index_text, shard_names
from conformance.tools.values import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Elements with a value at each end of a tensor.
EDGE = 64

_EMBEDDING = "model.embed_tokens.weight"
_HEAD = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class TwinFile:
    """One file of a twin.

    Attributes:
        name: The file name.
        specs: Its tensors, in state-dict order.
        rule: The rule of its writer.
    """

    name: str
    specs: tuple[Spec, ...]
    rule: Rule

    @property
    def header(self) -> bytes:
        """The header, without the eight bytes of its length."""
        return header_bytes(self.specs, self.rule)

    @property
    def nbytes(self) -> int:
        """The size of the file."""
        return struct.calcsize("<Q") + len(self.header) + sum(spec.nbytes for spec in self.specs)


@dataclass(frozen=True, slots=True)
class Twin:
    """The layout of a checkpoint.

    Attributes:
        name: The checkpoint on the hub.
        config: What its ``config.json`` holds.
        files: Its files, in the order of their numbers.
        index: The text of its index; None where there is one file and no index.
    """

    name: str
    config: Mapping[str, Any]
    files: tuple[TwinFile, ...]
    index: str | None

    @property
    def specs(self) -> Iterator[Spec]:
        """Every tensor, in state-dict order."""
        return (spec for file in self.files for spec in file.specs)

    @property
    def elements(self) -> int:
        """Elements of all tensors, as the hub counts parameters: stored buffers and scales among them."""
        return sum(spec.elements for spec in self.specs)


@cache
def plan_twin(name: str) -> Twin:
    """The layout of a checkpoint. Nothing is written.

    Args:
        name: One of `twin_names`.

    Raises:
        ValueError: The layout of that checkpoint is not known.
    """
    layout, config = _figures(name)
    plan = by_size(_specs(layout, config), layout["shard_limit"])
    names = shard_names(len(plan))
    files = tuple(TwinFile(file, tuple(specs), layout["header"]) for file, specs in zip(names, plan, strict=True))
    style = {"indent": layout["index_indent"], "final_newline": layout.get("index_final_newline", True)}
    return Twin(name, config, files, index_text(plan, names, **style) if len(plan) > 1 else None)


def build_twin(name: str, directory: Path, *, seed: int = 0) -> Twin:
    """Write a twin: weights, index where there is one, and ``config.json``. Other files are left alone.

    Args:
        name: One of `twin_names`.
        directory: Where; made if it is not there.
        seed: Another seed gives other values at the ends of every tensor.

    Raises:
        ValueError: The layout of that checkpoint is not known.
    """
    twin = plan_twin(name)
    directory.mkdir(parents=True, exist_ok=True)
    for file in twin.files:
        write_sparse(directory / file.name, file.specs, lambda spec: _pieces(twin, spec, seed), rule=file.rule)
    if twin.index is not None:
        (directory / "model.safetensors.index.json").write_text(twin.index)
    (directory / "config.json").write_text(json.dumps(twin.config, indent=2) + "\n")
    return twin


def probe(name: str, tensor: str, *, seed: int = 0) -> list[tuple[int, bytes]]:
    """What a loader must find in a tensor of a twin: pairs of flat index and the bytes of the elements from there on.

    The first and the last `EDGE` elements; a scale, or a tensor of up to twice as many, is given whole. Every element
    outside of them is zero. A head that is stored although it is tied equals the embedding.

    Args:
        name: One of `twin_names`.
        tensor: The name of the tensor.
        seed: The seed that the twin was built from.

    Raises:
        ValueError: The twin has no such tensor, or there is no such twin.
    """
    twin = plan_twin(name)
    spec = next((spec for spec in twin.specs if spec.name == tensor), None)
    if spec is None:
        raise ValueError(f"the twin of {name} has no tensor {tensor!r}")
    return [(offset * 8 // DTYPE_BITS[spec.dtype], piece) for offset, piece in _pieces(twin, spec, seed)]


def twin_names() -> list[str]:
    """The checkpoints that have a twin, the dense ones first."""
    return dense_models() + quantized_models()


def _figures(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The block on the layout, and the configuration."""
    known = facts(name)
    if "twin" in known:
        return known["twin"], known["config"]
    if "quantized_twin" not in known:
        raise ValueError(f"the layout of {name} is not known: expected one of {', '.join(twin_names())}")
    layout = known["quantized_twin"]
    block = {**known["quantization_config"], "ignore": layout["ignore"]}
    return layout, {**facts(layout["base"])["config"], "quantization_config": block}


def _specs(layout: Mapping[str, Any], config: Mapping[str, Any]) -> list[Spec]:
    dense = llama_specs(config, layout["dtype"], inv_freq=layout["inv_freq"], lm_head=layout["lm_head_stored"])
    if "scheme" not in layout:
        return dense
    return quantized_specs(dense, layout["scheme"], skip=layout["ignore"], scale_dtype=layout["scale_dtype"])


def _pieces(twin: Twin, spec: Spec, seed: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a tensor that are not zero, each with its byte offset. Scales are whole: a zero one is no scale."""
    whole = spec.elements <= 2 * EDGE or spec.name.endswith("_scale")
    tied_copy = spec.name == _HEAD and twin.config.get("tie_word_embeddings")
    source = _EMBEDDING if tied_copy else spec.name
    for first in (0,) if whole else (0, spec.elements - EDGE):
        count = spec.elements if whole else EDGE
        piece = tensor_bytes(source, spec.dtype, spec.shape, seed=seed, first=first, count=count)
        yield first * DTYPE_BITS[spec.dtype] // 8, piece


def _summary(twin: Twin) -> str:
    layout, _ = _figures(twin.name)
    source = "published" if layout["sizes_published"] else "predicted"
    size = sum(file.nbytes for file in twin.files)
    return f"{twin.name}: {len(twin.files)} files, {size} bytes ({source}), {len(list(twin.specs))} tensors\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a twin, or list what can be built; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build a sparse twin of a real checkpoint.")
    parser.add_argument("name", nargs="?", choices=twin_names(), metavar="NAME", help="a name that --list shows")
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="where to write it")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other values (default: 0)")
    parser.add_argument("--list", action="store_true", help="list the checkpoints that have a twin")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.writelines(_summary(plan_twin(name)) for name in twin_names())
    elif options.directory is None:
        parser.error("NAME and DIR are needed, or --list")
    else:
        sys.stdout.write(_summary(build_twin(options.name, options.directory, seed=options.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
