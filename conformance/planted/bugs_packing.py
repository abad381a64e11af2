"""Planted loaders: one bug each in which parts of a packed weight belong together, and what is said of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_packed import RightPacked
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Source
    from conformance.planted.right_types import Entry
    from conformance.planted.right_unpacking import Array

_FUSED = re.compile(r"(.*\.self_attn\.)[qkv](_proj\.(?:weight_global_scale|weight_scale_2|weight_scale))")


class DeclarationIgnored(RightPacked):
    """The format of the configuration is not held against what is stored: one of the two is wrong.

    The same codes under another label were off in every weight. F14, https://github.com/vllm-project/vllm/pull/38966
    """

    name = "declaration-ignored"
    clause = "weights.packed-declared"
    level = Level.WEIGHTS

    def check_declared(self, kind: str, module: str, arguments: Mapping[str, Any]) -> None:
        """Believes the tensors."""


class PackedShapeUnread(RightPacked):
    """The shape that is stored beside packed codes is not read.

    It says where the padding begins, and what the codes were made of. F23,
    https://github.com/vllm-project/compressed-tensors
    """

    name = "packed-shape-unread"
    clause = "weights.packed-shape"
    level = Level.WEIGHTS

    def check_told_shape(self, entry: Entry, shape: tuple[int, int]) -> None:
        """Leaves it."""


class MaskShapeUnread(RightPacked):
    """The shape that is stored beside a mask is not read.

    F23, https://github.com/vllm-project/compressed-tensors
    """

    name = "mask-shape-unread"
    clause = "weights.sparse-shape"
    level = Level.WEIGHTS

    def check_told_shape(self, entry: Entry, shape: tuple[int, int]) -> None:
        """Leaves that of masks."""
        if not entry.name.endswith(".shape"):
            super().check_told_shape(entry, shape)


class GroupsByScales(RightPacked):
    """The size of a group is the number of columns over that of scales, whatever the configuration says.

    An engine derived 344 where the configuration says 128. K10, https://github.com/vllm-project/vllm/issues/1258
    """

    name = "groups-by-scales"
    clause = "weights.packed-group-size"
    level = Level.WEIGHTS

    def packed_block(self, scale: Entry, shape: tuple[int, int], arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Divides."""
        told = arguments.get("group_size")
        size = shape[1] // scale.shape[1] if told and len(scale.shape) > 1 else told
        return super().packed_block(scale, shape, {**arguments, "group_size": size})


class IndexOfGroupsUnread(RightPacked):
    """The index of groups is not read: columns get the scales of their neighbours.

    A conversion ignored it until a review asked for an error. F17, https://github.com/ml-explore/mlx-lm/pull/730
    """

    name = "index-of-groups-unread"
    clause = "weights.packed-group-index"
    level = Level.WEIGHTS

    def group_of_columns(self, indices: Array | None, columns: int, size: int) -> Array:  # noqa: ARG002 - the bug
        """Counts."""
        return super().group_of_columns(None, columns, size)


class NoGroupIsTheLast(RightPacked):
    """An index of -1 throughout, which says nothing, is taken for the last group.

    Files hold it whose columns were never put in another order. F17, https://github.com/ml-explore/mlx-lm/pull/730
    """

    name = "no-group-is-the-last"
    clause = "weights.packed-group-index"
    level = Level.WEIGHTS

    def group_of_columns(self, indices: Array | None, columns: int, size: int) -> Array:
        """Takes every number for a group."""
        return super().group_of_columns(None, columns, size) if indices is None else indices


class IndexOfGroupsUnchecked(RightPacked):
    """Numbers of groups are used as they are: -1 is the last group.

    NumPy and torch count negative numbers from the end. F17, https://github.com/ml-explore/mlx-lm/pull/730
    """

    name = "index-of-groups-unchecked"
    clause = "weights.packed-group-index"
    level = Level.WEIGHTS

    def check_groups(self, indices: Entry, columns: int, groups: int) -> None:
        """Looks at nothing."""


class PartsOfTheSameFile(RightPacked):
    """The parts of a packed weight are looked for in the shard of its codes only.

    F45, https://github.com/ModelCloud/GPTQModel/pull/2875
    """

    name = "parts-of-the-same-file"
    clause = "weights.missing-scale"
    level = Level.WEIGHTS

    def source(
        self, name: str, shape: tuple[int, ...], located: Mapping[str, Entry], config: Config, *, meta: bool
    ) -> Source:
        """Does not look into other files."""
        path = located[name].path
        mine = {each: entry for each, entry in located.items() if entry.path == path}
        return super().source(name, shape, mine, config, meta=meta)


