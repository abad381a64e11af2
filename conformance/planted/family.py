"""A module of planted loaders as one adapter that holds several: imported once, in one zygote for all.

The module offers ``ALL`` (adapter classes, one bug each), ``METHODS`` (class name to the method of the contract that
it breaks) and ``RIGHT`` (classes that must not be failed). ``CLAUSES`` (class name to the clause that it breaks) is
optional.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import METHODS, Level
from conformance.engine.errors import AdapterError, AdapterNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

#: Methods of the contract that belong to no level, with the levels on which they show.
_BESIDE = {
    "report": (Level.WEIGHTS, Level.CHECKPOINT, Level.MODEL),
    "reason": tuple(Level),
}
_LEVELS: Mapping[str, tuple[Level, ...]] = {**{method: (level,) for level, method in METHODS.items()}, **_BESIDE}


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted loader, as its module declares it.

    Attributes:
        name: The name of its class.
        method: The method of the contract that it breaks; empty for one that is right.
        clause: The clause that it breaks; empty where none is declared.
        text: The first line of its docstring.
    """

    name: str
    method: str = ""
    clause: str = ""
    text: str = ""

    @property
    def right(self) -> bool:
        """Whether it must not be failed."""
        return not self.method

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that its method touches."""
        return _LEVELS[self.method] if self.method else tuple(Level)


@dataclass(slots=True)
class Family:
    """The adapters of a module, by the names of their classes.

    Attributes:
        members: An instance of each class.
    """

    members: dict[str, Any] = field(default_factory=dict)

    def select(self, name: str) -> Any:
        """One of them."""
        return self.members[name]


def load_family(text: str) -> Family:
    """Imports a module of planted loaders and makes one of each.

    Raises:
        AdapterError: As `declared`.
    """
    module = import_planted(text)
    declared(module)
    return Family({each.__name__: each() for each in (*module.ALL, *module.RIGHT)})


def declared(module: ModuleType) -> list[Planted]:
    """What a module declares: the planted loaders, then the right ones.

    Raises:
        AdapterError: It lacks ``ALL``, ``METHODS`` or ``RIGHT``, or they do not go together.
    """
    if lacking := [name for name in ("ALL", "METHODS", "RIGHT") if not hasattr(module, name)]:
        raise AdapterError(f"a module of planted loaders has {', '.join(lacking)}", subject=module.__name__)
    if not module.ALL and not module.RIGHT:
        raise AdapterError("the module plants nothing", subject=module.__name__)
    clauses: Mapping[str, str] = getattr(module, "CLAUSES", {})
    planted = []
    for each in module.ALL:
        method = module.METHODS.get(each.__name__)
        if method not in _LEVELS:
            raise AdapterError(
                f"METHODS does not say which method {each.__name__} breaks",
                subject=module.__name__,
                expected=", ".join(_LEVELS),
                actual=method,
            )
        planted.append(Planted(each.__name__, method, clauses.get(each.__name__, ""), _line(each)))
    names = [each.name for each in planted] + [each.__name__ for each in module.RIGHT]
    if len(set(names)) < len(names):
        raise AdapterError("two planted loaders have one name", subject=module.__name__)
    return [*planted, *(Planted(each.__name__, text=_line(each)) for each in module.RIGHT)]


def _line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def import_planted(text: str) -> ModuleType:
    """The module of a path or of a dotted name.

    Raises:
        AdapterNotFoundError: There is none, or it cannot be imported.
    """
    try:
        return _import_path(Path(text)) if text.endswith(".py") else import_module(text)
    except Exception as error:
        raise AdapterNotFoundError(
            "the module of planted loaders cannot be imported", subject=text, actual=error
        ) from error


def _import_path(path: Path) -> ModuleType:
    name = path.parent.resolve().name if path.stem == "__init__" else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    # Its own neighbours can be imported, as if it had been run, and its classes can be pickled.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
