"""Which modules the block of a method but compressed-tensors leaves dense, or speaks of apart. No torch.

Sources: as `skips` names them, one for each rule; https://github.com/intel/auto-round (``extra_config``);
https://github.com/mobiusml/hqq (``hqq/models/base.py``, one dictionary for each tag of a Linear).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from inferno_loader.quantization.settings_methods import args_of, hqq_args, overridden, quanto_args
from inferno_loader.quantization.skips import EXPRESSIONS, Kind, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferno_loader.quantization.block import BlockReader
    from inferno_loader.quantization.family import WeightArgs

_HEAD = Rule("name", "lm_head")
#: Bits from which on auto-round leaves a weight as it is.
_WHOLE_BITS = 16
#: The keys of the skip lists of each method, and how their lines are held against a name.
_LISTS: Mapping[str, tuple[tuple[str, Kind], ...]] = {
    "awq": (("modules_to_not_convert", "substring"),),
    "bitsandbytes": (("llm_int8_skip_modules", "boundary"),),
    "fbgemm_fp8": (("modules_to_not_convert", "boundary"),),
    "fp8": (("modules_to_not_convert", "boundary"), ("ignored_layers", "name")),
    "hqq": (("skip_modules", "boundary"),),
    "modelopt": (("exclude_modules", "glob"), ("ignore", "glob")),
    "mxfp4": (("modules_to_not_convert", "boundary"),),
    "mxfp8": (("modules_to_not_convert", "boundary"), ("ignored_layers", "name")),
    "quanto": (("modules_to_not_convert", "boundary"), ("exclude", "glob")),
    "torchao": (("modules_to_not_convert", "boundary"),),
}


class Said(NamedTuple):
    """What a block says.

    Attributes:
        rules: Of some modules, the first that hits counts.
        default: Of all others; None leaves them dense.
        common: Of a weight that turns out to be quantized though the block leaves it dense.
    """

    rules: tuple[Rule, ...]
    default: WeightArgs | None
    common: WeightArgs


def said_of(reader: BlockReader, method: str, block: Mapping[str, Any]) -> Said:
    """Read what a block says of each module.

    Raises:
        ConfigValueError: A value has the wrong type or range, or an expression may take for ever.
        UnknownSchemeError: It asks for something that is not read.
    """
    common = args_of(reader, method, block)
    listed = tuple(_listed(reader, method, block))
    apart = _auto_round if "extra_config" in block else _APART.get(method)
    rules, default = apart(reader, block, common) if apart else ((), common)
    found = (*listed, *rules, *_head(method, block, listed))
    for kind in EXPRESSIONS:
        reader.expressions(tuple(f"re:{rule.pattern}" for rule in found if rule.kind == kind), "the skip list")
    return Said(found, default, common)


def _listed(reader: BlockReader, method: str, block: Mapping[str, Any]) -> Iterator[Rule]:
    for key, kind in _LISTS.get(method, ()):
        for line in reader.words(block.get(key), key):
            yield Rule(kind, line.removesuffix(".weight") if kind == "name" else line)


def _head(method: str, block: Mapping[str, Any], listed: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """GPTQ leaves the head dense unless it says so, AWQ always, and the others where they have no list."""
    if method == "gptq":
        return () if block.get("lm_head") is True else (_HEAD,)
    return (_HEAD,) if method == "awq" or not listed else ()


Apart = tuple[tuple[Rule, ...], "WeightArgs | None"]


def _gptq(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """``dynamic`` maps expressions: ``-:`` leaves dense, ``+:`` or none changes. A list may name all that there is."""
    rules: list[Rule] = []
    for key, changes in reader.mapping(block.get("dynamic") or {}, "dynamic").items():
        args = None if key.startswith("-:") else overridden(reader, common, reader.mapping(changes or {}, "dynamic"))
        rules.append(Rule("start", key.removeprefix("-:").removeprefix("+:"), args))
    named = list(_flat(reader, block.get("modules_in_block_to_quantize"), "modules_in_block_to_quantize"))
    if not named:
        return tuple(rules), common
    rules += [_HEAD] if block.get("lm_head") is not True else [Rule("name", "lm_head", common)]
    return (*rules, *(Rule("tail", name, common) for name in named)), None


def _flat(reader: BlockReader, value: Any, key: str) -> Iterator[str]:
    """The names in a list, or in a list of lists."""
    for each in reader.sequence([] if value is None else value, key):
        yield from reader.words(each if isinstance(each, list) else [each], key)


def _auto_round(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """``extra_config`` changes single modules; of 16 bits they are dense."""
    rules = []
    for name, changes in reader.mapping(block.get("extra_config") or {}, "extra_config").items():
        args = overridden(reader, common, reader.mapping(changes, "extra_config"))
        rules.append(Rule("name", name, None if (args.bits or 0) >= _WHOLE_BITS else args))
    return tuple(rules), common


def _modelopt(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """``quantized_layers`` of mixed precision names each module with an algorithm of its own, and leaves the others."""
    layers = reader.mapping(block.get("quantized_layers") or {}, "quantized_layers")
    if not layers:
        return (), common
    said = [(name, reader.mapping(fields, "quantized_layers")) for name, fields in layers.items()]
    return tuple(Rule("name", name, args_of(reader, "modelopt", fields)) for name, fields in said), None


def _torchao(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """FqnToConfig: a whole name, then ``re:`` for the whole name, then ``_default``; null leaves dense."""
    kind = block.get("quant_type")
    default = kind.get("default") if isinstance(kind, dict) else None
    data = default.get("_data") if isinstance(default, dict) else None
    keys = ("fqn_to_config", "module_fqn_to_config")
    found = next((data[key] for key in keys if key in data), None) if isinstance(data, dict) else None
    if found is None:
        return (), common
    entries = reader.mapping(found, "quant_type")
    names = {name: None if value is None else common for name, value in entries.items()}
    exact = [Rule("name", name.removesuffix(".weight"), args) for name, args in names.items() if _is_name(name)]
    by_expression = [Rule("whole", name[3:], args) for name, args in names.items() if name.startswith("re:")]
    return (*exact, *by_expression), names.get("_default")


def _is_name(name: str) -> bool:
    return name != "_default" and not name.startswith("re:")


def _quanto(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """``quanto_qmap.json`` names each quantized module; all others are dense."""
    if not is_map(block):
        return (), common
    rules = []
    for module, fields in block.items():
        word = reader.word(fields["weights"], f"{module}.weights")
        rules.append(Rule("name", module, None if word in (None, "none") else quanto_args(reader, str(word))))
    return tuple(rules), None


def is_map(block: Mapping[str, Any]) -> bool:
    """Whether a block is a ``quanto_qmap.json``: what is done to weights and activations, by module."""
    keys = {"weights", "activations"}
    return bool(block) and all(isinstance(each, dict) and keys <= each.keys() for each in block.values())


def _hqq(reader: BlockReader, block: Mapping[str, Any], common: WeightArgs) -> Apart:
    """One dictionary for all, or one for each tag of a Linear (``self_attn.q_proj``); the others are dense then."""
    tags = reader.mapping(block.get("quant_config") or {}, "quant_config")
    if "weight_quant_params" in tags or not all(isinstance(each, dict) for each in tags.values()) or not tags:
        return (), common
    return tuple(Rule("tail", tag, hqq_args(reader, fields)) for tag, fields in tags.items()), None


_APART: Mapping[str, Callable[[BlockReader, Mapping[str, Any], WeightArgs], Apart]] = {
    "gptq": _gptq,
    "modelopt": _modelopt,
    "torchao": _torchao,
    "quanto": _quanto,
    "hqq": _hqq,
}
