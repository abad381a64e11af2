"""What the configuration says of quantization: the method, and the arguments of each module. No torch.

The block of compressed-tensors is read by `settings_ct`, those of other methods by `settings_methods` and
`settings_rules`; what is known and not read is named by `refused`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inferno_loader.quantization.block import BlockReader
from inferno_loader.quantization.family import WeightArgs
from inferno_loader.quantization.settings_ct import METHOD, Groups, read_groups
from inferno_loader.quantization.settings_form import KNOWN_METHODS, method_and_block
from inferno_loader.quantization.settings_rules import Said, said_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferno_loader.config import LlamaConfig

__all__ = ["KNOWN_METHODS", "QuantizationSettings", "WeightArgs", "read_settings", "settings_of"]


@dataclass(frozen=True, slots=True)
class QuantizationSettings:
    """The quantization block of a configuration.

    Attributes:
        method: ``quant_method`` in lower case.
        groups: What compressed-tensors says.
        said: What any other method says.
    """

    method: str
    groups: Groups = field(default_factory=Groups)
    said: Said | None = None

    @property
    def bits(self) -> int | None:
        """Bits of a code where one number speaks for all modules."""
        return self.said.common.bits if self.said else None

    @property
    def sparse(self) -> bool:
        """Whether dense weights may be stored as what is kept of them, and a mask."""
        return self.groups.sparse

    def args_for(self, module: str) -> WeightArgs | None:
        """What the configuration says of the Linear `module`; None where it leaves it dense."""
        if self.said is None:
            return self.groups.args_for(module)
        rule = next((rule for rule in self.said.rules if rule.hits(module)), None)
        return self.said.default if rule is None else rule.args

    def assumed_for(self, module: str) -> WeightArgs | None:
        """What it would say of a `module` that is quantized all the same: a layout and a version go for all of a file.

        None where that is not known: the groups of compressed-tensors differ.
        """
        return self.args_for(module) or (self.said.common if self.said else None)


def settings_of(config: LlamaConfig) -> QuantizationSettings | None:
    """What `config` says of quantization, None where it says nothing. See `read_settings`."""
    path, source = config.path, config.quantization_source or ""
    return read_settings(config.quantization, path.with_name(source) if path and source.endswith(".json") else path)


def read_settings(block: Mapping[str, Any] | None, path: Path | None = None) -> QuantizationSettings | None:
    """Read the quantization block of a configuration, None where there is none.

    Args:
        block: As written.
        path: The file that holds it, for messages.

    Raises:
        UnknownSchemeError: The method is not known, or not read, or asks for arithmetic that is not in the weights.
        ConfigValueError: A value has the wrong type.
    """
    if block is None:
        return None
    reader = BlockReader(path)
    method, flat = method_and_block(reader, block)
    if method == METHOD:
        return QuantizationSettings(method, groups=read_groups(reader, flat))
    return QuantizationSettings(method, said=said_of(reader, method, flat))
