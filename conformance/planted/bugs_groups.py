"""Planted loaders: one bug each in what the configuration says of which module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right_packed import RightPacked

if TYPE_CHECKING:
    from collections.abc import Mapping


class FirstGroupForAll(RightPacked):
    """The first group of the configuration is taken for all modules.

    All tensors were read with four bits, and some have eight. F29, https://github.com/danveloper/flash-moe/pull/13
    """

    name = "first-group-for-all"
    clause = "weights.mixed-groups"
    level = Level.WEIGHTS

    def group_for(self, module: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Looks no further."""
        found = super().group_for(module, settings)
        return found and next(iter(settings["config_groups"].values()))


class FirstMatchCounts(RightPacked):
    """Of several groups that mean a module the first one counts, and not the one that means it most exactly.

    F29, https://github.com/vllm-project/compressed-tensors
    """

    name = "first-match-counts"
    clause = "weights.mixed-groups"
    level = Level.WEIGHTS

    def group_for(self, module: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Takes the first."""
        for group in settings["config_groups"].values():
            if any(self.matches(module, target) for target in group["targets"]):
                found: Mapping[str, Any] = group
                return found
        return None


class ExpressionsForWholeNames(RightPacked):
    """An expression must reach the end of a name: that of layer 1 leaves layers 10 and 11 quantized.

    Lists of modules were held against other names than their writer's. F40,
    https://github.com/vllm-project/vllm/pull/51495
    """

    name = "expressions-for-whole-names"
    clause = "weights.dense-expressions"
    level = Level.WEIGHTS

    def matches(self, module: str, pattern: str) -> bool:
        """Anchors the end."""
        return super().matches(module, f"{pattern}$" if pattern.startswith("re:") else pattern)


class ExpressionsAnywhere(RightPacked):
    """An expression may begin anywhere in a name, where it begins where the name does.

    F41, https://github.com/ModelCloud/GPTQModel/pull/2889
    """

    name = "expressions-anywhere"
    clause = "weights.dense-expressions"
    level = Level.WEIGHTS

    def matches(self, module: str, pattern: str) -> bool:
        """Searches."""
        return super().matches(module, f"re:.*{pattern[3:]}" if pattern.startswith("re:") else pattern)


class PresetsUnknown(RightPacked):
    """A group that is a list of targets under the name of a preset is passed over.

    What older writers left out, or wrote otherwise, made readers fail. F43,
    https://github.com/vllm-project/compressed-tensors/pull/644
    """

    name = "presets-unknown"
    clause = "weights.declared-defaults"
    level = Level.WEIGHTS

    def groups(self, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Knows groups that are spelled out."""
        groups = (settings.get("config_groups") or {}).values()
        return [group for group in groups if not isinstance(group, list)]


class TransformsIgnored(RightPacked):
    """Transforms of the configuration are not read: the weights of a rotated model are handed out as they are.

    What a configuration says beside the scales was passed over before. F43,
    https://github.com/vllm-project/compressed-tensors/pull/644
    """

    name = "transforms-ignored"
    clause = "weights.transforms"
    level = Level.WEIGHTS

    def check_transforms(self, settings: Mapping[str, Any]) -> None:
        """Looks at nothing."""