class OneScaleForThree(RightPacked):
    """Query, key and value projections are fused, and the largest of their scales is taken for all three.

    An engine warned and took the largest: the others are too large. F07, F08,
    https://github.com/vllm-project/vllm/pull/41769
    """

    name = "one-scale-for-three"
    clause = "weights.own-scales"
    level = Level.WEIGHTS

    def array(self, entry: Entry) -> Array:
        """Reads three scales."""
        fused = _FUSED.fullmatch(entry.name)
        if fused is None or len(entry.shape) > 1:
            return super().array(entry)
        located = self.located(entry.path.parent)
        three = [located[f"{fused[1]}{each}{fused[2]}"] for each in "qkv"]
        largest: Array = np.max([super(OneScaleForThree, self).array(each) for each in three], axis=0)
        return largest


class ActivationScalesRefused(RightPacked):
    """Global scales of activations are tensors without a place, and the checkpoint is refused.

    F10, https://github.com/vllm-project/vllm/issues/25047
    """

    name = "activation-scales-refused"
    clause = "weights.activation-scales"
    level = Level.WEIGHTS

    def unused_scales(self, names: list[str]) -> None:
        """Knows none of their names."""
        Right.unused_scales(self, names)


class BlockByShapes(RightPacked):
    """The size of a block is the size of the weight over that of its grid, whatever the configuration says.

    A weight of 1000 rows in blocks of 128 has 8 of them, and 1000 / 8 is 125. F01,
    https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1115
    """

    name = "block-by-shapes"
    clause = "weights.block-scales"
    level = Level.WEIGHTS

    def float_block(
        self, kind: str, scale: Entry, shape: tuple[int, int], arguments: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Divides the shapes."""
        if kind != "block" or len(scale.shape) < 2:  # noqa: PLR2004 - a grid has rows and columns
            return super().float_block(kind, scale, shape, arguments)
        return -(-shape[0] // scale.shape[0]), -(-shape[1] // scale.shape[1])


class BlocksMustDivide(RightPacked):
    """Weights whose sides no block divides are refused.

    F34, https://github.com/huggingface/transformers/pull/36026
    """

    name = "blocks-must-divide"
    clause = "weights.block-scales"
    level = Level.WEIGHTS

    def float_block(
        self, kind: str, scale: Entry, shape: tuple[int, int], arguments: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Asserts."""
        block = super().float_block(kind, scale, shape, arguments)
        if shape[0] % block[0] or shape[1] % block[1]:
            refuse(Reason.SHAPE, f"blocks of {list(block)} do not divide {list(shape)}")
        return block


class NoPowersOfTwo(RightPacked):
    """Scales of blocks that are stored as powers of two have no dtype that the loader knows.

    F35, https://github.com/unslothai/unsloth/pull/6848
    """

    name = "no-powers-of-two"
    clause = "weights.block-exponents"
    level = Level.WEIGHTS

    def check_dtype(self, entry: Entry, *dtypes: str) -> None:
        """Knows floats only."""
        if entry.name.endswith("weight_scale_inv"):
            super().check_dtype(entry, "F32", "BF16", "F16")
        super().check_dtype(entry, *dtypes)


class ListedByBeginnings(RightPacked):
    """A module is listed as dense where its name begins with one that is: layer 1 means layers 10 and 11 as well.

    The list was held against parts of names. F47, https://github.com/ModelCloud/GPTQModel/pull/2889
    """

    name = "listed-by-beginnings"
    clause = "weights.dense-components"
    level = Level.WEIGHTS

    def is_listed(self, module: str, listed: str) -> bool:
        """Compares texts, and not components."""
        return listed in module


class ScalesNeedAnAxis(RightPacked):
    """A scale without an axis is refused.

    One scalar in some files, one element in others. F08, https://github.com/vllm-project/vllm/pull/4332
    """

    name = "scales-need-an-axis"
    clause = "weights.scalar-scales"
    level = Level.WEIGHTS

    def check_shape(self, entry: Entry, *shapes: tuple[int, ...]) -> None:
        """Knows shapes of one axis and more."""
        super().check_shape(entry, *filter(None, shapes))


class SettingsInOnePlace(RightPacked):
    """The settings of ModelOpt are looked for in the configuration alone: its codes have no meaning then.

    F11, https://github.com/sgl-project/sglang/pull/20705
    """

    name = "settings-in-one-place"
    clause = "weights.modelopt-settings"
    level = Level.WEIGHTS

    def config(self, directory: Path) -> Config:
        """Reads one file."""
        return Right.config(self, directory)
