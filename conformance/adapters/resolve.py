"""From the text that names a loader to its adapter, and to the interpreter that runs it.

A built-in name, ``module:attribute`` and ``path/to/file.py:attribute`` are the three forms. The attribute is an
adapter, a class of adapters, or a function without arguments that makes one.

A loader that is built in is the one that is installed beside the suite: whoever develops a loader judges the release
that is there. Only where there is none does it run in the environment that was made for it.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.adapters import BUILT_IN
from conformance.engine.errors import AdapterError, AdapterNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from conformance.adapters import BuiltIn

_FORMS = "a built-in name, module:attribute, or path/to/file.py:attribute"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What runs a loader.

    Attributes:
        text: What `load` takes, in whatever directory it is called.
        python: The interpreter of the environment in which the loader lives; None for this one.
    """

    text: str
    python: Path | None = None


def resolve(text: str) -> Resolved:
    """What runs the loader that `text` names. Nothing of it is imported.

    Raises:
        AdapterNotFoundError: There is no such loader, or what it needs is not installed.
    """
    if text in BUILT_IN:
        return _built_in(text, BUILT_IN[text])
    place, attribute = _parts(text)
    if not place.endswith(".py"):
        return Resolved(text)
    file = Path(place).absolute()
    if not file.is_file():
        raise AdapterNotFoundError("there is no such file", subject=file, remedy="check the path, from where you are")
    return Resolved(f"{file}:{attribute}")


def left_out() -> Mapping[str, AdapterNotFoundError]:
    """The loaders by hand that nobody has made ready here, each with the error that tells how."""
    found = {}
    for name, built_in in BUILT_IN.items():
        try:
            resolve(name)
        except AdapterNotFoundError as error:
            if built_in.by_hand:
                found[name] = error
    return found


def load(text: str) -> Any:
    """The adapter that `text` names, imported and made. What an import raises passes through.

    Raises:
        AdapterNotFoundError: There is no such module or attribute.
        AdapterError: The attribute gives no adapter.
    """
    place, attribute = _parts(BUILT_IN[text].text if text in BUILT_IN else text)
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module(place)
    found: Any = module
    for step in attribute.split("."):
        if not hasattr(found, step):
            raise AdapterNotFoundError(
                f"{place} has no attribute {attribute!r}", subject=text, remedy=_did_you_mean(step, dir(found))
            )
        found = getattr(found, step)
    return _made(found, text)


def _parts(text: str) -> tuple[str, str]:
    """The module or file, and the attribute."""
    place, colon, attribute = text.rpartition(":")
    if not (colon and place and attribute):
        raise AdapterNotFoundError(
            f"no loader is called {text!r}",
            expected=_FORMS,
            remedy=_did_you_mean(text.strip(":"), BUILT_IN)
            or "`python -m conformance list --loaders` prints the names",
        )
    return place, attribute


def _built_in(name: str, built_in: BuiltIn) -> Resolved:
    absent = built_in.absent
    if not absent:
        return Resolved(built_in.text)
    if built_in.environment is None:
        remedy = f"pip install 'inferno-loader[{built_in.extra or 'suite'}]'"
    else:
        from conformance.adapters.environments import ENVIRONMENTS  # noqa: PLC0415 - needed for these alone

        environment = ENVIRONMENTS[built_in.environment]
        if environment.made:
            return Resolved(built_in.text, environment.python)
        remedy = f"python -m conformance.adapters.environments {environment.name}"
    raise AdapterNotFoundError(
        f"{name} needs what is not installed", expected=", ".join(absent), actual="not installed", remedy=remedy
    )


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # A module that is there, and itself imports one that is not, tells so in its own words.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise AdapterNotFoundError(
            f"there is no module {error.name!r}",
            subject=name,
            remedy="install it, or start where it can be imported from",
        ) from error


def _module_of_file(file: Path) -> ModuleType:
    """The module in a file, whose neighbours it can import as if it had been started."""
    if not file.is_file():
        raise AdapterNotFoundError("there is no such file", subject=file.absolute())
    sys.path.insert(0, str(file.absolute().parent))
    # A name of its own: a file called json.py must not stand for the module of that name.
    spec = importlib.util.spec_from_file_location(f"_conformance_adapter_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise AdapterNotFoundError("the file is no Python module", subject=file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _made(found: Any, text: str) -> Any:
    """The adapter: `found` itself, or what it makes."""
    if not isinstance(found, type) and hasattr(found, "name") and hasattr(found, "claims"):
        return found
    if not callable(found):
        raise AdapterError(
            "the attribute is no adapter", subject=text, expected="an adapter, a class, or a function that makes one",
            actual=type(found).__qualname__,
        )  # fmt: skip
    try:
        return found()
    except TypeError as error:
        # Raised by the call itself, and not in what was called.
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        raise AdapterError(
            "the adapter cannot be made", subject=text, expected="a class or function without arguments", actual=error
        ) from error


def _did_you_mean(word: str, known: Iterable[str]) -> str | None:
    close = get_close_matches(word, [name for name in known if not name.startswith("_")], n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else None
