"""The commands that load: load and generate. They import torch."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

import inferno_loader
from inferno_loader.cli.looking import plan_facts
from inferno_loader.cli.options import LOAD, plan_options
from inferno_loader.cli.output import log, show
from inferno_loader.cli.progress import progress_bar
from inferno_loader.cli.tables import finding_lines, human, table
from inferno_loader.errors import MissingDependencyError, MissingFileError, UnreadableFileError
from inferno_loader.names import DIALECTS

if TYPE_CHECKING:
    from types import ModuleType

    from inferno_loader.load_plan import LoadPlan
    from inferno_loader.loader import ModelLoader

#: What Linux tells of this process: proc_pid_status(5).
_STATUS = Path("/proc/self/status")


@click.command(
    epilog="""\b
Examples:
  inferno-loader load models/Llama-3.1-8B
  inferno-loader load models/Llama-3.1-8B --dtype F16 --device cuda --max-memory 20GiB
  inferno-loader load models/W8A8 --keep-quantized --names huggingface
""",
)
@LOAD
@click.option("--names", type=click.Choice(DIALECTS), default="inferno", show_default=True, help="Delivered names.")
def load(path: Path, **options: Any) -> None:
    """Load every tensor of DIR, all or nothing.

    Then say what it took: memory predicted and measured, and time.
    """
    _need("torch", "inferno-loader")
    with progress_bar() as progress:
        loader = inferno_loader.ModelLoader(path, progress=progress, **plan_options(**options))
        _log_findings(loader)
        before, start = _memory_of(loader.plan.device), perf_counter()
        tensors = loader.load_weights()
        seconds = perf_counter() - start
    _settle()
    after = _memory_of(loader.plan.device)
    grown = None if before is None or after is None else after - before
    show(plan_facts(loader.plan))
    show(["", *_memory_table(loader.plan, grown)])
    speed = loader.plan.read_bytes / max(seconds, 1e-9)
    show(["", f"loaded {len(tensors)} tensors in {seconds:.2f} s ({human(int(speed))}/s)"])


@click.command(
    epilog="""\b
Examples:
  inferno-loader generate models/SmolLM2-135M --prompt "The capital of France is"
  inferno-loader generate models/SmolLM2-135M --prompt "Once upon a time" --max-new-tokens 200 --dtype F32
""",
)
@LOAD
@click.option("--prompt", required=True, metavar="TEXT", help="The text to continue.")
@click.option(
    "--max-new-tokens", type=click.IntRange(min=1), default=32, show_default=True, help="The most tokens to add."
)
def generate(path: Path, *, prompt: str, max_new_tokens: int, **options: Any) -> None:
    """Continue a text with the model in DIR.

    Greedily: the most likely token each time. The prompt and its continuation go to stdout. The tokenizer is the
    tokenizer.json beside the weights, beside those of GGUF as well.
    """
    torch, tokenizers = _need("torch", "inferno-loader"), _need("tokenizers", "inferno-loader[cli]")
    with progress_bar() as progress:
        loader = inferno_loader.ModelLoader(path, progress=progress, **plan_options(**options))
        _log_findings(loader)
        tokenizer = _tokenizer(tokenizers, loader.plan.checkpoint.root / "tokenizer.json")
        ids = tokenizer.encode(prompt).ids
        if not ids:
            raise click.BadParameter("the tokenizer makes no token of it", param_hint="--prompt")
        model = loader.load()
    start = perf_counter()
    given = torch.tensor([ids], device=loader.plan.device)
    tokens = model.generate(given, max_new_tokens)[0].tolist()
    log(f"{len(tokens) - len(ids)} tokens in {perf_counter() - start:.2f} s", 1)
    # The whole is decoded, and its beginning taken off: some decoders drop the space before the first token they get.
    click.echo(prompt + tokenizer.decode(tokens)[len(tokenizer.decode(ids)) :])


def _need(module: str, requirement: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingDependencyError(
            f"the command needs {module}, which is not installed", remedy=f"pip install '{requirement}'"
        ) from error


def _tokenizer(tokenizers: Any, path: Path) -> Any:
    if not path.exists():
        raise MissingFileError(
            "there is no tokenizer",
            path=path,
            remedy="download tokenizer.json of this model into the directory; the one in a GGUF file is not read",
        )
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other class
        raise UnreadableFileError(
            "the tokenizer cannot be read", path=path, actual=error, remedy="download it again"
        ) from error


def _log_findings(loader: ModelLoader) -> None:
    for level, severities in ((0, ("error", "warning")), (1, ("note",))):
        for line in finding_lines(found for found in loader.plan.findings if found.severity in severities):
            log(line, level)


def _settle() -> None:
    """Give back what has been freed, so that it is not measured: malloc keeps it otherwise."""
    gc.collect()
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _memory_of(device: str) -> int | None:
    """Bytes of memory that are this process's own, or its tensors' on another device; None where nothing tells.

    File-backed pages are not counted: the first load brings in the code of the libraries, and mappings come in late.
    """
    if device != "cpu":
        module = import_module("torch").get_device_module(device)
        return module.memory_allocated(device) if hasattr(module, "memory_allocated") else None
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), None)


def _memory_table(plan: LoadPlan, grown: int | None) -> list[str]:
    rows: list[tuple[str, int, int | None]] = [
        ("resident", plan.weight_bytes - plan.mapped_bytes, grown),
        ("mapped, resident once touched", plan.mapped_bytes, None),
        ("at the peak", plan.peak_bytes, None),
    ]
    told = [
        (what, human(predicted), predicted, *(("", "") if measured is None else (human(measured), measured)))
        for what, predicted, measured in rows
        if predicted
    ]
    return table(("memory", "predicted", "bytes", "measured", "bytes"), told)
