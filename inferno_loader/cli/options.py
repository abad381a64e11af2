"""Options and arguments that several commands share, and the kinds of value that they take."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from inferno_loader.cli.output import voice
from inferno_loader.dtypes import DTYPES, parse_dtype
from inferno_loader.errors import UnsupportedDtypeError
from inferno_loader.weight_files import WeightsChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferno_loader.planner import PlanOptions

_F = TypeVar("_F", bound="Callable[..., Any]")

_SIZE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) *(?P<unit>[a-z]*)", re.IGNORECASE)
_BYTES = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """The bytes that ``8GiB``, ``500 MB`` or ``1073741824`` spell."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    unit = _BYTES.get(match["unit"].lower()) if match else None
    if match is None or unit is None:
        raise click.BadParameter(f"{value!r} is no size: write 8GiB, 500MB or a number of bytes")
    return int(Decimal(match["number"]) * unit)


def _dense_dtype(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The name in a header of a dtype that holds weights without a scale."""
    if value is None:
        return None
    try:
        found = parse_dtype(value)
    except UnsupportedDtypeError:
        found = None
    if found is None or not found.dense:
        dense = ", ".join(name for name, dtype in DTYPES.items() if dtype.dense)
        raise click.BadParameter(f"{value!r} is none of {dense}")
    return found.name


def _remember(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that puts a given value into the voice of the run."""

    def callback(_: click.Context, __: click.Parameter, value: Any) -> Any:
        if value is not None:
            setattr(voice(), field, value)
        return value

    return callback


def decorate(*decorators: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """All of `decorators` as one, the first on the outside."""

    def apply(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


PATH: Callable[[_F], _F] = click.argument(
    "path", metavar="DIR", type=click.Path(path_type=Path), callback=_remember("path")
)
VERBOSITY: Callable[[_F], _F] = decorate(
    click.option(
        "-q", "--quiet", flag_value=-1, type=int, default=None, expose_value=False, callback=_remember("level"),
        help="No log and no progress bar on stderr; only errors.",
    ),
    click.option(
        "-v", "--verbose", flag_value=1, type=int, default=None, expose_value=False, callback=_remember("level"),
        help="Say more on stderr.",
    ),
)  # fmt: skip
JSON: Callable[[_F], _F] = click.option(
    "--json", "as_json", is_flag=True, default=None, callback=_remember("json"), help="Write JSON to stdout."
)
WEIGHTS: Callable[[_F], _F] = click.option(
    "--weights",
    type=click.Choice(get_args(WeightsChoice)),
    help="Which set of files, where the directory holds several.",
)
DTYPE: Callable[[_F], _F] = click.option(
    "--dtype",
    metavar="DTYPE",
    callback=_dense_dtype,
    help="Dtype of the dense weights: F32, BF16, float16, ... [default: as stored]",
)
DEVICE: Callable[[_F], _F] = click.option(
    "--device", default="cpu", show_default=True, help="Where the tensors go, as torch spells it."
)
KEEP: Callable[[_F], _F] = click.option("--keep-quantized", is_flag=True, help="Keep codes and scales as stored.")
LOAD: Callable[[_F], _F] = decorate(
    PATH,
    DTYPE,
    DEVICE,
    WEIGHTS,
    click.option(
        "--max-memory", metavar="SIZE", callback=_size, help="Refuse a load that would take more: 8GiB, 500MB."
    ),
    click.option("--mmap", is_flag=True, help="Map the files instead of copying them."),
    KEEP,
    click.option(
        "--allow-unexpected", multiple=True, metavar="PATTERN", help="Leave out tensors of such names; repeatable."
    ),
    click.option("--tie-embedding", is_flag=True, help="Let the embedding serve as a head that is missing."),
    VERBOSITY,
)


def plan_options(*, keep_quantized: bool, tie_embedding: bool, **options: Any) -> PlanOptions:
    """The options of `LOAD`, in the words of `inferno_loader.plan`."""
    chosen: PlanOptions = {"dequantize": not keep_quantized, "tie": "embedding" if tie_embedding else None}
    chosen.update(options)  # type: ignore[typeddict-item]
    return chosen
