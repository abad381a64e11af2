"""`LlamaConfig`: all that a checkpoint says about its model, checked, with every default filled in. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inferno_loader.config.documents import read_optional, reject_unsound
from inferno_loader.config.dtype import read_dtype
from inferno_loader.config.family import language_model
from inferno_loader.config.meta import translate
from inferno_loader.config.quantization import block_beside, block_inside
from inferno_loader.config.reader import Bounds, Reader, shown
from inferno_loader.config.rope import POSITIONS, RopeConfig, read_rope
from inferno_loader.config.sizes import read_sizes
from inferno_loader.config.tokens import TokenIds, prefer, read_tokens
from inferno_loader.errors import ConfigError, MissingConfigError, MissingFileError

if TYPE_CHECKING:
    from inferno_loader.config.family import Family, LanguageModel
    from inferno_loader.dtypes import Dtype
    from inferno_loader.findings import Finding

_EPSILON = Bounds(0.0, 1.0, above=True)
_ACTIVATIONS = ("silu", "swish")


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The configuration of a model with the tensor layout of Llama. Made by `from_directory` or `from_dict`.

    Attributes:
        model_type: ``llama`` or ``mistral``.
        architectures: Class names, as written.
        vocab_size: Rows of the embedding and of the head.
        hidden_size: Width of the residual stream.
        intermediate_size: Width inside the feed-forward block.
        num_hidden_layers: Decoder layers.
        num_attention_heads: Query heads.
        num_key_value_heads: Key and value heads; divides the query heads.
        head_dim: Dimensions of one head, even. Times the heads it need not be `hidden_size`.
        max_position_embeddings: Positions that the model was made for.
        rms_norm_eps: Added to the mean square in every norm.
        hidden_act: ``silu`` (``swish`` is the same function).
        tie_word_embeddings: Whether the head is the embedding.
        attention_bias: Whether q, k, v and o have biases.
        mlp_bias: Whether gate, up and down have biases.
        rope: Rotary position embeddings.
        dtype: The dtype that the file claims for the weights. The tensors may differ.
        bos_token_id: Begins a text.
        eos_token_ids: Each of these ends a text.
        pad_token_id: Fills up a batch. -1 in the file means none.
        sliding_window: mistral: how many positions each one attends to; None for all.
        quantization: The quantization block as written.
        quantization_source: The key or the file that holds the block.
        extra: Every other key, as written.
        name_hint: Where the model came from, as its writer noted it; empty if it did not.
        path: The file that was read.
        findings: What a reader should know: defaults taken, keys spelled twice, keys ignored.
    """

    model_type: str
    architectures: tuple[str, ...]
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    hidden_act: str
    tie_word_embeddings: bool
    attention_bias: bool
    mlp_bias: bool
    rope: RopeConfig
    dtype: Dtype | None = None
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None
    sliding_window: int | None = None
    quantization: Mapping[str, object] | None = field(default=None, hash=False)
    quantization_source: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)
    name_hint: str = ""
    path: Path | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def query_width(self) -> int:
        """Rows of q, columns of o: query heads times head dimension."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_value_width(self) -> int:
        """Rows of k and of v: key and value heads times head dimension."""
        return self.num_key_value_heads * self.head_dim

    @classmethod
    def from_dict(cls, data: Mapping[str, object], *, path: Path | None = None) -> LlamaConfig:
        """The configuration that `data`, the object of a ``config.json``, describes.

        Args:
            data: Keys as transformers writes them, of any version; a ``text_config`` is looked into.
            path: The file it came from, for messages.

        Raises:
            ConfigError: It is no object, or nested too deeply.
            ConfigValueError: A key is missing, or its value has the wrong type or range.
            UnsupportedFamilyError: The family has not the tensor layout of Llama.
            UnknownRopeTypeError: The rope type is not known.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(
                "the configuration is no object",
                path=path,
                expected="an object",
                actual=shown(data),
                remedy="hand over the object that config.json holds",
            )
        reject_unsound(data, path)
        return build_config(language_model(data, path), path)

    @classmethod
    def from_directory(cls, directory: Path | str) -> LlamaConfig:
        """The configuration of the checkpoint in `directory`.

        Reads ``config.json``, or Meta's ``params.json`` where that is missing; ``generation_config.json``, whose token
        ids win; and where neither holds a quantization block, the files that some quantizers write instead.

        Raises:
            MissingFileError: There is no such directory, or one of the files is a link that leads nowhere.
            MissingConfigError: It holds neither ``config.json`` nor ``params.json``.
            UnreadableFileError: A file cannot be read, is no regular file, or is too large.
            ConfigError: As for `from_dict`, and where a file is no JSON object.
        """
        place = Path(directory)
        config = _with_generation(_main_file(place), place)
        if config.quantization is not None:
            return config
        block, source = block_beside(place)
        return replace(config, quantization=block, quantization_source=source)


def _main_file(directory: Path) -> LlamaConfig:
    path = directory / "config.json"
    data = read_optional(path)
    if data is not None:
        return LlamaConfig.from_dict(data, path=path)
    path = directory / "params.json"
    params = read_optional(path)
    if params is not None:
        return build_config(translate(params, path), path)
    raise _missing(directory)


