"""Cases of the checkpoint: what lies beside the weights and is no part of them."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16,
    BF16_INDEXLESS,
    FILE,
    FIRST,
    INDEXLESS,
    MIDDLE,
    SHARDED,
    SINGLE,
    of_checkpoint,
)
from conformance.engine.case import Case, Severity, Source, accept, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_MORE = Source(
    "A directory that is published holds more than weights: loaders that take every file of an ending take that too.",
    "https://github.com/vllm-project/vllm/issues/40765",
    ("B04",),
)
_APPLE = Source(
    "Where a file system keeps no attributes, macOS writes them into a file whose name has ._ in front.",
    "https://www.rfc-editor.org/rfc/rfc1740",
)
_PART = Source(
    "A download has another name until it is whole; who looks at the beginning of a name takes it for the file.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("I11",),
)
_ADAPTER = Source(
    "Adapters are stored beside the model or alone, under a name of their own.",
    "https://huggingface.co/docs/peft/developer_guides/checkpoint",
)
_VARIANT = Source(
    "A variant of the weights has its name in that of the file, and is read only where it is asked for.",
    "https://huggingface.co/docs/diffusers/using-diffusers/loading#checkpoint-variants",
)
_BELOW = Source(
    "Repositories hold other forms of the model in directories below: the original, ONNX, parts.",
    "https://huggingface.co/docs/huggingface_hub/guides/download",
)
_LORA = tuple(f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight" for side in "AB")
_ADAPTER_FILE = step("foreign_file", "adapter_model.safetensors", *_LORA)


def _shards(slug: str, title: str, *ways: Step, source: Source = _MORE, sibling: str = "only-a-folder-below") -> Case:
    """The case of three shards and their index, and something beside them."""
    return of_checkpoint(
        slug,
        "bystanders",
        title,
        SHARDED.then(*ways),
        accept(),
        source,
        sibling=sibling,
        severity=Severity.SILENT,
        flags=("Bystander",),
    )


def _single(slug: str, title: str, *ways: Step, source: Source = _MORE) -> Case:
    """The case of one file, model.safetensors, and something beside it."""
    return of_checkpoint(
        slug,
        "bystanders",
        title,
        SINGLE.then(*ways),
        accept(),
        source,
        sibling="only-a-folder-below",
        severity=Severity.SILENT,
        requires=BF16,
        flags=("Bystander",),
    )


def _indexless(slug: str, title: str, *ways: Step, source: Source = _MORE) -> Case:
    """The case of three shards without an index, and something beside them."""
    return of_checkpoint(
        slug,
        "bystanders",
        title,
        INDEXLESS.then(*ways),
        accept(),
        source,
        sibling="gap-in-the-numbers",
        severity=Severity.SILENT,
        requires=BF16_INDEXLESS,
        flags=("Bystander",),
    )


_NOT_WEIGHTS: tuple[Case, ...] = (
    _shards(
        "attributes-of-macos-beside-shards",
        "Beside each file lies one of attributes, ._ and its name.",
        step("apple_double"),
        source=_APPLE,
    ),
    _single(
        "attributes-of-macos-beside-a-file",
        "Beside model.safetensors lies ._model.safetensors, which holds attributes.",
        step("apple_double"),
        source=_APPLE,
    ),
    _indexless(
        "attributes-of-macos-without-an-index",
        "Beside each of three shards without an index lies one of attributes.",
        step("apple_double"),
        source=_APPLE,
    ),
    _shards(
        "unfinished-downloads-beside",
        "Beside the shards lie beginnings of them, with the names that downloads have.",
        *(step("write_hex", f"{MIDDLE}.{ending}", "00" * 64) for ending in ("incomplete", "part", "crdownload", "tmp")),
        source=_PART,
        sibling="only-an-unfinished-download-of-a-shard",
    ),
    of_checkpoint(
        "only-an-unfinished-download-of-a-shard",
        "bystanders",
        "The middle one of three shards is whole, and has the name of a download that is not finished.",
        SHARDED.then(step("rename_file", MIDDLE, f"{MIDDLE}.part")),
        reject(Reason.MISSING_SHARD, Reason.MISSING_FILE),
        _PART,
        sibling="unfinished-downloads-beside",
    ),
)

_OTHER_WEIGHTS: tuple[Case, ...] = (
    *(
        _shards(
            f"{slug}-beside-shards",
            f"Beside the shards lies {what} with every tensor, with other values.",
            step("values_beside", name, 1),
        )
        for slug, what, name in (
            ("hidden-copy", "a hidden file", f".{FILE}"),
            ("average", "ema.safetensors", "ema.safetensors"),
        )
    ),
    *(
        _single(
            f"{slug}-beside-a-file",
            f"Beside model.safetensors lies {what} with every tensor, with other values.",
            step("values_beside", name, 1),
            source=source,
        )
        for slug, what, name, source in (
            ("hidden-copy", "a hidden file", f".{FILE}", _MORE),
            ("average", "ema.safetensors", "ema.safetensors", _MORE),
            ("later-name", "a file that is sorted behind it,", "z.safetensors", _MORE),
            ("variant", "model.fp16.safetensors", "model.fp16.safetensors", _VARIANT),
        )
    ),
    _shards("adapter-beside-shards", "Beside the shards lies an adapter.", _ADAPTER_FILE, source=_ADAPTER),
    _single("adapter-beside-a-file", "Beside model.safetensors lies an adapter.", _ADAPTER_FILE, source=_ADAPTER),
    _indexless(
        "adapter-without-an-index",
        "Beside three shards without an index lies an adapter.",
        _ADAPTER_FILE,
        source=_ADAPTER,
    ),
    _shards(
        "optimizer-and-tower-beside",
        "Beside the shards lie the state of an optimizer and a vision tower.",
        step("foreign_file", "optimizer.safetensors", "state.0.exp_avg"),
        step("foreign_file", "vision_tower.safetensors", "vision.patch.weight"),
    ),
)

_FOLDERS: tuple[Case, ...] = (
    _shards(
        "other-forms-below",
        "Directories below hold the model with other values, each under its own name.",
        step("values_beside", f"original/{FILE}", 1),
        step("values_beside", f"fp32/{FIRST}", 2),
        step("values_beside", f".cache/{FILE}", 3),
        source=_BELOW,
    ),
    _single(
        "other-forms-below-a-file",
        "A directory below holds model.safetensors with other values.",
        step("values_beside", f"checkpoint-500/{FILE}", 1),
        source=_BELOW,
    ),
    of_checkpoint(
        "only-a-folder-below",
        "bystanders",
        "There are no weights but in a directory below.",
        SINGLE.then(step("values_beside", f"checkpoint-500/{FILE}", 1), step("delete_file", FILE)),
        reject(Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        _BELOW,
        sibling="other-forms-below-a-file",
        requires=BF16,
        severity=Severity.SILENT,
    ),
    of_checkpoint(
        "directory-without-weights",
        "bystanders",
        "There is a configuration, and no file of weights.",
        SINGLE.then(step("remove_weights")),
        reject(Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        _BELOW,
        sibling="single",
        requires=frozenset(),
        severity=Severity.SILENT,
    ),
    of_checkpoint(
        "no-configuration",
        "bystanders",
        "Three shards and their index, and no configuration.",
        SHARDED.then(step("delete_file", "config.json"), step("delete_file", "generation_config.json")),
        accept(),
        Source(
            "What is stored does not depend on what a configuration says.",
            "https://github.com/safetensors/safetensors#format",
        ),
        sibling="missing-shard",
    ),
)

CASES: tuple[Case, ...] = (*_NOT_WEIGHTS, *_OTHER_WEIGHTS, *_FOLDERS)
