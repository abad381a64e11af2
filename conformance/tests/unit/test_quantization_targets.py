"""Targets of a quantization block: names, regular expressions, and the expressions that would never end."""

from __future__ import annotations

import pytest

from inferno_loader.errors import ConfigValueError
from inferno_loader.quantization.settings import read_settings
from inferno_loader.quantization.targets import cost, flaw, rank

pytestmark = pytest.mark.torch_free

_USUAL = (
    r"re:.*lm_head",
    r"re:model\.layers\.\d+\.mlp\..*",
    r"re:(.*mlp.*|.*attn.*)",
    r"re:^(?!.*(k_proj|v_proj)).*$",
    r"re:model\.layers\.([0-9]|1[0-9])\..*proj",
    r"re:.*?x.*?",
    r"re:x{2,3}+",
    r"re:(ab)+",
    r"re:((a+)b)?c",
    r"re:[*+]+\*\(a|b\)*",
    r"re:[]()*|]+",
    "Linear",
    r"re:a{b{c{d{e{f{g",
    "(a+)+",
)
_ENDLESS = (
    r"re:(.+)+$x",
    r"re:(a|a)*b",
    r"re:((a+))*",
    r"re:(?:x{1,9}){3}",
    r"re:((a?){2}b)+",
    r"re:(?:(?:a|b)c)+?",
    r"re:a?a?a?a?a?a?",
    r"re:.*a.*b.*c.*d.*e.*",
)


@pytest.mark.parametrize("target", _USUAL)
def test_targets_that_configurations_have_are_taken(target: str) -> None:
    """Recipes of llm-compressor write such targets; a repeat in a class, escaped, or outside re: is a character."""
    assert flaw(target) == ""


@pytest.mark.parametrize("target", _ENDLESS)
def test_an_expression_that_may_never_end_is_refused(target: str) -> None:
    """One line of a configuration must not hang a loader: a repeat of what can match in several ways is refused."""
    block = {"quant_method": "compressed-tensors", "config_groups": {"g": {"targets": [target], "weights": None}}}
    with pytest.raises(ConfigValueError, match="repeat") as caught:
        read_settings(block)
    assert caught.value.key == "quantization_config.config_groups.g.targets"


def test_a_full_name_beats_an_expression_which_beats_the_class() -> None:
    """The order in which targets count is that of compressed-tensors."""
    targets = ["Linear", "re:.*", "zoo.of.experts"]
    assert sorted(targets, key=rank) == ["zoo.of.experts", "re:.*", "Linear"]
    assert [rank(target) for target in targets] == [2, 1, 0]


def test_many_slow_expressions_are_refused_together() -> None:
    """Each may be matched by itself, but 882 Linears against thousands of them would take for ever."""
    block = {"quant_method": "compressed-tensors", "config_groups": {}, "ignore": ["re:.*a.*b.*c.*d"] * 21}
    with pytest.raises(ConfigValueError) as caught:
        read_settings(block)
    assert caught.value.key == "quantization_config.ignore"
    block["ignore"] = ["re:.*a.*b.*c.*d"] * 20
    assert read_settings(block) is not None


@pytest.mark.parametrize(
    ("target", "expected"),
    [("lm_head", 0), ("re:lm_head", 0), ("re:.*q_proj", 1), ("re:.*q.*", 1), ("re:.*q.*x+", 10), (r"re:\d{2}[*+]?", 1)],
)
def test_what_an_expression_costs_is_told_by_its_repeats(target: str, expected: int) -> None:
    """Each repeat beside two others makes a match ten times slower; names cost nothing."""
    assert cost(target) == expected


def test_an_expression_that_is_none_is_refused() -> None:
    """What Python cannot compile has no meaning."""
    assert "unterminated" in flaw("re:(")
