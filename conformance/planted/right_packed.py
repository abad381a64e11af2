"""The right loader for packed weights: compressed-tensors but for plain int8 and FP8, other FP8, and ModelOpt.

The tensors tell how a weight is stored, and the configuration is held against them: where the two disagree the
checkpoint is refused. It imports no loader, and shares nothing with the encoders of the suite.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.reasons import Reason
from conformance.planted.right import CLAIMS
from conformance.planted.right_packing import FORMATS, Planner
from conformance.planted.right_parameters import Source
from conformance.planted.right_types import BITS, FLOATS, TORCH, Entry, read_json, refuse, with_codes
from conformance.planted.right_unpacking import Packing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan
    from conformance.planted.right_quantized import Codes

_CODES = ("weight_packed", "compressed", "weight.compressed")
#: Scales of activations under the names that FP8 and NVFP4 have for them.
_ACTIVATIONS = re.compile(r".*\.(input_global_scale|activation_scale|input_scale_ub)")
_ROW_KEYS = ("modules_to_not_convert", "ignored_layers")
_QUANT_FILE = "hf_quant_config.json"
_W4A16 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}
#: Presets of compressed-tensors that the cases use (``quantization/quant_scheme.py``).
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "W4A16": {**_W4A16, "symmetric": True},
    "W4A16_ASYM": {**_W4A16, "symmetric": False},
    "FP8": {"num_bits": 8, "type": "float", "strategy": "tensor"},
}
_SMALL = ("F8_E4M3", "F8_E8M0")


class RightPacked(Planner):
    """Reads what `right.Right` does, and packed weights beside it."""

    name = "right-packed"
    claims = CLAIMS | {
        f"quant:{each}" for each in ("ct-pack", "ct-nvfp4", "ct-mxfp", "ct-sparse", "fp8-block", "fbgemm", "modelopt")
    }

    def config(self, directory: Path) -> Config:
        """The figures; ModelOpt keeps its settings in a file beside them."""
        config = super().config(directory)
        beside = directory / _QUANT_FILE
        if config.quantization is not None or not beside.exists():
            return config
        settings = read_json(beside, Reason.CONFIG_MISSING, Reason.CONFIG_INVALID).get("quantization")
        if not isinstance(settings, dict):
            refuse(Reason.CONFIG_VALUE, f"{beside}: quantization is {settings!r}"[:300])
        return replace(config, quantization={"quant_method": "modelopt", **settings})

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """A packed weight also counts under the name of the weight that it stands for."""
        return with_codes(super().named(stored), stored, _CODES)

    def check_method(self, settings: Any) -> None:
        """One of four methods."""
        methods = ("compressed-tensors", "fp8", "mxfp8", "fbgemm_fp8", "modelopt")
        if not isinstance(settings, dict) or settings.get("quant_method") not in methods:
            refuse(Reason.UNKNOWN_SCHEME, f"this method of quantization is not read: {settings!r}"[:300])
        self.check_transforms(settings)

    def check_transforms(self, settings: Mapping[str, Any]) -> None:
        """Transforms that act while the model runs: the weights alone are not the model."""
        groups = (settings.get("transform_config") or {}).get("config_groups") or {}
        places = [apply.get("location") for group in groups.values() for apply in group.get("apply") or ()]
        if online := [place for place in places if place not in ("weight_input", "weight_output")]:
            refuse(Reason.UNKNOWN_SCHEME, f"a transform acts at {online[0]!r}, beside the weights")

    def check_format(self, form: Any) -> None:
        """One of those of compressed-tensors."""
        if form not in FORMATS:
            refuse(Reason.UNKNOWN_SCHEME, f"the format {form!r} is not one of {', '.join(FORMATS)}")

    def arguments(self, module: str, config: Config) -> Mapping[str, Any] | None:
        """What the configuration says of a weight: by the most exact target, or by the method as a whole."""
        settings = config.quantization
        if settings is None:
            return None
        self.check_method(settings)
        method = settings["quant_method"]
        if method != "compressed-tensors":
            linear = self.matches(module, "Linear") and not self.stays_dense(module, settings)
            return self.by_method(method, settings) if linear else None
        if any(self.matches(module, pattern) for pattern in settings.get("ignore") or ()):
            return None
        group = self.group_for(module, settings)
        if group is None:
            return self.by_sparsity(module, settings)
        form = group.get("format") or settings.get("format")
        self.check_format(form)
        weights = group.get("weights")
        told = {"method": method, "version": settings.get("version"), "format": form}
        return {**told, **weights} if isinstance(weights, dict) else None

    def group_for(self, module: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The group of a module: a name counts before an expression, and that before a class."""
        meant = [
            (self.exactness(module, target), target, number, group)
            for number, group in enumerate(self.groups(settings))
            for target in group.get("targets") or ()
            if self.matches(module, target)
        ]
        return min(meant, key=lambda each: each[:3])[3] if meant else None

    def matches(self, module: str, pattern: str) -> bool:
        """An expression that is none means nothing that can be read."""
        try:
            return super().matches(module, pattern)
        except re.error as error:
            refuse(Reason.CONFIG_VALUE, f"{pattern[:80]!r} is no expression: {error}")

    def groups(self, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The groups; one that is a list of targets under the name of a preset has the arguments of that."""
        groups = (settings.get("config_groups") or {}).items()
        return [self.preset(name, group) if isinstance(group, list) else group for name, group in groups]

    def preset(self, name: str, targets: list[str]) -> Mapping[str, Any]:
        """A group by the name of its preset, in letters of either case."""
        if name.upper() not in _PRESETS:
            refuse(Reason.UNKNOWN_SCHEME, f"the preset {name!r} is not one of {', '.join(_PRESETS)}")
        return {"targets": targets, "weights": _PRESETS[name.upper()]}

    def exactness(self, module: str, target: str) -> int:
        """0 for a name, 1 for an expression, 2 for a class."""
        return 0 if target == module else 1 if target.startswith("re:") else 2

    def by_sparsity(self, module: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Without a group, a mask alone may be declared."""
        sparsity = settings.get("sparsity_config") or {}
        ignored = any(self.matches(module, each) for each in sparsity.get("ignore") or ())
        known = sparsity.get("format") in ("sparse-24-bitmask", "sparse-bitmask")
        linear = known and not ignored and self.matches(module, "Linear")
        return {"method": "compressed-tensors", "format": "dense"} if linear else None

    def stays_dense(self, module: str, settings: Mapping[str, Any]) -> bool:
        """Whether a list of dense modules has a module: whole components of its name, or a pattern of ModelOpt."""
        if settings["quant_method"] == "modelopt":
            patterns = settings.get("exclude_modules") or settings.get("ignore") or ()
            return any(fnmatchcase(module, pattern) for pattern in patterns)
        listed = [each for key in _ROW_KEYS for each in settings.get(key) or ()]
        return any(self.is_listed(module, each) for each in listed)

    def is_listed(self, module: str, listed: str) -> bool:
        """The names are equal, or one component and all behind it."""
        return f".{module}.".endswith(f".{listed}.") or f"{module}.".startswith(f"{listed}.")

    def by_method(self, method: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a block without groups says of all weights."""
        told: dict[str, Any] = {"method": method, "type": "float", "num_bits": 8}
        if method == "modelopt" and settings.get("quant_algo") == "NVFP4":
            told["num_bits"] = 4
        if (sides := settings.get("weight_block_size")) is not None:
            told |= {"strategy": "block", "block_structure": sides}
        return told

    def source(
        self, name: str, shape: tuple[int, ...], located: Mapping[str, Entry], config: Config, *, meta: bool
    ) -> Source:
        """A packed weight, or what the right loader makes of any other parameter."""
        module = name.removesuffix(".weight")
        prefix = f"{module}."
        beside = [name for name in located if name.startswith(prefix)] if module != name else []
        parts = {located[each].name.removeprefix(prefix): located[each] for each in beside}
        arguments = self.arguments(module, config) if module != name else None
        kind = self.kind_of(parts, arguments)
        if kind is None:
            if arguments is not None and located[name].dtype in FLOATS:
                refuse(Reason.SCHEME_CONFLICT, f"{module} is dense, and the configuration says that it is quantized")
            return super().source(name, shape, located, config, meta=meta)
        if arguments is None:
            refuse(Reason.SCHEME_CONFLICT, f"{module} is quantized, and the configuration leaves it dense")
        packing = self.packing(kind, module, parts, (shape[0], shape[1]), arguments)
        codes: Any = packing
        return Source(packing.codes, shape, codes)

    def parts(self, source: Source) -> list[Entry]:
        """All parts of a packed weight."""
        packing: Any = source.codes
        return list(packing.parts.values()) if isinstance(packing, Packing) else super().parts(source)

    def unused_scales(self, names: list[str]) -> None:
        """Those of activations belong to no weight."""
        for name in filter(_ACTIVATIONS.fullmatch, names):
            self.say("ignored", name)
        if rest := [name for name in names if not _ACTIVATIONS.fullmatch(name)]:
            super().unused_scales(rest)

    def decoded(self, entry: Entry, codes: Codes, config: Config, asked: torch.dtype | None) -> torch.Tensor:
        """A packed weight, dense: computed in float32, rounded once."""
        packing: Any = codes
        if not isinstance(packing, Packing):
            return super().decoded(entry, codes, config, asked)
        arrays = {suffix: self.array(part) for suffix, part in packing.parts.items()}
        self.check_finite(packing, arrays)
        values = self.values(packing, arrays)
        return torch.from_numpy(np.ascontiguousarray(values)).to(asked or TORCH[self.own_dtype(packing, config)])

    def array(self, entry: Entry) -> np.ndarray[Any, Any]:
        """A stored tensor in NumPy: bytes where its elements are codes of a byte, float32 where they are floats."""
        tensor = self.read(entry)
        if entry.dtype in _SMALL:
            tensor = tensor.view(torch.uint8)
        elif entry.dtype in ("BF16", "F16", "F32"):
            tensor = tensor.to(torch.float32)
        found: np.ndarray[Any, Any] = tensor.numpy()
        return found

    def own_dtype(self, packing: Packing, config: Config) -> str:
        """The dtype of a weight of which none is asked: of the scales, of the values of a mask, of the model."""
        telling = packing.scale or packing.codes
        return telling.dtype if telling.dtype in ("BF16", "F16") or not packing.scale else config.dtype

    def scheme(self, plan: Plan) -> str:
        """The words of the packed weights as well."""
        codes: list[Any] = [source.codes for source in plan.sources.values()]
        words = {each.word for each in codes if isinstance(each, Packing)}
        return " and ".join(sorted(words)) or super().scheme(plan)

    def dense_bytes(self, source: Source, plan: Plan) -> int:
        """Of a packed weight by its own dtype."""
        packing: Any = source.codes
        if not isinstance(packing, Packing):
            return super().dense_bytes(source, plan)
        return source.shape[0] * source.shape[1] * BITS[self.own_dtype(packing, plan.config)] // 8
