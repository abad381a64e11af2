"""A checkpoint: one set of files, every header read, every tensor with its place. No torch, no tensor byte.

Which set of files counts, where a directory holds several, is decided by the policies of the design and never by the
order of a directory listing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inferno_loader.errors import (
    BrokenPromiseError,
    DuplicateTensorError,
    MissingFileError,
    MissingShardError,
)
from inferno_loader.findings import Finding
from inferno_loader.gguf.container import SUFFIX as GGUF_SUFFIX
from inferno_loader.gguf.container import read_gguf
from inferno_loader.gguf.splits import check_splits
from inferno_loader.header import Header, read_header
from inferno_loader.sniff import UNFINISHED_ENDINGS
from inferno_loader.weight_files import Layout, Naming, WeightFiles, WeightsChoice, choose_weight_files, list_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.header_entries import TensorInfo
    from inferno_loader.index import Index


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor and the shard that holds it."""

    info: TensorInfo
    shard: Header

    @property
    def name(self) -> str:
        """The name as stored."""
        return self.info.name

    @property
    def offset(self) -> int:
        """First byte of the tensor, counted from the start of the file."""
        return self.shard.data_start + self.info.start


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a directory, or one file, holds.

    Attributes:
        root: The directory, or that of the file.
        layout: One file (``single``), sharded by an index (``index``), or sharded without one (``shards``).
        naming: ``standard``, or ``consolidated`` for Meta's own file names.
        index: The index, where there is one.
        shards: The headers of all files read, by file name.
        tensors: The tensors that a load may use, by stored name.
        unused: Tensors of the shards that a load never uses: copies that the index assigns to another shard, and
            tensors that it omits.
        findings: What is odd and allowed.
    """

    root: Path
    layout: Layout
    naming: Naming
    index: Index | None
    shards: Mapping[str, Header]
    tensors: Mapping[str, StoredTensor]
    unused: tuple[StoredTensor, ...]
    findings: tuple[Finding, ...]


def open_checkpoint(path: str | Path, *, weights: WeightsChoice | None = None) -> Checkpoint:
    """Open a directory, a single .safetensors or .gguf file or an index: headers only.

    Args:
        path: The directory or file.
        weights: Which set to take where a directory holds several: ``"index"``, ``"single"``, ``"shards"``,
            ``"consolidated"`` or ``"gguf"``. None rejects such a directory as ambiguous.

    Raises:
        FileError: Something is missing, unreadable, truncated or no safetensors file.
        HeaderError: A header breaks a rule of the format.
        CheckpointError: The files do not make one checkpoint.
    """
    files = choose_weight_files(Path(path), weights)
    return assemble(files, {name: read_shard(files, name) for name in files.names})


def assemble(files: WeightFiles, shards: Mapping[str, Header]) -> Checkpoint:
    """The checkpoint that `files` make, given the header of each by its name.

    Raises:
        BrokenPromiseError: The index promises a tensor that its shard does not hold.
        IncompleteShardsError: A GGUF says of itself that it has more parts, or more tensors.
        DuplicateTensorError: Two shards without an index hold a tensor of the same name.
    """
    check_splits(shards)
    if files.index is not None:
        tensors, unused, notes = _by_index(files.index, shards)
    else:
        tensors, unused, notes = _by_headers(shards), (), []
    findings = (*files.findings, *notes, *(finding for shard in shards.values() for finding in shard.findings))
    return Checkpoint(files.root, files.layout, files.naming, files.index, shards, tensors, unused, findings)


def read_shard(files: WeightFiles, name: str) -> Header:
    """The header of the file `name` of the set.

    Raises:
        MissingShardError: The index names it, and it is not there; the error tells of all such shards.
        FileError, HeaderError: As `read_header`.
    """
    try:
        return read_file_header(files.root / name)
    except MissingFileError as error:
        if files.index is None:
            raise
        raise _missing_shards(files) from error


def read_file_header(path: Path) -> Header:
    """The header of one file: of GGUF where it is called so, else of safetensors.

    Raises:
        FileError, HeaderError: As `read_header` and `read_gguf`.
    """
    return read_gguf(path) if path.name.endswith(GGUF_SUFFIX) else read_header(path)


def _missing_shards(files: WeightFiles) -> MissingShardError:
    # Path.exists raises where a name is too long.
    absent = [name for name in files.names if not os.path.exists(files.root / name)]  # noqa: PTH110
    part = [name for name in list_names(files.root) if name.endswith(UNFINISHED_ENDINGS)]
    unfinished = f"; unfinished downloads: {', '.join(part[:5])}" if part else ""
    return MissingShardError(
        f"the index names {len(absent)} of {len(files.names)} shards that are not there",
        path=files.index.path if files.index else files.root,
        expected=", ".join(absent[:10]),
        actual=f"no such files in {files.root}{unfinished}",
        remedy="the download is incomplete, or the index is stale: fetch the missing shards, or the right index",
    )


def _by_index(
    index: Index, shards: Mapping[str, Header]
) -> tuple[dict[str, StoredTensor], tuple[StoredTensor, ...], list[Finding]]:
    """The index is authoritative for each tensor: a copy elsewhere is never read."""
    broken = [name for name, shard in index.weight_map.items() if name not in shards[shard].tensors]
    if broken:
        raise _broken_promise(index, shards, broken)
    tensors = {
        name: StoredTensor(shards[shard].tensors[name], shards[shard]) for name, shard in index.weight_map.items()
    }
    unused = tuple(
        StoredTensor(info, header)
        for shard, header in shards.items()
        for info in header.tensors.values()
        if index.weight_map.get(info.name) != shard
    )
    notes = [_unused_finding(stored, index) for stored in unused]
    stored_bytes = sum(tensor.info.nbytes for tensor in tensors.values())
    if index.total_size is not None and index.total_size != stored_bytes:
        text = f"the index says total_size {index.total_size}, the tensors have {stored_bytes} bytes"
        notes.append(Finding.note("index.total_size", text, path=index.path))
    return tensors, unused, notes


def _broken_promise(index: Index, shards: Mapping[str, Header], broken: list[str]) -> BrokenPromiseError:
    name = broken[0]
    elsewhere = [shard for shard, header in shards.items() if name in header.tensors]
    return BrokenPromiseError(
        f"the index promises {len(broken)} tensors that their shards do not hold",
        path=index.path,
        tensor=name,
        expected=f"in {index.weight_map[name]}",
        actual=f"in {', '.join(elsewhere)}" if elsewhere else "in no shard",
        remedy="the index is stale: download it again together with the shards",
    )


def _unused_finding(stored: StoredTensor, index: Index) -> Finding:
    home = index.weight_map.get(stored.name)
    if home is None:
        text, code = "the index omits this tensor: it is never loaded", "index.omitted"
    else:
        text, code = f"a copy that is never read: the index assigns the tensor to {home}", "index.stale_copy"
    return Finding.warning(code, text, path=stored.shard.path, tensor=stored.name)


def _by_headers(shards: Mapping[str, Header]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for header in shards.values():
        for name, info in header.tensors.items():
            if name in tensors:
                raise DuplicateTensorError(
                    "two shards hold a tensor of the same name, and no index says which counts",
                    path=header.path,
                    tensor=name,
                    expected="each name in one shard",
                    actual=f"in {tensors[name].shard.path.name} and {header.path.name}",
                    remedy="download the index, or consolidate distributed shards with the tool that wrote them",
                )
            tensors[name] = StoredTensor(info, header)
    return tensors