def _missing(directory: Path) -> MissingFileError | MissingConfigError:
    if not directory.exists():
        return MissingFileError("the directory does not exist", path=directory, remedy="check the path")
    return MissingConfigError(
        "the directory has no configuration",
        path=directory,
        expected="config.json, or Meta's params.json",
        actual="neither",
        remedy="download config.json of this model into the directory",
    )


def _with_generation(config: LlamaConfig, directory: Path) -> LlamaConfig:
    path = directory / "generation_config.json"
    data = read_optional(path)
    if data is None:
        return config
    reader = Reader(data, path=path)
    mine = TokenIds(config.bos_token_id, config.eos_token_ids, config.pad_token_id)
    tokens = prefer(read_tokens(reader), mine, reader)
    return replace(
        config,
        bos_token_id=tokens.bos,
        eos_token_ids=tokens.eos,
        pad_token_id=tokens.pad,
        findings=(*config.findings, *reader.findings),
    )


def build_config(model: LanguageModel, path: Path | None) -> LlamaConfig:
    """The configuration of a language model whose keys are those of ``config.json``, wherever they come from.

    Raises:
        ConfigError: As `LlamaConfig.from_dict`.
    """
    reader = Reader(model.values, path=path, prefix=model.prefix, names=model.names, findings=list(model.findings))
    sizes = read_sizes(reader, model.family, nested=bool(model.prefix))
    positions = _positions(reader, model.family)
    tokens = read_tokens(reader)
    quantization, source = block_inside(reader)
    config = LlamaConfig(
        model_type=model.family.model_type,
        architectures=reader.texts("architectures"),
        **{item.name: getattr(sizes, item.name) for item in fields(sizes)},
        max_position_embeddings=positions,
        rms_norm_eps=reader.number("rms_norm_eps", _EPSILON, default=1e-6),
        hidden_act=_activation(reader),
        tie_word_embeddings=_tied(reader),
        attention_bias=reader.flag("attention_bias", default=False),
        mlp_bias=reader.flag("mlp_bias", default=False),
        rope=read_rope(reader, sizes.head_dim, positions),
        dtype=read_dtype(reader),
        bos_token_id=tokens.bos,
        eos_token_ids=tokens.eos,
        pad_token_id=tokens.pad,
        sliding_window=_window(reader, model.family),
        quantization=quantization,
        quantization_source=source,
        name_hint=_name_hint(reader),
        path=path,
    )
    _note_oddities(reader, config)
    reader.get("model_type")  # read already, as the family
    return replace(config, extra=reader.unread(), findings=tuple(reader.findings))


def _positions(reader: Reader, family: Family) -> int:
    positions = reader.optional_integer("max_position_embeddings", POSITIONS)
    older = reader.optional_integer("max_sequence_length", POSITIONS)
    if positions is not None:
        return positions
    if older is not None:
        reader.note_default("max_position_embeddings", f"max_sequence_length, {older},")
        return older
    return reader.integer("max_position_embeddings", POSITIONS, default=family.defaults["max_position_embeddings"])


def _activation(reader: Reader) -> str:
    name = reader.text("hidden_act")
    if name is None:
        reader.note_default("hidden_act", "silu")
        return "silu"
    if name not in _ACTIVATIONS:
        raise reader.error("hidden_act", "is not the activation of Llama", expected=" or ".join(_ACTIVATIONS))
    return name


def _tied(reader: Reader) -> bool:
    # `PretrainedConfig` of transformers 4 has True as its default, but the classes of both families pass False, so for
    # them a missing key has always meant two matrices.
    if reader.get("tie_word_embeddings") is None:
        reader.note_default("tie_word_embeddings", "false")
    return reader.flag("tie_word_embeddings", default=False)


def _window(reader: Reader, family: Family) -> int | None:
    absent = reader.absent("sliding_window")
    window = reader.optional_integer("sliding_window", POSITIONS)
    if family.window is None and window is not None:
        reader.warn("config.ignored", f"{reader.name('sliding_window')} has no meaning for {family.model_type}")
        return None
    if family.window is not None and absent:
        reader.note_default("sliding_window", family.window)
        return family.window
    return window


def _name_hint(reader: Reader) -> str:
    hint = reader.get("_name_or_path")
    if hint is None or isinstance(hint, str):
        return hint or ""
    reader.warn("config.ignored", f"{reader.name('_name_or_path')} is no string and is ignored")
    return ""


def _note_oddities(reader: Reader, config: LlamaConfig) -> None:
    ids = (config.bos_token_id, *config.eos_token_ids, config.pad_token_id)
    beyond = [token for token in ids if token is not None and token >= config.vocab_size]
    if beyond:
        reader.warn("config.token_ids", f"the token ids {beyond[:5]} lie beyond the vocabulary of {config.vocab_size}")
    if reader.get("rope_interleaved") is True:
        reader.warn(
            "config.rope_interleaved", "rope_interleaved is true: transformers ignores it, and so does this loader"
        )
