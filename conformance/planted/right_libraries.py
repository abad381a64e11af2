"""The right loader for other libraries: GPTQ, AWQ, bitsandbytes, torchao, quanto and HQQ.

The method that the configuration names tells the layout, and the tensors are held against it; quanto, which leaves no
word in the configuration, is told by its names. It imports no loader, and shares nothing with the encoders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.reasons import Reason
from conformance.planted.right import CLAIMS, Right
from conformance.planted.right_library_blocks import STATE
from conformance.planted.right_library_parts import Library
from conformance.planted.right_library_plans import Plans
from conformance.planted.right_parameters import Source
from conformance.planted.right_types import BITS, TORCH, Entry, refuse, with_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan
    from conformance.planted.right_quantized import Codes

_CODES = ("qweight", "_weight_qdata", "W_q", "weight._data", "weight._data._data")
_METHODS = ("gptq", "awq", "bitsandbytes", "torchao", "hqq")
#: Suffixes that show a weight to be quantized, whatever the configuration says.
_SHOWN = frozenset({*_CODES, "SCB", "weight.absmax", "weight.quant_map", "scales", "qzeros"})
_WORDS = {
    "gptq": "gptq", "gemm": "awq", "gemv": "awq", "rows": "bnb", "blocks": "bnb", "torchao": "torchao",
    "whole": "quanto", "packed": "quanto", "hqq": "hqq",
}  # fmt: skip
_METADATA = "__metadata__"


class RightLibraries(Plans, Right):
    """Reads what `right.Right` does, and the weights of other libraries beside it."""

    name = "right-libraries"
    claims = CLAIMS | {f"quant:{each}" for each in ("gptq", "awq", "bnb", "torchao", "quanto", "hqq")}

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Codes also count under the name of the weight that they stand for."""
        return with_codes(super().named(stored), stored, _CODES)

    def source(
        self, name: str, shape: tuple[int, ...], located: Mapping[str, Entry], config: Config, *, meta: bool
    ) -> Source:
        """A weight of another library, or what the right loader makes of any other parameter."""
        module = name.removesuffix(".weight")
        beside = [each for each in located if each.startswith(f"{module}.")] if module != name else []
        parts = {located[each].name.removeprefix(f"{module}."): located[each] for each in beside}
        shown = _SHOWN & parts.keys() or any(each.startswith(STATE) for each in parts)
        if not shown and not self.bare(parts, config):
            return super().source(name, shape, located, config, meta=meta)
        planned: Any = self.planned(module, parts, (shape[0], shape[1]), config)
        return Source(planned.parts[next(iter(planned.parts))], shape, planned)

    def bare(self, parts: Mapping[str, Entry], config: Config) -> bool:
        """Codes of bitsandbytes of which nothing is left but themselves."""
        method = (config.quantization or {}).get("quant_method")
        return method == "bitsandbytes" and "weight" in parts and parts["weight"].dtype in ("I8", "U8")

    def planned(self, module: str, parts: Mapping[str, Entry], shape: tuple[int, int], config: Config) -> Library:
        """The plan of a weight, by the method that the configuration names."""
        settings = config.quantization
        if settings is None:
            if not {"weight._data", "weight._data._data"} & parts.keys():
                refuse(Reason.UNKNOWN_SCHEME, f"{module} is quantized, and the configuration says nothing of it")
            return self.quanto(module, parts, shape)
        self.check_method(settings)
        method = settings["quant_method"]
        if method in ("gptq", "awq") and {"qweight", "scales", "qzeros"} & parts.keys():
            return getattr(self, method)(module, parts, shape, settings)  # type: ignore[no-any-return] # a plan
        if method == "bitsandbytes" and "weight" in parts:
            return self.bnb(module, parts, shape, settings)
        if method == "torchao" and "_weight_qdata" in parts:
            return self.torchao(module, parts, shape, self.told(module, parts["_weight_qdata"]))
        if method == "hqq" and "W_q" in parts:
            return self.hqq(module, parts, shape)
        return refuse(
            Reason.SCHEME_CONFLICT, f"{module} has {', '.join(sorted(parts))[:200]}, and the method is {method}"
        )

    def check_method(self, settings: Any) -> None:
        """One of those that are read, or that of the right loader."""
        if not isinstance(settings, dict) or settings.get("quant_method") not in _METHODS:
            super().check_method(settings)

    def arguments(self, module: str, config: Config) -> Mapping[str, Any] | None:
        """Nothing of a weight that is dense."""
        method = (config.quantization or {}).get("quant_method")
        return None if method in _METHODS else super().arguments(module, config)

    def told(self, module: str, codes: Entry) -> Mapping[str, Any]:
        """What the metadata of the file that holds the codes tell of a weight."""
        text = self.metadata_of(codes).get(f"{module}.weight")
        return self.without_metadata_of(module) if text is None else self.json_of(text, f"the metadata of {module}")

    def metadata_of(self, codes: Entry) -> Mapping[str, str]:
        """The metadata of one file."""
        header, _ = self.header_of(codes.path)
        found: Mapping[str, str] = self.parse(self.header_text(header, codes.path), codes.path).get(_METADATA) or {}
        return found

    def without_metadata_of(self, module: str) -> Mapping[str, Any]:
        """Nothing tells what a weight of torchao is."""
        refuse(Reason.SCHEME_CONFLICT, f"{module}: the metadata of its file say nothing of it")

    def parts(self, source: Source) -> list[Entry]:
        """All parts of a weight."""
        planned: Any = source.codes
        return list(planned.parts.values()) if isinstance(planned, Library) else super().parts(source)

    def decoded(self, entry: Entry, codes: Codes, config: Config, asked: torch.dtype | None) -> torch.Tensor:
        """A weight of another library, dense."""
        planned: Any = codes
        if not isinstance(planned, Library):
            return super().decoded(entry, codes, config, asked)
        stored = {suffix: self.read(part) for suffix, part in planned.parts.items()}
        for suffix, tensor in stored.items():
            if suffix != "weight" and tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
                refuse(Reason.SCALE_VALUE, f"{planned.parts[suffix].name} holds what is no finite number")
        values: torch.Tensor = getattr(self, f"of_{planned.kind}")(planned, stored)
        return self.rounded(values.reshape(planned.shape), asked or TORCH[planned.dtype or config.dtype])

    def of_gptq(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """GPTQ."""
        facts, (rows, columns) = planned.facts, planned.shape
        bits = facts["bits"]
        codes = self.gptq_codes(stored["qweight"], bits, columns)
        as_stored = self.fields(self.unsigned(stored["qzeros"]), bits, rows)
        version = self.told_version(facts["label"], as_stored, bits, symmetric=facts["symmetric"])
        if version != facts["label"]:
            self.say("conflicting", planned.parts["qzeros"].name)
        zeros = self.gptq_zeros(stored["qzeros"], bits, rows, version)
        groups = self.gptq_groups(stored.get("g_idx"), columns, facts["size"])
        return self.less_zero(codes, zeros[:, groups]) * stored["scales"].float().T[:, groups]

    def of_gemm(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """AWQ, transposed."""
        codes = self.awq_order(self.awq_fields(stored["qweight"])).T
        packed = stored.get("qzeros")
        zeros = None if packed is None else self.awq_zero_order(self.awq_fields(packed)).T
        return self.by_groups(codes, zeros, stored["scales"].float().T, planned)

    def of_gemv(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """AWQ, as the weight lies."""
        codes, packed = self.awq_fields(stored["qweight"]), stored.get("qzeros")
        zeros = None if packed is None else self.awq_fields(packed)
        return self.by_groups(codes, zeros, stored["scales"].float(), planned)

    def by_groups(
        self, codes: torch.Tensor, zeros: torch.Tensor | None, scale: torch.Tensor, planned: Library
    ) -> torch.Tensor:
        """Codes less their zeros, times their scales; groups of AWQ follow each other."""
        groups = torch.arange(planned.shape[1]) // planned.facts["size"]
        return self.less_zero(codes, self.awq_zero(zeros, scale)[:, groups]) * scale[:, groups]

    def of_rows(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:  # noqa: ARG002 - the parts say all
        """LLM.int8."""
        return self.of_row(stored["weight"], stored["SCB"])

    def of_blocks(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """nf4 and fp4."""
        facts, shape = planned.facts, planned.shape
        codes = self.high_first(self.as_octets(stored["weight"]))[: shape[0] * shape[1]].reshape(shape)
        scales = stored["weight.absmax"]
        if facts["nested"]:
            entries = stored["weight.nested_quant_map"][scales.to(torch.int64)]
            scales = self.nested(
                entries, stored["weight.nested_absmax"], facts["nested_blocksize"], facts["nested_offset"]
            )
        return self.entries(stored["weight.quant_map"], codes) * self.over_blocks(scales, facts["blocksize"], shape)

    def of_torchao(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """One of torchao."""
        groups = torch.arange(planned.shape[1]) // planned.facts["size"]
        codes = stored["_weight_qdata"].float()
        if (zeros := stored.get("_weight_zero_point")) is not None:
            codes = self.less_zero(codes, zeros.float()[:, groups])
        return codes * stored["_weight_scale"].float()[:, groups]

    def of_whole(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:  # noqa: ARG002 - the parts say all
        """Eight bits of quanto."""
        return self.scaled(stored["weight._data"], stored["weight._scale"])

    def of_packed(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Four and two bits of quanto."""
        codes = self.quanto_rows(stored["weight._data._data"], planned.facts["bits"], planned.facts["rows"])
        return self.shifted(codes, stored["weight._scale"], stored["weight._shift"])

    def of_hqq(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """HQQ."""
        codes = self.hqq_rows(stored["W_q"], planned.facts["bits"], planned.facts["rows"])
        dtype = TORCH[planned.dtype]
        return self.hqq_value(codes, stored["zero"].to(dtype), stored["scale"].to(dtype))

    def scheme(self, plan: Plan) -> str:
        """The words of these libraries as well."""
        planned: list[Any] = [source.codes for source in plan.sources.values()]
        words = {_WORDS[each.kind] for each in planned if isinstance(each, Library)}
        return " and ".join(sorted(words)) or super().scheme(plan)

    def dense_bytes(self, source: Source, plan: Plan) -> int:
        """Of a weight of these libraries by its own dtype."""
        planned: Any = source.codes
        if not isinstance(planned, Library):
            return super().dense_bytes(source, plan)
        return source.shape[0] * source.shape[1] * BITS[planned.dtype or plan.config.dtype] // 8
