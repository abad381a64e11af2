"""What the cases of the checkpoint share: small recipes, the names of their files, and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engine.case import needs
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Two layers: 21 tensors, of which 7 go into each of three shards.
SMALL: Mapping[str, int] = {"num_hidden_layers": 2, "vocab_size": 37}
FIRST, MIDDLE, LAST = (f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3))

SINGLE = Scenario(Recipe(config=SMALL))
#: A checkpoint of the same names and shapes with other values.
OTHER_SINGLE = Scenario(Recipe(config=SMALL, seed=1))
SHARDED = Scenario(Recipe(config=SMALL, layout=Layout("by_count", 3)))
INDEXLESS = Scenario(Recipe(config=SMALL, layout=Layout("indexless", 3)))

BF16 = needs("dtype:BF16")
BF16_SHARDED = needs("dtype:BF16", "sharded")
BF16_INDEXLESS = needs("dtype:BF16", "indexless")
