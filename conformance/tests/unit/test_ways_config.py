"""The ways to write a configuration otherwise: its text, its encoding, its nesting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.steps import Step

_SMALL = Recipe(config={"num_hidden_layers": 1, "vocab_size": 5})


def _written(place: Path, *steps: Step) -> bytes:
    Scenario(_SMALL, steps).build(place)
    return (place / "config.json").read_bytes()


def _object(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    return found


def test_a_text_is_replaced_where_it_stands_once(tmp_path: Path) -> None:
    """The bytes around it stay, and letters beyond ASCII are single bytes."""
    content = _written(tmp_path, step("config_text", '"vocab_size": 5', '"vocab_size": \xff'))
    assert b'"vocab_size": \xff' in content
    assert (
        content.replace(b"\xff", b"5") == (json.dumps(_SMALL.config_json(), indent=2, sort_keys=True) + "\n").encode()
    )


@pytest.mark.parametrize("old", ["no such text", '"'])
def test_a_text_that_does_not_stand_there_once_is_an_error(tmp_path: Path, old: str) -> None:
    """A step that changes nothing, or too much, must not build."""
    with pytest.raises(ValueError, match="not once"):
        _written(tmp_path, step("config_text", old, "new"))


def test_an_encoding_is_that_of_the_whole_file(tmp_path: Path) -> None:
    """The text is the same, and begins with the mark where there is one."""
    content = _written(tmp_path, step("encode_config", "utf-8-sig"))
    assert content.startswith(b"\xef\xbb\xbf")
    assert _object(content[3:]) == _SMALL.config_json()


def test_a_repeated_figure_stands_there_twice_in_its_order(tmp_path: Path) -> None:
    """Both values are there, the first before the second, and all other keys once."""
    content = _written(tmp_path, step("repeat_figure", "vocab_size", "5", "4"))
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found
        return dict(found)

    json.loads(content, object_pairs_hook=keep)
    assert [value for key, value in pairs if key == "vocab_size"] == [5, 4]
    assert {key for key, _ in pairs} == _SMALL.config_json().keys()
    assert len(pairs) == len(_SMALL.config_json()) + 1


def test_a_nested_configuration_holds_all_keys_but_those_kept(tmp_path: Path) -> None:
    """Around it are the keys that were given and those that stay."""
    outer = _object(_written(tmp_path, step("nest_config", '{"model_type": "llava"}', "vocab_size")))
    whole = _SMALL.config_json()
    assert outer == {
        "model_type": "llava",
        "vocab_size": 5,
        "text_config": {key: value for key, value in whole.items() if key != "vocab_size"},
    }


def test_a_deep_configuration_is_as_deep_as_it_was_asked_to_be(tmp_path: Path) -> None:
    """One key holds lists in lists, and the others are as they were."""
    found = _object(_written(tmp_path, step("deepen_config", 50)))
    note, depth = found.pop("note"), 0
    while isinstance(note, list):
        depth, note = depth + 1, note[0] if note else None
    assert depth == 50
    assert found == _SMALL.config_json()
