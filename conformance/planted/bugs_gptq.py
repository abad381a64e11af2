"""Planted loaders: one bug each in how GPTQ is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right_libraries import RightLibraries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry


class TenThreesAWord(RightLibraries):
    """Codes of three bits are taken ten from each word, as another library once packed them.

    A writer made words for ten codes where GPTQ has 32 in three. F44, https://github.com/ModelCloud/GPTQModel/pull/2984
    """

    name = "ten-threes-a-word"
    clause = "weights.gptq-codes"
    level = Level.WEIGHTS

    def fields(self, words: torch.Tensor, bits: int, count: int) -> torch.Tensor:
        """Lets no code straddle two words."""
        if bits != 3:  # noqa: PLR2004 - the one that straddles
            return super().fields(words, bits, count)
        places = torch.arange(count)
        word = (places // 10).clamp(max=words.shape[1] - 1)
        return words[:, word] >> (places % 10 * bits) & 7


class SignedHighField(RightLibraries):
    """Words are shifted with their sign, and the highest field is not masked: codes of eight bits become negative.

    A shift of int32 drags the sign along. F23,
    https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "signed-high-field"
    clause = "weights.gptq-codes"
    level = Level.WEIGHTS

    def gptq_codes(self, words: torch.Tensor, bits: int, columns: int) -> torch.Tensor:
        """Takes the highest field for a signed number."""
        codes = super().gptq_codes(words, bits, columns)
        last = torch.arange(columns) * bits % 32 + bits == 32  # noqa: PLR2004 - bits of a word
        negative = last & (codes >= 1 << (bits - 1))
        return torch.where(negative, codes - (1 << bits), codes)


class BitsOfTheWhole(RightLibraries):
    """Bits are taken from the configuration as a whole, and what it says of single modules is not read.

    flash-moe read tensors of eight bits as four: fluent text, and wrong. F29,
    https://github.com/danveloper/flash-moe/pull/13
    """

    name = "bits-of-the-whole"
    clause = "weights.gptq-codes"
    level = Level.WEIGHTS

    def gptq_bits(self, module: str, settings: Mapping[str, Any]) -> int:
        """Forgets the exceptions."""
        return super().gptq_bits(module, {**settings, "dynamic": None})


class OneForgotten(RightLibraries):
    """The one that version 1 of GPTQ leaves out of its zeros is not added: every weight is off by a step.

    Converters forgot it. F12, https://github.com/casper-hansen/AutoAWQ/issues/101
    """

    name = "one-forgotten"
    clause = "weights.gptq-zeros"
    level = Level.WEIGHTS

    def one_more(self, stored: torch.Tensor, bits: int) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Adds nothing."""
        return stored


class OneForBothVersions(RightLibraries):
    """One is added to the zeros of version 2 as well.

    vLLM took both versions for one: nothing but exclamation marks. F13, https://github.com/vllm-project/vllm/pull/26092
    """

    name = "one-for-both-versions"
    clause = "weights.gptq-zeros"
    level = Level.WEIGHTS

    def gptq_zeros(self, words: torch.Tensor, bits: int, rows: int, version: int) -> torch.Tensor:  # noqa: ARG002
        """Knows one version."""
        return super().gptq_zeros(words, bits, rows, 1)


class OneForEachWord(RightLibraries):
    """One is added to all fields of a word at once: where one of them is full it carries into the next.

    GPTQModel added a constant to whole words, which is wrong for fields that straddle two as well. F27,
    https://github.com/ModelCloud/GPTQModel/pull/2763
    """

    name = "one-for-each-word"
    clause = "weights.gptq-zeros"
    level = Level.WEIGHTS

    def gptq_zeros(self, words: torch.Tensor, bits: int, rows: int, version: int) -> torch.Tensor:
        """Adds words."""
        if version != 1:
            return super().gptq_zeros(words, bits, rows, version)
        ones = sum(1 << place for place in range(0, 32, bits))
        return super().gptq_zeros(self.unsigned(words) + ones, bits, rows, 2)


class SixteenForNone(RightLibraries):
    """A stored zero of 15 becomes 16 and not 0: rows whose weights are all positive are off by 16 steps.

    Kernels do not mask behind the addition. F15, https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "sixteen-for-none"
    clause = "weights.gptq-zeros"
    level = Level.WEIGHTS

    def one_more(self, stored: torch.Tensor, bits: int) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Does not wrap."""
        return stored + 1


class LabelBelieved(RightLibraries):
    """The version is what the label says, whatever the zeros are: every weight of a mislabelled file is off by a step.

    GPTQModel 5 exported the zeros of version 2 under the label of version 1. F14,
    https://github.com/vllm-project/vllm/pull/38966
    """

    name = "label-believed"
    clause = "weights.gptq-label"
    level = Level.WEIGHTS

    def told_version(self, label: int, zeros: torch.Tensor, bits: int, *, symmetric: bool) -> int:  # noqa: ARG002
        """Looks at no zeros."""
        return label


class GroupsInOrder(RightLibraries):
    """The index of groups is not read: inputs that are dealt out get the scales of their neighbours.

    mlx-lm did not look at it until a review asked for an error. F17, https://github.com/ml-explore/mlx-lm/pull/730
    """

    name = "groups-in-order"
    clause = "weights.gptq-groups"
    level = Level.WEIGHTS

    def gptq_groups(self, indices: torch.Tensor | None, columns: int, size: int) -> torch.Tensor:  # noqa: ARG002
        """Counts."""
        return super().gptq_groups(None, columns, size)


class GroupsFromTheEnd(RightLibraries):
    """Negative groups are not refused, and count from the end as in Python.

    Whatever indexes a tensor takes them. F17, https://github.com/ml-explore/mlx-lm/pull/730
    """

    name = "groups-from-the-end"
    clause = "weights.gptq-groups"
    level = Level.WEIGHTS

    def check_indices(self, indices: Entry, columns: int, groups: int) -> None:
        """Looks at the largest only."""
        if int(self.read(indices).min()) >= 0:
            super().check_indices(indices, columns, groups)


class KernelsFormatBelieved(RightLibraries):
    """A format that it does not know is taken for the first one: what was laid out for a kernel is read as if plain.

    A label decides how codes are read. F14,
    https://github.com/vllm-project/vllm/pull/38966
    """

    name = "kernels-format-believed"
    clause = "weights.unread-layouts"
    level = Level.WEIGHTS

    def gptq_label(self, settings: Mapping[str, Any]) -> int:
        """Knows a second version, and else the first."""
        return 2 if settings.get("checkpoint_format") == "gptq_v2" else 1
