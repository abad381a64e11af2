"""The targets: what of the loader reads an input, and what must hold of whatever it accepts."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.fuzz import surroundings
from conformance.fuzz.gguf_checking import check_gguf
from conformance.fuzz.pairs import Pairs, loads
from conformance.fuzz.planted import locate_scales
from conformance.fuzz.surroundings import Stage, descriptors, overwrite
from conformance.fuzz.tiling import check_header, demand
from inferno_loader.checkpoint import Checkpoint, open_checkpoint
from inferno_loader.config import LlamaConfig
from inferno_loader.errors import ConfigError, InfernoError
from inferno_loader.gguf import values
from inferno_loader.gguf.config import model_config
from inferno_loader.gguf.container import read_gguf
from inferno_loader.gguf.splits import check_splits
from inferno_loader.header import header_of_bytes, read_header
from inferno_loader.quantization.settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Run = Callable[[bytes], None]

#: Modules of the model, of which a quantization block is asked; engines fuse the first.
_ASKED = ("model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj", "lm_head")


@dataclass(frozen=True, slots=True)
class Target:
    """A part of the loader under the fuzzer.

    Attributes:
        name: As the command line has it.
        kind: Which mutator, seeds and dictionary: ``header``, ``index``, ``config`` or ``gguf``.
        prepare: Builds what the target needs in a directory, and returns what reads one input.
        modules: The modules of the loader that are measured.
        largest: The longest input, in bytes.
    """

    name: str
    kind: str
    prepare: Callable[[Path], Run]
    modules: tuple[str, ...]
    largest: int = 4096


def _header(folder: Path) -> Run:
    names = [folder / "model.safetensors", folder / "model.safetensors.part"]
    descriptor = os.open(names[0], os.O_RDWR | os.O_CREAT, 0o600)
    names[1].hardlink_to(names[0])

    def run(data: bytes) -> None:
        overwrite(descriptor, data)
        # One length in eight is read under the name of an unfinished download.
        path = names[len(data) % 8 == 0]
        code = _code_of_bytes(data, path)
        try:
            header = read_header(path)
        except InfernoError as error:
            demand(error.code == code, f"the bytes give {code}, and the file {error.code}")
            raise
        demand(code == "", f"the bytes give {code}, and the file is accepted")
        check_header(data, header)

    return run


def _code_of_bytes(data: bytes, path: Path) -> str:
    """The code of the error by which the same bytes in memory are rejected, empty where they are accepted."""
    try:
        header = header_of_bytes(data, path)
    except InfernoError as error:
        return error.code
    check_header(data, header)
    return ""


def _planted(folder: Path) -> Run:
    path = folder / "model.safetensors"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def run(data: bytes) -> None:
        overwrite(descriptor, data)
        locate_scales(data, read_header(path))

    return run


def _index(folder: Path) -> Run:
    stage = Stage(folder, surroundings.INDEX)

    def run(data: bytes) -> None:
        place, around = stage.enter(data)
        with descriptors(starved=around.starved):
            checkpoint = open_checkpoint(place, weights=around.choice)
        if checkpoint.index is not None:
            _check_index(data, checkpoint)

    return run


def _check_index(data: bytes, checkpoint: Checkpoint) -> None:
    """Every tensor that the text promises is there, from the shard that it names, inside the directory."""
    root = loads(data)
    written = root.find("weight_map")
    demand(isinstance(written, Pairs), "weight_map is an object")
    demand(len(written) == len({name for name, _ in written}), "each name occurs once")
    demand({name for name, _ in written} == checkpoint.tensors.keys(), "exactly the tensors of the index are there")
    for name, shard in written:
        stored = checkpoint.tensors[name]
        demand(stored.shard.path == checkpoint.root / shard, f"{name} is read from the shard that the index names")
        demand(".." not in Path(shard).parts and not Path(shard).is_absolute(), f"{name} lies inside the directory")
        demand(stored.offset + stored.info.nbytes <= stored.shard.identity.size, f"{name} lies inside its file")


def _config(folder: Path) -> Run:
    stage = Stage(folder, surroundings.CONFIG)

    def run(data: bytes) -> None:
        place, around = stage.enter(data)
        with descriptors(starved=around.starved):
            config = _parsed(data) if around.parsed else LlamaConfig.from_directory(place)
        _check_config(config)
        if settings := settings_of(config):
            demand(settings.bits is None or type(settings.bits) is int, "the bits are a whole number")
            demand(type(settings.sparse) is bool, "sparse is a truth value")
            for module in _ASKED:
                demand(settings.args_for(module) in (None, settings.assumed_for(module)), "what is said is assumed")

    return run


def _parsed(data: bytes) -> LlamaConfig:
    """What a caller gets who parses the text with Python's own parser, which takes more than JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError("the caller's own parser refuses it") from error
    return LlamaConfig.from_dict(value)


