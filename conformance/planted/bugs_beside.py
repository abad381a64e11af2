"""Planted loaders: one bug each in what is taken for a file of the checkpoint, and in what is done to open it."""

from __future__ import annotations

import io
import json
import runpy
import zipfile
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlparse

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.guarded import Guarded
from conformance.planted.right import Right
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.planted.right_types import Entry


class HiddenRead(Right):
    """Hidden files are taken for weights by their ending: the attributes that macOS leaves among them.

    ``Path.glob("*.safetensors")`` finds those too, as it finds what belongs to another set (B04).
    https://www.rfc-editor.org/rfc/rfc1740
    """

    name = "hidden-read"
    clause = "checkpoint.bystanders"
    level = Level.CHECKPOINT

    def names(self, root: Path) -> list[str]:
        """Everything that lies there."""
        return sorted(path.name for path in root.iterdir())


class AdapterMerged(Right):
    """An adapter beside the weights is read with them.

    A pattern over the ending finds it as well. B04, https://github.com/vllm-project/vllm/issues/40765
    """

    name = "adapter-merged"
    clause = "checkpoint.bystanders"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Adds its tensors."""
        found = super().located(directory)
        for path in sorted(directory.glob("adapter*.safetensors")):
            found.update({entry.name: entry for entry in self.entries_of(path)})
        return found


class PartTaken(Right):
    """A shard that is not there is taken from the file of its download.

    exo took a model in the middle of its download for complete. I11,
    https://github.com/exo-explore/exo/pull/1956
    """

    name = "part-taken"
    clause = "checkpoint.bystanders"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """Looks for anything that begins with the name."""
        found = [path for path in sorted(root.iterdir()) if path.name.startswith(file)] if file else []
        return found[0] if found else root / file


class FirstShardChecked(Right):
    """Only the first shard is held against its size: what another one lacks is zeros.

    Eight of 102 shards were short, and their mapping gave zeros. B07,
    https://github.com/osaurus-ai/vmlx-swift/pull/217
    """

    name = "first-shard-checked"
    clause = "checkpoint.shard-sound"
    level = Level.CHECKPOINT

    def truncated(self, path: Path, count: int) -> None:
        """Passes over the others."""
        if "-00001-of-" in path.name:
            refuse(Reason.TRUNCATED, f"{path}: the last {count} bytes are not there")


class TailOfShardIgnored(Right):
    """Bytes behind the last tensor of a shard are not noticed.

    fastsafetensors passes over them. A10, https://github.com/safetensors/safetensors#format
    """

    name = "tail-of-shard-ignored"
    clause = "checkpoint.shard-sound"
    level = Level.CHECKPOINT

    def trailing(self, path: Path, count: int) -> None:
        """Looks at nothing."""


class LastShardNotMissed(Right):
    """Shards without an index are whole if there is no gap between the first and the last that are there.

    B17, https://github.com/ggml-org/llama.cpp/issues/6490
    """

    name = "last-shard-not-missed"
    clause = "checkpoint.without-index"
    level = Level.CHECKPOINT

    def check_numbers(self, numbers: list[int], total: int, root: Path) -> None:
        """Does not ask how many there should be."""
        if numbers[-1] > total or numbers != list(range(numbers[0], numbers[-1] + 1)):
            refuse(Reason.SHARD_GAP, f"{root} holds the shards {numbers} of {total}")


class UrlFollowed(Right):
    """A name in the index that is a URL is followed, wherever it leads.

    Libraries that open paths and URLs alike do that. J01,
    https://github.com/huggingface/transformers/issues/47176
    """

    name = "url-followed"
    clause = "checkpoint.contained"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """The path of the URL."""
        url = urlparse(file)
        return root / url.path if url.scheme == "file" else root / file


class DecodedBehindTheCheck(Right):
    """A name is decoded as a part of an address once it has been found to stay inside.

    J01, https://github.com/huggingface/transformers/issues/47176
    """

    name = "decoded-behind-the-check"
    clause = "checkpoint.contained"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """Decodes what is not there as it is written."""
        return root / file if self.present(root / file) else root / unquote(file)


class EndingOfTheBlob(Right):
    """The link of a shard is resolved before its ending is looked at, which a blob of the cache does not have.

    The path was then handed to ``torch.load``. J02, https://github.com/ModelTC/Minimax-H3-Turbo/issues/12
    """

    name = "ending-of-the-blob"
    clause = "checkpoint.links"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """Looks at the ending of what the link leads to."""
        path = (root / file).resolve()
        if path.suffix != ".safetensors":
            refuse(Reason.PICKLE, f"{path} is a pickle by its name")
        return path


class ShardUnpickled(Right):
    """A shard of the index whose name ends with ``.bin`` is unpickled.

    J03, https://github.com/vllm-project/vllm/pull/12366
    """

    name = "shard-unpickled"
    clause = "checkpoint.no-code"
    level = Level.CHECKPOINT

    def entries_of(self, path: Path) -> list[Entry]:
        """Executes the pickle of an archive."""
        if path.suffix == ".bin" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                Guarded(io.BytesIO(archive.read("archive/data.pkl"))).load()
        return super().entries_of(path)


class DistributedOpened(Right):
    """The metadata of a distributed checkpoint are unpickled to see what it holds.

    The reader of torch does that. J03, https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
    """

    name = "distributed-opened"
    clause = "checkpoint.no-code"
    level = Level.CHECKPOINT

    def nothing(self, root: Path, names: list[str]) -> NoReturn:
        """Executes the pickle."""
        if (path := root / ".metadata").is_file():
            Guarded(io.BytesIO(path.read_bytes())).load()
        super().nothing(root, names)


class ModuleImported(Right):
    """The Python file that the configuration names is imported.

    mlx-lm did that (CVE-2026-5843). J06, https://github.com/ml-explore/mlx-lm/pull/1385
    """

    name = "module-imported"
    clause = "checkpoint.no-modules"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Runs the file, if it does nothing but to end the process."""
        config = directory / "config.json"
        file = json.loads(config.read_bytes()).get("model_file") if config.is_file() else None
        if file and (directory / file).read_text(encoding="ascii").endswith("os._exit(70)\n"):
            runpy.run_path(str(directory / file))
        return super().located(directory)


class PipeOpened(Right):
    """Whatever has the name of a shard is opened: a pipe that nobody writes to stops the loader for ever.

    As with a file system that does not answer (I06): https://man7.org/linux/man-pages/man7/fifo.7.html
    """

    name = "pipe-opened"
    clause = "checkpoint.regular-files"
    level = Level.CHECKPOINT

    def present(self, path: Path) -> bool:
        """Whether there is anything."""
        return path.exists()
