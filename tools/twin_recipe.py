"""A twin of a real checkpoint as what a case is built from: hundreds of gigabytes of files that take a few of disk.

Only its facts are known: the tensors themselves are zeros throughout, and nobody reads them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from conformance.tools.digest import short_key
from conformance.tools.truth import Facts
from conformance.tools.twins import build_twin, plan_twin

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.steps import Step

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


@dataclass(frozen=True, slots=True)
class TwinRecipe:
    """A dense twin, and what has been done to it.

    Attributes:
        name: The checkpoint, as on the hub.
        steps: What is done to it, in order. None of them may change a tensor.
    """

    name: str
    steps: tuple[Step, ...] = ()

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same twin, in every process."""
        facts = ["twin", self.name, [[each.way, each.arguments] for each in self.steps]]
        return short_key(facts)

    def build(self, directory: Path) -> None:
        """Builds the sparse files in an empty directory, the same bytes every time."""
        build_twin(self.name, directory)
        for each in self.steps:
            each.apply(directory)

    def facts(self) -> Facts:
        """What an analysis must say, from the plan of the files and not by reading them.

        Raises:
            ValueError: The twin is quantized: its scales are no parameters.
        """
        twin = plan_twin(self.name)
        if "quantization_config" in twin.config:
            raise ValueError(f"{self.name} is quantized")
        used = {file.name: [spec for spec in file.specs if _is_parameter(spec.name)] for file in twin.files}
        specs = [spec for each in used.values() for spec in each]
        names = {spec.name for spec in specs}
        tied = bool(twin.config.get("tie_word_embeddings")) and not {_EMBEDDING, _HEAD} <= names
        dtypes: Counter[str] = Counter()
        for spec in specs:
            dtypes[spec.dtype] += spec.nbytes
        return Facts(
            {
                "parameters": sum(spec.elements for spec in specs),
                "tensors": len(specs),
                "bytes": sum(dtypes.values()),
                "shards": sum(bool(each) for each in used.values()),
                "scheme": "none",
                "tied": tied,
                "dtypes": dict(dtypes),
                "dense_bytes": sum(dtypes.values()),
            },
        )

    def stored(self, file: str | None = None) -> NoReturn:
        """Not known."""
        raise self._unknown(file)

    def dense(self, dtype: str | None = None) -> NoReturn:
        """Not known."""
        raise self._unknown(dtype)

    def slices(self, rank: int, world_size: int) -> NoReturn:
        """Not known."""
        raise self._unknown((rank, world_size))

    def logits(self, tokens: Any) -> NoReturn:
        """Not known."""
        raise self._unknown(tokens)

    def _unknown(self, asked: object) -> TypeError:
        return TypeError(f"the twin of {self.name} has facts and no more: {asked!r}")


def _is_parameter(name: str) -> bool:
    return not name.endswith(".inv_freq")
