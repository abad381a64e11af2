"""Which stored tensors make which parameter of the model, and what is wrong with them. No torch.

A `Resolution` knows nothing of how the tensors will be delivered: the analyzer reports it, the planner plans from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from inferno_loader import problems
from inferno_loader.architecture import EMBEDDING, HEAD, expected_tensors
from inferno_loader.dtypes import DTYPES
from inferno_loader.errors import InfernoError
from inferno_loader.findings import Finding
from inferno_loader.modules import Modules, is_scale, sort_modules
from inferno_loader.quantization import recognise
from inferno_loader.quantization.agreement import check_agreement
from inferno_loader.quantization.declared import is_zero, quantized_biases, stored_dense, undeclared
from inferno_loader.quantization.refused import layout_of, refused_layout
from inferno_loader.ranges import sample
from inferno_loader.ties import same_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferno_loader.checkpoint import Checkpoint, StoredTensor
    from inferno_loader.config import LlamaConfig
    from inferno_loader.quantization import Family, QuantizedWeight
    from inferno_loader.quantization.settings import QuantizationSettings

_MATRIX = 2
#: Nothing but the codes of a quantized weight has these dtypes; or these, where the configuration tells of any.
_CODES = ("I8", "F8_E4M3")
_DECLARED_CODES = (*_CODES, "U8", "I32", "F8_E5M2", "F4")


@dataclass(frozen=True, slots=True)
class ResolvedWeight:
    """One parameter of the model, and where it comes from.

    Attributes:
        name: Hugging Face's name.
        shape: As the configuration asks for.
        parts: The stored tensors that make it, by suffix: one for a dense weight, none for an alias.
        scheme: ``none``, or the word of its quantization scheme.
        quantized: The planned quantized weight, None for a dense one or one that this version does not load.
        alias_of: The parameter that serves for it, for a tied one.
    """

    name: str
    shape: tuple[int, ...]
    parts: Mapping[str, StoredTensor]
    scheme: str = "none"
    quantized: QuantizedWeight | None = None
    alias_of: str | None = None

    @property
    def module(self) -> str:
        """Hugging Face's name of the module."""
        return self.name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        """``weight`` or ``bias``."""
        return self.name.rpartition(".")[2]

    @property
    def elements(self) -> int:
        """Logical elements of its own: those stored for a dense weight, those of the shape for a packed one."""
        if self.alias_of:
            return 0
        return self.parts[self.suffix].info.elements if self.scheme == "none" else math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk of all its parts."""
        return sum(part.info.nbytes for part in self.parts.values())


@dataclass
class Resolution:
    """What a checkpoint makes of its configuration.

    Attributes:
        modules: The stored tensors by module.
        settings: What the configuration says of quantization.
        weights: Every parameter that is there, in the order of the model.
        missing: Hugging Face's names of those that are not.
        unexpected: Stored names that the model has no place for.
        ignored: Stored names that are left out, and do no harm.
        problems: Everything that stops a load.
        findings: Everything that is odd and allowed.
    """

    modules: Modules
    settings: QuantizationSettings | None
    weights: list[ResolvedWeight] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    problems: list[InfernoError] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def schemes(self) -> str:
        """``none``, or the words of the schemes in use, joined by ``+``."""
        return "+".join(sorted({weight.scheme for weight in self.weights} - {"none"})) or "none"

    @property
    def tied(self) -> bool:
        """Whether head and embedding are one."""
        return any(weight.alias_of for weight in self.weights)

    def stays_quantized(self, weight: ResolvedWeight, *, dequantize: bool) -> bool:
        """Whether `weight` is delivered as stored. The table of the embedding is always dense: rows are looked up."""
        alias = next((each.alias_of for each in self.weights if each.name == EMBEDDING), None)
        return weight.scheme != "none" and not dequantize and weight.name != (alias or EMBEDDING)


def resolve(
    checkpoint: Checkpoint,
    config: LlamaConfig,
    settings: QuantizationSettings | None,
    *,
    tie: str | None = None,
    allow_unexpected: Sequence[str] = (),
) -> Resolution:
    """Hold the tensors of `checkpoint` against the model of `config`.

    Args:
        checkpoint: Its headers.
        config: The model.
        settings: What the configuration says of quantization.
        tie: ``"embedding"`` lets the embedding serve as a missing head.
        allow_unexpected: Patterns of stored names that may be left out.

    Raises:
        TensorNameError: No name belongs to any dialect, or two map to one.
        FileError: A tied head is stored beside the embedding, and cannot be compared with it.
    """
    expected = expected_tensors(config)
    result = Resolution(sort_modules(checkpoint, expected), settings)
    resolver = _Resolver(checkpoint, config, result)
    alias = resolver.alias(waived=tie == "embedding")
    for name, shape in expected.items():
        if name == alias:
            original = EMBEDDING if alias == HEAD else HEAD
            result.weights.append(ResolvedWeight(name, shape, {}, alias_of=original))
        else:
            resolver.resolve(name, shape)
    resolver.leftovers(allow_unexpected)
    resolver.note_oddities()
    result.findings += stored_dense(result.weights, settings, config.path)
    if result.missing:
        result.problems.append(problems.missing(result.missing, checkpoint))
    return result


class _Resolver:
    """Fills a `Resolution`, and remembers which stored tensors have been used."""

    def __init__(self, checkpoint: Checkpoint, config: LlamaConfig, result: Resolution) -> None:
        self.checkpoint, self.config, self.result = checkpoint, config, result
        self.used: set[str] = set()
        self.oddities: dict[str, list[Finding]] = {}

    def _parts(self, name: str) -> Mapping[str, StoredTensor]:
        return self.result.modules.parts.get(name.rpartition(".")[0], {})

    def alias(self, *, waived: bool) -> str | None:
        """The one of head and embedding that the other serves for; None where each is its own.

        Args:
            waived: Whether the embedding may serve as a missing head where the configuration does not tie them.
        """
        head, embedding = self._parts(HEAD), self._parts(EMBEDDING)
        tied = self.config.tie_word_embeddings
        if embedding and not head:
            return HEAD if tied or waived else None
        if not (tied and head):
            return None
        if not embedding:
            return EMBEDDING
        if head.keys() == embedding.keys() == {"weight"} and same_bytes(head["weight"], embedding["weight"]):
            self._ignore(head["weight"], "tie.redundant", "a tied head, stored once more: one copy is loaded")
            return HEAD
        text = "the configuration ties the head, and a different head is stored: it is loaded, untied"
        self.result.findings.append(Finding.warning("tie.different_head", text, tensor=HEAD))
        return None

    def _ignore(self, stored: StoredTensor, code: str, text: str) -> None:
        self.used.add(stored.name)
        self.result.ignored.append(stored.name)
        self.result.findings.append(Finding.note(code, text, path=stored.shard.path, tensor=stored.name))

    def resolve(self, name: str, shape: tuple[int, ...]) -> None:
        """Resolve one parameter. What is wrong goes to the problems, so that all of it is told at once."""
        parts, suffix = self._parts(name), name.rpartition(".")[2]
        matrix = suffix == "weight" and len(shape) == _MATRIX
        unread = layout_of(parts) if matrix else None
        found = recognise(parts) if matrix else None
        try:
            if unread:
                self._unread(name, shape, parts, unread)
            elif found:
                self._quantized(name, shape, parts, *found)
            elif suffix in parts:
                self._dense(name, shape, parts[suffix])
            else:
                self.result.missing.append(name)
        except InfernoError as error:
            self.result.problems.append(error)

    def _unread(self, name: str, shape: tuple[int, ...], parts: Mapping[str, StoredTensor], word: str) -> None:
        """A layout that is known and not read: it is counted all the same, and its parts are no strangers."""
        mine = {suffix: part for suffix, part in parts.items() if suffix != "bias"}
        self.used.update(part.name for part in mine.values())
        self.result.weights.append(ResolvedWeight(name, shape, mine, word))
        raise refused_layout(word, mine)

    def _dense(self, name: str, shape: tuple[int, ...], stored: StoredTensor) -> None:
        self.used.add(stored.name)
        self.result.weights.append(ResolvedWeight(name, shape, {name.rpartition(".")[2]: stored}))
        if not stored.info.dtype.dense:
            declared = self.result.settings is not None
            codes = len(shape) == _MATRIX and stored.info.dtype.name in (_DECLARED_CODES if declared else _CODES)
            raise problems.without_scale(stored, declared=declared) if codes else problems.not_dense(stored)
        if stored.info.shape != shape:
            raise problems.shape_mismatch(stored, shape)

    def _quantized(
        self, name: str, shape: tuple[int, ...], parts: Mapping[str, StoredTensor], family: Family, scheme: str
    ) -> None:
        module = name.rpartition(".")[0]
        mine = {suffix: part for suffix, part in parts.items() if suffix in family.suffixes(parts)}
        self.used.update(part.name for part in mine.values())
        settings = self.result.settings
        fallback = self.config.dtype or DTYPES["BF16"]
        planned: QuantizedWeight | None = None
        try:
            args = settings.assumed_for(module) if settings else None
            made = family.plan(module, parts, shape, args, fallback)
            check_agreement(made, args)
            planned = made
            for finding in (*planned.findings, *undeclared(planned, settings)):
                self.oddities.setdefault(finding.message, []).append(finding)
        finally:
            self.result.weights.append(ResolvedWeight(name, shape, mine, scheme, planned))

    def note_oddities(self) -> None:
        """One finding for all weights of which the same is odd."""
        for first, *more in self.oddities.values():
            others = sample([finding.tensor or "" for finding in more], 3)
            message = f"{first.message}; and {len(more)} more: {others}" if more else first.message
            self.result.findings.append(replace(first, message=message))

    def leftovers(self, allow_unexpected: Sequence[str]) -> None:
        """What no parameter used: tolerated, waived by the caller, a scale without a weight, or unexpected."""
        modules = self.result.modules
        for stored in modules.tolerated:
            self._ignore(stored, "plan.tolerated", "no weight needs this tensor: it is left out")
        scales: list[StoredTensor] = []
        strangers: list[StoredTensor] = []
        biases = {part.name for part in quantized_biases(self.result.weights, modules)}
        for stored in self.checkpoint.tensors.values():
            if stored.name in self.used:
                continue
            if any(fnmatchcase(stored.name, pattern) for pattern in allow_unexpected):
                self._ignore(stored, "plan.waived", "unexpected, and left out as the caller allowed")
            elif is_scale(modules.suffixes.get(stored.name, "")):
                scales.append(stored)
            elif stored.name in biases and is_zero(stored):
                self._ignore(stored, "plan.tolerated", "a bias of zeros beside a quantized weight: it is left out")
            else:
                strangers.append(stored)
        if scales:
            self.result.problems.append(problems.unused_scales(scales))
        if strangers:
            self.result.problems.append(problems.unexpected(strangers, modules.dialect))
        self.result.unexpected = [stored.name for stored in (*scales, *strangers)]
