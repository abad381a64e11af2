"""Cases of the checkpoint: what must never be executed, and links, which are no offence."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import BF16, FILE, LAST, MIDDLE, SHARDED, SINGLE, of_checkpoint
from conformance.engine.case import Call, Case, Severity, Source, accept, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step
from conformance.tools.ways_layout import SNAPSHOT

_CACHE = "https://huggingface.co/docs/huggingface_hub/guides/manage-cache"
_LAYOUT_OF_CACHE = Source("The layout of the cache.", _CACHE, ("J11",))
_PICKLES = Source(
    "A loader opened pickles without a guard; the guard has been got round since.",
    "https://github.com/vllm-project/vllm/pull/12366",
    ("J03",),
)
_MODULES = Source(
    "A loader imported the Python file that the configuration names (CVE-2026-5843).",
    "https://github.com/ml-explore/mlx-lm/pull/1385",
    ("J06",),
)
_DCP = Source(
    "A checkpoint of torch.distributed is a pickle, .metadata, and a zip archive for each rank.",
    "https://docs.pytorch.org/docs/stable/distributed.checkpoint.html",
)
_NO_ENDING = Source(
    "The path behind the link has no ending, and was handed to the reader of pickles.",
    "https://github.com/ModelTC/Minimax-H3-Turbo/issues/12",
    ("J02",),
)
_NOT_SAFETENSORS = (
    Reason.NOT_SAFETENSORS,
    Reason.PICKLE,
    Reason.HEADER_LENGTH,
    Reason.HEADER_JSON,
    Reason.TRUNCATED,
)


def _no_weights(slug: str, title: str, *ways: Step, source: Source = _PICKLES) -> Case:
    """The case of a directory that holds nothing but pickles."""
    return of_checkpoint(
        slug,
        "no-code",
        title,
        SINGLE.then(step("remove_weights"), *ways),
        reject(Reason.PICKLE, Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        source,
        sibling="single",
        severity=Severity.SECURITY,
        requires=frozenset(),
        flags=("CodeExecution",),
    )


def _armed(slug: str, clause: str, title: str, *ways: Step, source: Source) -> Case:
    """The case of three shards and their index, and something beside them that must not be executed."""
    return of_checkpoint(
        slug,
        clause,
        title,
        SHARDED.then(*ways),
        accept(),
        source,
        sibling="only-a-pickle",
        severity=Severity.SECURITY,
        flags=("CodeExecution",),
    )


_CODE: tuple[Case, ...] = (
    _armed(
        "pickles-beside-the-shards",
        "no-code",
        "Beside three shards and their index lie five pickles, each of which ends whoever executes it.",
        *(step("arm", name, "zip") for name in ("pytorch_model.bin", "training_args.bin", "consolidated.00.pth")),
        *(step("arm", name, "raw") for name in ("optimizer.pt", "scheduler.pkl")),
        source=_PICKLES,
    ),
    *(
        of_checkpoint(
            f"pickle-called-safetensors-{form}",
            "no-code",
            f"model.safetensors is a pickle {what}, which ends whoever executes it.",
            SINGLE.then(step("arm", FILE, form)),
            reject(*_NOT_SAFETENSORS),
            _PICKLES,
            sibling="single",
            severity=Severity.SECURITY,
            requires=frozenset(),
            flags=("CodeExecution",),
        )
        for form, what in (("zip", "in a zip archive, as torch.save writes it"), ("raw", "as such"))
    ),
    of_checkpoint(
        "shard-is-a-pickle",
        "no-code",
        "The index names pytorch_model.bin for one of three shards, and its pickle ends whoever executes it.",
        SHARDED.then(
            step("delete_file", MIDDLE),
            step("arm", "pytorch_model.bin", "zip"),
            step("point_index", MIDDLE, "pytorch_model.bin"),
        ),
        reject(*_NOT_SAFETENSORS, Reason.INDEX_INVALID, Reason.MISSING_SHARD),
        _NO_ENDING,
        sibling="pickles-beside-the-shards",
        severity=Severity.SECURITY,
        flags=("CodeExecution",),
    ),
    *(
        _no_weights(
            f"only-a-pickle-called-{slug}",
            f"The weights are in {name} only, which ends whoever executes it.",
            step("arm", name, form),
        )
        for slug, name, form in (
            ("pth", "consolidated.00.pth", "zip"),
            ("ckpt", "model.ckpt", "zip"),
            ("pkl", "model.pkl", "raw"),
        )
    ),
    _no_weights(
        "pickles-by-an-index",
        "The weights are in two pickles, of which pytorch_model.bin.index.json tells.",
        *(step("arm", f"pytorch_model-0000{number}-of-00002.bin", "zip") for number in (1, 2)),
        step(
            "write_text",
            "pytorch_model.bin.index.json",
            '{"metadata": {}, "weight_map": {"model.norm.weight": "pytorch_model-00001-of-00002.bin"}}',
        ),
    ),
    _no_weights(
        "only-a-distributed-checkpoint",
        "The weights are in a checkpoint of torch.distributed only, whose pickles end whoever executes them.",
        step("arm", ".metadata", "raw"),
        *(step("arm", f"__{rank}_0.distcp", "zip") for rank in range(2)),
        source=_DCP,
    ),
    _armed(
        "distributed-checkpoint-beside",
        "no-code",
        "Beside three shards and their index lies a checkpoint of torch.distributed, whose pickles are armed.",
        step("arm", ".metadata", "raw"),
        step("arm", "__0_0.distcp", "zip"),
        source=_DCP,
    ),
    _armed(
        "modules-that-the-configuration-names",
        "no-modules",
        "The configuration names Python modules of the checkpoint, each of which ends whoever imports it.",
        step("set_config", "model_file", '"modeling_own.py"'),
        step(
            "set_config",
            "auto_map",
            '{"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}',
        ),
        step("arm_modules", "modeling_own", "configuration_own", "__init__"),
        source=_MODULES,
    ),
    _armed(
        "modules-called-like-libraries",
        "no-modules",
        "Python modules lie in the checkpoint that are called like libraries: whoever imports one of them ends.",
        step("arm_modules", "torch", "numpy", "safetensors", "json", "tokenizer", "conftest", "setup"),
        source=_MODULES,
    ),
)

_LINKS: tuple[Case, ...] = (
    of_checkpoint(
        "snapshot-in-a-cache",
        "links",
        "A whole cache of the hub: blobs, the snapshot of a commit whose files are links to them, and a reference.",
        SHARDED.then(step("hub_cache")),
        accept(),
        _LAYOUT_OF_CACHE,
        sibling="shard-in-the-parent",
        calls=(Call(at=SNAPSHOT),),
    ),
    of_checkpoint(
        "snapshot-of-one-file-in-a-cache",
        "links",
        "A whole cache of the hub, whose snapshot has model.safetensors as a link to a blob without an ending.",
        SINGLE.then(step("hub_cache")),
        accept(),
        _NO_ENDING,
        sibling="only-a-pickle",
        requires=BF16,
        calls=(Call(at=SNAPSHOT),),
    ),
    of_checkpoint(
        "one-shard-is-a-link-elsewhere",
        "links",
        "The middle one of three shards is a link by its absolute path to a file outside the directory.",
        SHARDED.then(step("link_shard_outside", MIDDLE)),
        accept(),
        Source("Whoever made the directory chose where its links lead: only the index is foreign.", _CACHE, ("J11",)),
        sibling="shard-by-absolute-path",
    ),
    of_checkpoint(
        "snapshot-without-a-blob",
        "links",
        "The last of three shards is a link of the cache, and the blob that it leads to is not there.",
        SHARDED.then(step("make_special", LAST, "dangling")),
        reject(Reason.MISSING_SHARD, Reason.MISSING_FILE),
        Source("A link of the cache whose blob is not there is a file that is not there.", _CACHE),
        sibling="links-of-the-cache",
    ),
)

CASES: tuple[Case, ...] = (*_CODE, *_LINKS)
