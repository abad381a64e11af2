"""Strategies for whole scenarios: sound ones, and sound ones edited once or twice by any way that there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.search.arguments import edits
from conformance.search.bases import SINGLE, Needs, recipes, tensor_files
from conformance.search.places import place_of
from conformance.tools.broken import BREAKAGES
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import WAYS, Step, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from conformance.search.places import Place
    from conformance.tools.tensor_file import TensorFile

_INDEXED = re.compile("index|shard|stale|beside|outside|cop(y|ies)|weight_map")
#: Ways that ask for a checkpoint in one file.
_OF_A_SINGLE_FILE = ("index_single", "split_sparse")
#: Ways behind which no step stands: it might read a device that never ends.
_LAST = ("make_special",)
#: Modules whose ways edit the files of weights alone: they suit one file of any tensors as well.
_OF_FILES = ("broken_files", "ways_container", "ways_header")


def _of_one_file(way: str) -> bool:
    return WAYS[way].apply.__module__.rpartition(".")[2].startswith(_OF_FILES)


def _needs(way: str) -> Needs:
    """What a way finds something to edit in: by the base of a known breakage, else by its name."""
    base = BREAKAGES[way].base if way in BREAKAGES else way
    if way in _OF_A_SINGLE_FILE:
        return Needs(("single",))
    layouts = ("indexless",) if "indexless" in base else ("by_count", "shuffled") if _INDEXED.search(base) else ()
    return Needs(layouts, quantized="w8a8" in base or "scale" in base, layers=2 if way in BREAKAGES else 1)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scenario as the search drew it.

    Attributes:
        scenario: The scenario.
        sound: Whether each reader of tensors owes it a load, with exactly its truth.
    """

    scenario: Scenario
    sound: bool


def drawn(ways: Sequence[str] | None = None) -> SearchStrategy[Drawn]:
    """Scenarios: of each four one sound, three edited.

    Args:
        ways: The ways to edit by, where all are to be edited; None for every way there is, and for sound ones.
    """
    return _edited(ways) if ways else st.one_of(_sound(), _edited(None), _edited(None), _edited(None))


@st.composite
def _sound(draw: DrawFn) -> Drawn:
    base = draw(st.one_of(tensor_files(), recipes()))
    place = place_of(base)
    return Drawn(Scenario(base, tuple(draw(st.lists(_harmless(place, base), max_size=2, unique=True)))), sound=True)


@st.composite
def _harmless(draw: DrawFn, place: Place, base: Recipe | TensorFile) -> Step:
    """A step that leaves a sound checkpoint sound: padding, order, white space, metadata, links, an index."""
    file = draw(st.sampled_from(sorted(place.files)))
    of_a_file = (
        step("pad_header", file, "", " " * draw(st.integers(0, 20))),
        step("indent_header", file),
        step("reverse_entries", file),
        step("set_metadata", file, draw(st.sampled_from((None, "{}", '{"format":"pt"}', '{"\\u00e9":""}')))),
    )
    if not isinstance(base, Recipe):
        return draw(st.sampled_from(of_a_file))
    whole = [step("link_to_blobs")]
    if len(place.others) > 2:  # noqa: PLR2004 - the index stands behind two configurations
        whole.append(step("set_index_metadata", draw(st.sampled_from((None, "{}", '{"total_size":1}')))))
    elif SINGLE in place.files:
        whole.append(step("index_single"))
    return draw(st.sampled_from((*of_a_file, *whole)))


@st.composite
def _edited(draw: DrawFn, ways: Sequence[str] | None) -> Drawn:
    way = draw(st.sampled_from(ways or sorted(WAYS)))
    checkpoints = recipes(_needs(way))
    base = draw(st.one_of(tensor_files(), checkpoints) if _of_one_file(way) else checkpoints)
    place = place_of(base)
    steps = [draw(edits(way, place))]
    others = [each for each in ways or sorted(WAYS) if isinstance(base, Recipe) or _of_one_file(each)]
    if others and way not in _LAST and draw(st.integers(0, 3)) == 3:  # noqa: PLR2004 - one in four has a second step
        steps.append(draw(edits(draw(st.sampled_from(others)), place)))
    return Drawn(Scenario(base, tuple(steps)), sound=False)
