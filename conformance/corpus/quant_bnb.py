"""Cases of the weights: bitsandbytes, int8 by rows, nf4 and fp4 in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    BITSANDBYTES,
    CONFLICT,
    LACKING,
    OTHER_FILE,
    QUERY,
    exact,
    of_scheme,
    quantized,
    told,
)
from conformance.engine.case import Call, Source, may
from conformance.tools.recipe import Layout
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

ROWS = Source(
    "A weight is its code times the largest magnitude of its row, and times 1 / 127.",
    f"{BITSANDBYTES}/blob/main/bitsandbytes/functional.py",
)
BLOCKS = Source(
    "Two codes a byte, the first in the high bits, in blocks that run over the flattened weight.",
    f"{BITSANDBYTES}/blob/main/bitsandbytes/functional.py",
)
STATE = Source(
    "The shape of a weight is in its state and nowhere else; without nested scales it was not saved at first.",
    f"{BITSANDBYTES}/pull/868",
    ("F49",),
)
_STORAGE = Source(
    "The bytes of the codes were stored as BF16, and a reader took them for numbers.",
    "https://github.com/vllm-project/vllm/pull/10590",
)
_BIAS = Source(
    "Where the bias came before the weight, a weight that had no data yet was quantized.",
    "https://github.com/huggingface/accelerate/pull/2805",
    ("F51",),
)
_TABLE = Source(
    "The library reads codes by the table of its type, whatever is stored beside them.",
    f"{BITSANDBYTES}/blob/main/bitsandbytes/functional.py",
)
_NAMELESS = Source(
    "Where a block loads in four or eight bits, transformers takes bitsandbytes for its method.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/quantizers/auto.py",
)
#: Sizes whose weights have a multiple of eight elements each, so that their bytes are whole numbers of 32 bits.
WHOLE = {"intermediate_size": 76}
#: Sizes with more blocks in a weight than share a nested scale, the last of them short of a whole nested block.
MANY = {"hidden_size": 120, "intermediate_size": 150, "num_attention_heads": 12}
NF4, NESTED = Four(), Four(nested=True)
INT8 = Int8()


def bnb(scheme: Int8 | Four, *steps: Step, figures: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint of bitsandbytes, in the sizes of the default recipe."""
    return quantized(scheme, *steps, figures=figures, **recipe)


_INT8: tuple[Case, ...] = (
    exact(
        "bnb-int8", "bnb-rows", "LLM.int8: codes and the largest magnitude of each row.", bnb(INT8), ROWS, "bnb-no-scb"
    ),
    exact(
        "bnb-int8-f32",
        "bnb-rows",
        "LLM.int8 of an F32 model: two products, each rounded to F32.",
        bnb(INT8, dtype="F32"),
        ROWS,
        "bnb-no-scb",
    ),
    exact(
        "bnb-int8-f16",
        "bnb-rows",
        "LLM.int8 of an F16 model, of which F32 is asked as well.",
        bnb(INT8, dtype="F16"),
        ROWS,
        "bnb-no-scb",
        "cast",
        calls=(Call(), Call(dtype="F32"), Call(dtype="BF16")),
    ),
    exact(
        "bnb-int8-no-format",
        "bnb-rows",
        "LLM.int8 without a weight_format, as early releases wrote it.",
        bnb(Int8(tiles=False)),
        ROWS,
        "bnb-no-scb",
    ),
    exact(
        "bnb-int8-of-one-sign",
        "bnb-rows",
        "LLM.int8 whose rows are all positive or all negative, to the code -127.",
        bnb(Int8(lean=True)),
        ROWS,
        "bnb-no-scb",
    ),
    exact(
        "bnb-int8-in-many-files",
        "bnb-rows",
        "LLM.int8 in seven files, its tensors dealt out to them.",
        bnb(INT8, layout=Layout("shuffled", 7)),
        OTHER_FILE,
        "bnb-no-scb",
        "sharded",
    ),
)


def _four(slug: str, title: str, scheme: Four, *requires: str, source: Source = BLOCKS, **more: Any) -> Case:
    steps = more.pop("steps", ())
    recipe = {key: more.pop(key) for key in ("figures", "dtype", "layout") if key in more}
    return exact(slug, "bnb-blocks", title, bnb(scheme, *steps, **recipe), source, "bnb-no-absmax", *requires, **more)


_FOUR: tuple[Case, ...] = (
    _four(
        "bnb-nf4",
        "nf4 in blocks of 64 over rows of 54: each block crosses a row, and the last one is short.",
        NF4,
        source=STATE,
    ),
    _four("bnb-fp4", "fp4, a float of four bits that is not E2M1.", Four("fp4")),
    _four("bnb-nf4-nested", "nf4 with nested scales.", NESTED),
    _four("bnb-fp4-nested", "fp4 with nested scales, in blocks of 128.", Four("fp4", 128, nested=True)),
    _four(
        "bnb-nf4-many-nested-blocks",
        "nf4 with nested scales, of which a weight has more than share one of their own.",
        NESTED,
        figures=MANY,
    ),
    *(
        _four(
            f"bnb-nf4-stored-as-{storage.lower()}",
            f"nf4 whose bytes are stored as {storage}.",
            Four(storage=storage, nested=storage == "BF16"),
            f"dtype:{storage}",
            source=_STORAGE,
            figures=WHOLE,
        )
        for storage in ("BF16", "F16", "F32")
    ),
    _four(
        "bnb-nf4-recorded-as-f16",
        "nf4 of a BF16 model whose states record F16: so are the dense weights.",
        Four(recorded="F16"),
        source=STATE,
    ),
    _four(
        "bnb-nf4-recorded-as-f32",
        "nf4 whose states record F32, and BF16 is asked for.",
        Four(recorded="F32", block=32),
        "cast",
        source=STATE,
        calls=(Call(dtype="BF16"), Call()),
        dtype="F32",
    ),
    _four(
        "bnb-nf4-in-many-files",
        "nf4 with nested scales in seven files, its tensors dealt out to them.",
        NESTED,
        "sharded",
        source=OTHER_FILE,
        layout=Layout("shuffled", 7),
    ),
    _four(
        "bnb-nf4-bias-before-the-weight",
        "nf4 with biases, each of which stands before the weight of its module.",
        NF4,
        "bias",
        source=_BIAS,
        figures={"attention_bias": True},
        steps=(step("reverse_entries", "model.safetensors"),),
    ),
)
_ODD: tuple[Case, ...] = (
    of_scheme(
        "bnb-table-of-other-values",
        "bnb-blocks",
        "The table of one weight of nf4 has another number for one of its codes.",
        bnb(NF4, step("poke_tensor", f"{QUERY}.weight.quant_map", 36, "0000003f")),
        may(*CONFLICT),
        _TABLE,
        "bnb-table-of-eight",
        flags=("OtherTable",),
    ),
    of_scheme(
        "bnb-without-a-method",
        "undeclared-codes",
        "The block says that the model is loaded in four bits, and names no method.",
        bnb(NF4, figures={"quantization_config": told(NF4, quant_method=None)}),
        may(*CONFLICT, *LACKING),
        _NAMELESS,
        "bnb-no-state",
        flags=("UndeclaredQuantization",),
    ),
)
#: For modules that hold broken ones.
STATE_OF_QUERY = f"{QUERY}.weight.quant_state.bitsandbytes__nf4"

CASES: tuple[Case, ...] = (*_INT8, *_FOUR, *_ODD)
