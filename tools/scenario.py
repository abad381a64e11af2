"""What the checkpoint of a case is built from, and what is true of it: a recipe, then steps. No loader, no torch.

    Scenario(NAMED["bf16-sharded"], (step("stale_copy", "model.norm.weight", "model-00001-of-00003.safetensors"),))

The truth is that of the closed form, changed as the steps say; the files that were written are never read for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.tools import analysis, delivery, slicing
from conformance.tools.building import build
from conformance.tools.digest import short_key
from conformance.tools.forward import input_ids, logits
from conformance.tools.recipe import Recipe
from conformance.tools.stored import decode, parameters
from conformance.tools.truth import Facts, Logits, TensorDigest, Tensors, tensor_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.steps import Step
    from conformance.tools.stored import Parameter, Tensor
    from conformance.tools.tensor_file import TensorFile

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checkpoint, and what has been done to it.

    Attributes:
        base: What is built first: a Llama checkpoint, or one file of any tensors.
        steps: What is done to it, in order.
        cast: The dtype to which a loader is taken to cast dense weights of which no dtype was asked: it changes nothing
            but what `facts` says of a dense load. None for as stored.
    """

    base: Recipe | TensorFile
    steps: tuple[Step, ...] = ()
    cast: str | None = None

    def then(self, *steps: Step) -> Scenario:
        """This scenario with more steps behind the ones that it has."""
        return replace(self, steps=(*self.steps, *steps))

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same scenario, in every process."""
        facts = [self.base.key(), [[each.way, each.arguments] for each in self.steps]]
        facts += [self.cast] if self.cast else []
        return short_key(facts)

    def build(self, directory: Path) -> None:
        """Builds the checkpoint in an empty directory, the same bytes every time."""
        if isinstance(self.base, Recipe):
            build(self.base, directory)
        else:
            self.base.build(directory)
        for each in self.steps:
            each.apply(directory)

    def stored(self, file: str | None = None) -> Tensors:  # noqa: ARG002 - one file holds all, or none of it is asked for
        """Every tensor as stored, after the steps.

        Args:
            file: The file that is asked for. A scenario of one file holds the same there as in all.
        """
        if not isinstance(self.base, Recipe) and not self.steps:
            return _exactly(self.base.digests())
        return _exactly({name: _digest(tensor) for name, tensor in self._stored_tensors().items()})

    def dense(self, dtype: str | None = None) -> Tensors:
        """Every parameter as a loader must hand it out.

        Args:
            dtype: The dtype asked for; None for that of the checkpoint. A quantized weight may be rounded to its own
                dtype first and then widened: both are right.
        """
        recipe = self._recipe
        wanted = {each.dense.spec.name: delivery.digests(recipe, each, dtype) for each in self._parameters()}
        optional = self._optional(wanted)
        if _HEAD not in wanted and _EMBEDDING in wanted:
            wanted[_HEAD] = wanted[_EMBEDDING]
        return Tensors(wanted, optional)

    def slices(self, rank: int, world_size: int) -> Tensors:
        """The slice of each parameter that belongs to a rank, as the design cuts them."""
        whole = {each.dense.spec.name: each.dense for each in self._parameters()}
        optional = self._optional(whole)
        if _HEAD not in whole and _EMBEDDING in whole:
            whole[_HEAD] = replace(whole[_EMBEDDING], spec=replace(whole[_EMBEDDING].spec, name=_HEAD))
        cuts = {name: slicing.slice_of(tensor, self.figures, rank, world_size) for name, tensor in whole.items()}
        optional |= {name for name, cut in cuts.items() if cut.optional}
        return Tensors({name: tuple(map(_digest, cut.tensors)) for name, cut in cuts.items()}, optional)

    def logits(self, tokens: Any) -> Logits:
        """The logits of every position, from the weights in float64.

        Args:
            tokens: Has ``batch``, ``positions`` and ``seed``.
        """
        weights = self.weights()
        # A head that is stored counts, whatever the flag says: so the policy on heads that are tied and stored.
        ids, headless = self.input_ids(tokens), _HEAD not in weights
        return Logits(logits(self.figures, weights.__getitem__, ids, tied=headless))

    def weights(self) -> dict[str, NDArray[np.float64]]:
        """The values of every parameter by its Hugging Face name; of a head that is not stored, none."""
        return {each.dense.spec.name: decode(each.dense) for each in self._parameters()}

    @property
    def figures(self) -> Mapping[str, Any]:
        """Every figure that the tensors follow, whether the configuration has it or not."""
        return self._recipe.figures

    def input_ids(self, tokens: Any) -> NDArray[np.int64]:
        """Token ids, int64 ``[batch, positions]``, the same for the same `tokens`."""
        return input_ids(self.figures["vocab_size"], tokens)

    def facts(self) -> Facts:
        """What an analysis must say of the checkpoint."""
        return Facts(analysis.facts_of(self._recipe, self._parameters(), self.cast))

    @property
    def _recipe(self) -> Recipe:
        if not isinstance(self.base, Recipe):
            raise TypeError("one file of tensors is no model: it has no parameters, logits or facts")
        return self.base

    def _stored_tensors(self) -> Mapping[str, Tensor]:
        if isinstance(self.base, Recipe):
            stored = {tensor.spec.name: tensor for each in parameters(self.base) for tensor in each.stored}
        else:
            stored = self.base.tensors()
        for each in self.steps:
            each.change(stored)
        return stored

    def _parameters(self) -> Iterator[Parameter]:
        """The parameters after the steps, without the stored buffers, which a loader computes anew."""
        stored = self._stored_tensors() if self.steps else None
        for each in parameters(self._recipe):
            if each.dense.spec.name.endswith(".inv_freq"):
                continue
            now = each if stored is None else delivery.restated(self._recipe, each, stored)
            if now is not None:
                yield now

    def _optional(self, stored: Collection[str]) -> frozenset[str]:
        """A head that is the embedding need not be handed out: one that is not stored, or a tied one that is a copy."""
        recipe = self._recipe
        redundant = recipe.head == "copy" and bool(recipe.figures["tie_word_embeddings"])
        return frozenset({_HEAD} if redundant or _HEAD not in stored else ())


@dataclass(frozen=True, slots=True)
class Several:
    """Several checkpoints in the directories of one, for a case that reads one after the other.

    Attributes:
        parts: Pairs of a directory's name and what is built in it.
    """

    parts: tuple[tuple[str, Scenario], ...]

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same parts, in every process."""
        facts = [[name, scenario.key()] for name, scenario in self.parts]
        return short_key(facts)

    def build(self, directory: Path) -> None:
        """Builds each part in its directory."""
        for name, scenario in self.parts:
            scenario.build(directory / name)

    def part(self, name: str) -> Scenario:
        """The part in a directory."""
        return dict(self.parts)[name]


def _exactly(digests: Mapping[str, TensorDigest]) -> Tensors:
    return Tensors({name: (digest,) for name, digest in digests.items()})


def _digest(tensor: Tensor) -> TensorDigest:
    return tensor_digest(tensor.spec.dtype, tensor.spec.shape, tensor.data)