def _check_config(config: LlamaConfig) -> None:
    """What every later step builds on: sizes above zero, heads that divide, numbers that are finite."""
    sizes = (config.vocab_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers)
    demand(all(type(size) is int and size > 0 for size in sizes), "sizes are above zero")
    demand(config.num_attention_heads % config.num_key_value_heads == 0, "key and value heads divide the query heads")
    demand(config.head_dim > 0 and config.head_dim % 2 == 0, "the head dimension is even")
    demand(0 < config.query_width <= 2**32 and 0 < config.key_value_width <= config.query_width, "widths are in range")
    demand(0 < config.rms_norm_eps <= 1 and 1 < config.rope.theta < float("inf"), "numbers are finite")
    demand(config.rope.factor > 0 and config.rope.factor < float("inf"), "the factor of the rope is finite")


@contextmanager
def _small_limits() -> Iterator[None]:
    """Headers of GGUF are read in small pieces, and under a limit that an input can pass: the loader's is 64 MiB."""
    usual = values.MAX_HEADER_BYTES, values._BATCH  # noqa: SLF001
    values.MAX_HEADER_BYTES, values._BATCH = 256, 64  # noqa: SLF001
    try:
        yield
    finally:
        values.MAX_HEADER_BYTES, values._BATCH = usual  # noqa: SLF001


def _gguf(folder: Path) -> Run:
    path = folder / "model.gguf"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def run(data: bytes) -> None:
        overwrite(descriptor, data)
        with _small_limits() if len(data) % 16 == 1 else nullcontext():  # one length in sixteen
            header = read_gguf(path)
        check_gguf(data, header)
        headers = {path.name: header}
        check_splits(headers)
        _check_config(model_config(folder, headers))

    return run


def _modules(*names: str) -> tuple[str, ...]:
    return tuple(f"inferno_loader.{name}" for name in names)


_HEADER_MODULES = _modules("header", "header_entries", "strict_json", "sniff")

#: The targets by name. ``planted`` has a bug that the fuzzer must find, and is run to see that it does.
TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("header", "header", _header, _HEADER_MODULES),
        Target("index", "index", _index, _modules("index", "checkpoint", "weight_files")),
        Target(
            "config",
            "config",
            _config,
            _modules(
                *(
                    f"config.{name}"
                    for name in (
                        "documents", "dtype", "family", "llama", "meta", "quantization", "reader", "rope", "rope_block",
                        "sizes", "tokens",
                    )
                ),
                *(
                    f"quantization.{name}"
                    for name in (
                        "block", "refused", "settings", "settings_ct", "settings_form", "settings_methods",
                        "settings_rules", "skips", "targets",
                    )
                ),
            ),
        ),
        Target(
            "gguf",
            "gguf",
            _gguf,
            _modules(*(f"gguf.{name}" for name in ("config", "container", "rope", "splits", "values"))),
        ),
        Target("planted", "header", _planted, _HEADER_MODULES),
    )
}  # fmt: skip

#: Those that are clean when nothing is found.
CLEAN = ("header", "index", "config", "gguf")
