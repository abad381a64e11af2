"""What the cases of the checkpoint share: small recipes, the names of their files, and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.placing import placed
from conformance.engine.case import Case, Severity, needs
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engine.case import Buildable, Expect, Source

#: Two layers: 21 tensors, of which 7 go into each of three shards.
SMALL: Mapping[str, int] = {"num_hidden_layers": 2, "vocab_size": 37}
FIRST, MIDDLE, LAST = (f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3))

#: The file of a single one, and the index of shards.
FILE, INDEX = "model.safetensors", "model.safetensors.index.json"

SINGLE = Scenario(Recipe(config=SMALL))
#: A checkpoint of the same names and shapes with other values.
OTHER_SINGLE = Scenario(Recipe(config=SMALL, seed=1))
SHARDED = Scenario(Recipe(config=SMALL, layout=Layout("by_count", 3)))
INDEXLESS = Scenario(Recipe(config=SMALL, layout=Layout("indexless", 3)))

BF16 = needs("dtype:BF16")
BF16_SHARDED = needs("dtype:BF16", "sharded")
BF16_INDEXLESS = needs("dtype:BF16", "indexless")

#: Where the index is described, and the JSON that it is written in.
SHARDING = "https://huggingface.co/docs/transformers/big_models#shard-metadata"
JSON = "https://www.rfc-editor.org/rfc/rfc8259"
#: Why a name of a file in an index is refused, whichever way it is looked at.
NO_SUCH_NAME = (Reason.PATH_ESCAPE, Reason.INDEX_INVALID, Reason.MISSING_SHARD, Reason.MISSING_FILE)


def of_checkpoint(
    slug: str,
    clause: str,
    title: str,
    recipe: Buildable,
    expect: Expect,
    source: Source,
    *,
    sibling: str,
    **more: Any,
) -> Case:
    """A case of the checkpoint: shards in BF16, and a false refusal or a crash, unless it says otherwise.

    Args:
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the sibling without the area.
        more: Further attributes of the case.
    """
    facts: dict[str, Any] = {"severity": Severity.CRASH, "requires": BF16_SHARDED, **more}
    return placed(Level.CHECKPOINT, slug, clause, title, recipe, expect, source, sibling, **facts)
