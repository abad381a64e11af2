"""The order of the rows of q and k between the dialects."""

from __future__ import annotations

import math

import pytest

from inferno_loader.errors import ConfigValueError, QuantizationError, TensorNameError
from inferno_loader.names import DIALECTS, LayoutChange, RowPermutation, layout_change

pytestmark = pytest.mark.torch_free

HALF, INTERLEAVED = ("huggingface", "inferno"), ("meta", "gguf")
Q, K, V = (f"model.layers.{{layer}}.self_attn.{name}_proj" for name in "qkv")


def permuted(rows: list[int], heads: int) -> list[int]:
    """Rows in Meta's order brought into that of transformers: ``permute`` of its converter, on nested lists.

    ``w.view(n_heads, dim1 // n_heads // 2, 2, dim2).transpose(1, 2).reshape(dim1, dim2)``
    """
    dim = len(rows) // heads
    viewed = [[rows[head * dim + 2 * pair :][:2] for pair in range(dim // 2)] for head in range(heads)]
    transposed = [[list(half) for half in zip(*head, strict=True)] for head in viewed]
    return [row for head in transposed for half in head for row in half]


def test_one_head_of_eight_rows() -> None:
    """The two orders of one head are those that the specifications of GGUF and of the converter give."""
    head = RowPermutation(heads=1, head_dim=8)
    assert head.order_to_half() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert head.order_to_interleaved() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_rows_never_leave_their_head() -> None:
    """A second head has the order of the first, further down."""
    assert RowPermutation(heads=2, head_dim=4).order_to_half() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize(("heads", "head_dim"), [(1, 2), (3, 2), (4, 6), (8, 16), (5, 10)])
def test_split_is_permute_of_the_converter(heads: int, head_dim: int) -> None:
    """From interleaved to half is what transformers' converter of the original weights does, and back undoes it."""
    layout = RowPermutation(heads, head_dim)
    rows = list(range(layout.rows))
    assert layout.order_to_half() == permuted(rows, heads)
    assert [layout.order_to_half()[row] for row in layout.order_to_interleaved()] == rows
    assert [layout.order_to_interleaved()[row] for row in layout.order_to_half()] == rows


def test_the_shapes_name_the_axes_that_are_swapped() -> None:
    """Reading the interleaved shape with its last two axes swapped gives the order of the half layout."""
    layout = RowPermutation(heads=3, head_dim=8)
    heads, pairs, halves = layout.interleaved_shape
    assert layout.half_shape == (heads, halves, pairs) == (3, 2, 4)
    assert layout.order_to_half() == [
        (head * pairs + pair) * halves + half
        for head in range(heads)
        for half in range(halves)
        for pair in range(pairs)
    ]


def test_both_layouts_turn_the_same_pairs() -> None:
    """Turning neighbours in the interleaved layout is turning (i, i + d/2) in the half layout."""
    layout = RowPermutation(heads=1, head_dim=8)
    values = [0.5, -1.25, 2.0, 3.5, -0.75, 1.0, 4.25, -2.5]
    angles = [0.3, 1.1, 2.7, 5.9]
    turned = [
        part for pair, angle in enumerate(angles) for part in _turn(values[2 * pair], values[2 * pair + 1], angle)
    ]
    halves = [values[row] for row in layout.order_to_half()]
    pairs = [_turn(halves[i], halves[i + 4], angle) for i, angle in enumerate(angles)]
    turned_halves = [first for first, _ in pairs] + [second for _, second in pairs]
    assert [turned[row] for row in layout.order_to_half()] == turned_halves


def _turn(first: float, second: float, angle: float) -> tuple[float, float]:
    return (
        first * math.cos(angle) - second * math.sin(angle),
        first * math.sin(angle) + second * math.cos(angle),
    )


def test_key_value_heads_matter() -> None:
    """Under grouped-query attention, k with the number of query heads would be scrambled without a wrong shape."""
    rows = RowPermutation(heads=2, head_dim=8)
    wrong = RowPermutation(heads=8, head_dim=2)
    assert rows.rows == wrong.rows == 16
    assert rows.order_to_half() != wrong.order_to_half()


@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
def test_only_q_and_k_change_and_only_between_the_layouts(source: str, target: str) -> None:
    """Meta and GGUF interleave the rows of q over its heads and of k over the key-value heads; nothing else moves."""
    kind = "none"
    if source in HALF and target in INTERLEAVED:
        kind = "interleave"
    if source in INTERLEAVED and target in HALF:
        kind = "split"
    moves = kind != "none"
    for module, heads in ((Q, "q"), (K, "kv")):
        change = layout_change(module, source, target)
        assert (change.kind, change.heads) == (kind, heads if moves else "")
    for module in (V, "model.layers.{layer}.mlp.up_proj", "model.layers.{layer}.input_layernorm", "lm_head"):
        assert layout_change(module, source, target) == LayoutChange("none", "")


def test_a_module_may_be_named_with_its_layer() -> None:
    """A layer index stands as well as its placeholder."""
    assert layout_change("model.layers.17.self_attn.k_proj", "meta", "inferno") == LayoutChange("split", "kv")


@pytest.mark.parametrize(
    "module",
    [
        "",
        "q_proj",
        "model.layers.x.self_attn.q_proj",
        "model.layers.0.self_attn.q_proj.weight",
        "layers.0.attention.wq",
    ],
)
def test_an_unknown_module_is_refused(module: str) -> None:
    """A module that the table lacks is an error, for no change would be a silent guess."""
    with pytest.raises(TensorNameError) as caught:
        layout_change(module, "huggingface", "meta")
    assert caught.value.actual == module


@pytest.mark.parametrize(
    ("suffix", "shape"),
    [
        ("weight", [16, 40]),
        ("bias", [16]),
        ("weight_packed", [16, 5]),
        ("weight_scale", [16, 1]),
        ("weight_scale", [16, 4]),
        ("weight_zero_point", [16, 1]),
        ("weight_scale_inv", [16, 1]),
        ("SCB", [16]),
    ],
)
def test_tensors_with_a_row_for_each_output_move(suffix: str, shape: list[int]) -> None:
    """The weight, the bias and scales by row follow the permutation."""
    assert RowPermutation(heads=2, head_dim=8).concerns(suffix, shape)


@pytest.mark.parametrize(
    ("suffix", "shape"),
    [
        ("weight_scale", []),
        ("weight_scale", [1]),
        ("weight_zero_point", [1]),
        ("input_scale", [1]),
        ("weight_shape", [2]),
        ("weight_g_idx", [16]),
        ("g_idx", [16]),
        ("weight_global_scale", [1]),
        ("k_scale", []),
    ],
)
def test_tensors_without_rows_stay(suffix: str, shape: list[int]) -> None:
    """A scale for the whole weight and what belongs to the inputs stay, even where the size is that of the rows."""
    assert not RowPermutation(heads=2, head_dim=8).concerns(suffix, shape)


@pytest.mark.parametrize(
    ("suffix", "shape"),
    [
        ("weight", [320, 1]),
        ("weight", [15, 40]),
        ("bias", []),
        ("weight_packed", [1]),
        ("weight_scale", [2, 2]),
        ("weight_zero_point", [2, 4]),
        ("weight_zero_point", [1, 4]),
        ("qweight", [5, 16]),
        ("scales", [4, 16]),
        ("weight.absmax", [10]),
        ("lora_B.weight", [16, 4]),
    ],
)
def test_packed_tensors_are_refused(suffix: str, shape: list[int]) -> None:
    """A tensor that follows the outputs in another way than by rows is an error, not a wrong model."""
    with pytest.raises(QuantizationError, match=rf"\[quant\.invalid\] the {suffix} of q or k cannot") as caught:
        RowPermutation(heads=2, head_dim=8).concerns(suffix, shape, tensor="layers.0.attention.wq")
    assert caught.value.tensor == "layers.0.attention.wq"
    assert caught.value.actual == f"shape {shape}"


@pytest.mark.parametrize(
    ("heads", "head_dim", "key"),
    [(0, 8, "num_attention_heads"), (-1, 8, "num_attention_heads"), (2, 7, "head_dim"), (2, 0, "head_dim")],
)
def test_figures_without_pairs_are_refused(heads: int, head_dim: int, key: str) -> None:
    """No head, and an odd or empty head, are errors that name the key of the configuration."""
    with pytest.raises(ConfigValueError) as caught:
        RowPermutation(heads, head_dim)
    assert caught.value.key == key
