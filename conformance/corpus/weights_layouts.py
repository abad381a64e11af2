"""Cases of the weights: four checkpoints, each in every layout: the same parameters, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.corpus.model_parts import BF16, F16, FILE, of_weights, small
from conformance.corpus.quantized_parts import INT, W8A8
from conformance.engine.case import Case, Source, accept, needs
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.steps import Step

_APART = Source(
    "Tensors that belong together lay in different files, and a loader looked in one.",
    "https://github.com/huggingface/optimum-neuron/issues/1111",
    ("K13",),
)
_SHARDS = "model-{:05d}-of-00003.safetensors"


class _Checkpoint(NamedTuple):
    """What is laid out.

    Attributes:
        word: For the id.
        what: For the title.
        recipe: Attributes of the recipe.
        needed: Features that it needs.
    """

    word: str
    what: str
    recipe: dict[str, Any]
    needed: frozenset[str]


class _Layout(NamedTuple):
    """How it is laid out.

    Attributes:
        word: For the id.
        what: For the title.
        layout: The layout of the recipe.
        needed: Features that it needs.
        steps: What is done to the files.
    """

    word: str
    what: str
    layout: Layout
    needed: frozenset[str]
    steps: tuple[Step, ...] = ()


_CHECKPOINTS = (
    _Checkpoint("bf16", "BF16", {}, BF16),
    _Checkpoint("tied", "BF16 with a tied head", {"config": {"tie_word_embeddings": True}}, needs(BF16, "tied")),
    _Checkpoint(
        "biased",
        "F16 with biases",
        {"dtype": "F16", "config": {"attention_bias": True, "mlp_bias": True}},
        needs(F16, "bias"),
    ),
    _Checkpoint("int8", "int8 with scales", {"quantization": W8A8}, needs(BF16, INT)),
)
_SHARDED = needs("sharded")
_LAYOUTS = (
    _Layout("two-shards", "in two shards, cut in the order of the model", Layout("by_count", 2), _SHARDED),
    _Layout("by-size", "in shards of 40 kB, as a writer cuts them", Layout("by_size", 40_000), _SHARDED),
    _Layout("dealt-out", "dealt out to five shards, whatever belongs together", Layout("shuffled", 5), _SHARDED),
    _Layout(
        "without-an-index", "in three shards without an index", Layout("indexless", 3), needs("sharded", "indexless")
    ),
    _Layout(
        "linked",
        "in three shards that are links, as in the cache of the hub",
        Layout("by_count", 3),
        _SHARDED,
        (step("link_to_blobs"),),
    ),
    _Layout(
        "renamed",
        "in three shards, whose names the index has, and which have no numbers",
        Layout("by_count", 3),
        _SHARDED,
        (step("rename_shards", "zeta.safetensors", "alpha.safetensors", "mu.safetensors"),),
    ),
    _Layout(
        "renumbered",
        "in three shards, numbered from the last one to the first",
        Layout("by_count", 3),
        _SHARDED,
        (step("rename_shards", _SHARDS.format(3), _SHARDS.format(2), _SHARDS.format(1)),),
    ),
    _Layout(
        "reversed", "in one file, whose entries stand in reverse", Layout(), needs(), (step("reverse_entries", FILE),)
    ),
    _Layout("indented", "in one file, whose header is indented", Layout(), needs(), (step("indent_header", FILE),)),
    _Layout(
        "padded",
        "in one file, with a thousand blanks behind its header",
        Layout(),
        needs(),
        (step("pad_header", FILE, "", " " * 1000),),
    ),
    _Layout("turned-round", "in one file, whose data lie in reverse", Layout(), needs(), (step("reverse_data"),)),
    _Layout(
        "indexed",
        "in one file, and an index that names this one only",
        Layout(),
        needs(),
        (step("index_single"),),
    ),
)

CASES: tuple[Case, ...] = tuple(
    of_weights(
        f"layout-{layout.word}-{checkpoint.word}",
        "layouts",
        f"{checkpoint.what}, {layout.what}.",
        small(*layout.steps, layout=layout.layout, **checkpoint.recipe),
        accept(),
        _APART,
        sibling="layer-in-the-middle-missing",
        requires=needs(checkpoint.needed, layout.needed),
    )
    for checkpoint in _CHECKPOINTS
    for layout in _LAYOUTS
)
