"""The registry of the planted loaders: which there are, what each breaks, and which are right."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.engine import claims
from conformance.planted import (
    bugs_analysis,
    bugs_awq,
    bugs_beside,
    bugs_bnb,
    bugs_configuration,
    bugs_container,
    bugs_container_data,
    bugs_conversion,
    bugs_directory,
    bugs_forward,
    bugs_gguf,
    bugs_gguf_files,
    bugs_gguf_model,
    bugs_gptq,
    bugs_groups,
    bugs_header,
    bugs_hqq,
    bugs_index,
    bugs_layout,
    bugs_metamorphic,
    bugs_model,
    bugs_names,
    bugs_narrow,
    bugs_packed,
    bugs_packing,
    bugs_parallel,
    bugs_quantized,
    bugs_quanto,
    bugs_resources,
    bugs_rotary,
    bugs_small_floats,
    bugs_spellings,
    bugs_ties,
    bugs_told,
    bugs_torchao,
    bugs_weights,
)
from conformance.planted.right import Right
from conformance.planted.right_computing import RightComputing
from conformance.planted.right_gguf import RightGguf
from conformance.planted.right_libraries import RightLibraries
from conformance.planted.right_packed import RightPacked
from conformance.planted.right_ways import (
    RightBare,
    RightCopying,
    RightLenient,
    RightMapping,
    RightRefusing,
    RightReporting,
)
from conformance.planted.right_willing import RightWilling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from conformance.planted.right_analysis import Analysis

_MODULES = (
    bugs_header,
    bugs_layout,
    bugs_container,
    bugs_container_data,
    bugs_index,
    bugs_directory,
    bugs_beside,
    bugs_metamorphic,
    bugs_names,
    bugs_spellings,
    bugs_weights,
    bugs_conversion,
    bugs_ties,
    bugs_configuration,
    bugs_quantized,
    bugs_packed,
    bugs_packing,
    bugs_small_floats,
    bugs_groups,
    bugs_gptq,
    bugs_awq,
    bugs_bnb,
    bugs_torchao,
    bugs_quanto,
    bugs_hqq,
    bugs_narrow,
    bugs_parallel,
    bugs_model,
    bugs_forward,
    bugs_rotary,
    bugs_analysis,
    bugs_resources,
    bugs_told,
    bugs_gguf,
    bugs_gguf_files,
    bugs_gguf_model,
)


def _planted(module: ModuleType) -> Iterator[type[Right]]:
    """The loaders that a module defines, in its order."""
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Right) and each.__module__ == module.__name__:
            yield each


def _method(planted: type[Right]) -> str:
    """The method of the contract that a loader breaks: that of its level, or the one beside the levels."""
    beside = {"report", "reason"} & vars(planted).keys()
    return beside.pop() if beside else claims.METHODS[planted.level]


#: The loaders with one bug each.
ALL: tuple[type[Right], ...] = tuple(each for module in _MODULES for each in _planted(module))
#: The method of the contract that each of `ALL` breaks, by the name of its class.
METHODS: Mapping[str, str] = MappingProxyType({each.__name__: _method(each) for each in ALL})
#: The clause that each of `ALL` breaks.
CLAUSES: Mapping[str, str] = MappingProxyType({each.__name__: each.clause for each in ALL})
#: The loaders that are right.
RIGHT: tuple[type[Analysis], ...] = (
    Right,
    RightCopying,
    RightMapping,
    RightLenient,
    RightReporting,
    RightRefusing,
    RightBare,
    RightWilling,
    RightComputing,
    RightPacked,
    RightLibraries,
    RightGguf,
)
