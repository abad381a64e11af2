"""Makes the virtual environments of the loaders that do not live beside the suite.

    python -m conformance.adapters.environments          # makes them; a line each: name, state, interpreter
    python -m conformance.adapters.environments --all    # and those that take minutes
    python -m conformance.adapters.environments mlx      # makes some
    python -m conformance.adapters.environments --list   # says what there is, and makes nothing

    $INFERNO_CACHE_DIR/adapters/<name>-<digest>/          made in place, for an environment cannot be moved
                                               /suite/    links to this suite, which the environment imports
                                               /whole     written last: without it, the environment is made anew

The digest is over the pins, the Python and the place of the suite: the code of no other suite is run by mistake, and
new pins are another environment. Those whose suite is gone are removed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import conformance
import inferno_loader
from conformance.cache import cache_directory
from conformance.engine.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The packages that an environment imports from where this suite lies.
_SUITE = (conformance, inferno_loader)
_DONE = "whole"

#: Runs a command. Tests give another one.
Run = Callable[[Sequence[object]], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: Its name.
        requirements: What is installed, without versions.
        without_dependencies: What is installed after that, by what is there already and without what it asks for.
        by_hand: Whether it is made only where it is named, or all are asked for: for it takes minutes.
    """

    name: str
    requirements: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()
    by_hand: bool = False

    @property
    def pins(self) -> Path:
        """The versions of everything in it, to the release: a file of pip's constraints beside this module."""
        return Path(__file__).with_name(f"constraints-{self.name}.txt")

    @property
    def directory(self) -> Path:
        """Where it lies, or would."""
        places = [str(_place(package)) for package in _SUITE]
        asked = [*self.requirements, *self.without_dependencies]
        facts = [*asked, *map(str, sys.version_info[:2]), self.pins.read_text(encoding="utf-8"), *places]
        digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
        return _root() / f"{self.name}-{digest}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def made(self) -> bool:
        """Whether it is there, whole."""
        return (self.directory / _DONE).is_file()


#: Every environment, by name. mlx has wheels for few systems: where there is none, all others can be judged still.
#: gptqmodel is built from its sources, and asks for a newer torch than it needs.
ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {
        each.name: each
        for each in (
            Environment("mlx", ("mlx[cpu]", "mlx-lm")),
            Environment(
                "gptqmodel",
                (
                    *("torch", "numpy", "setuptools", "transformers", "accelerate", "torchao", "safetensors"),
                    *("datasets", "dill", "jinja2", "pillow", "protobuf", "pyarrow", "requests", "threadpoolctl"),
                    *("ninja", "defuser", "device-smi", "logbar", "pypcre", "tokenicer"),
                ),
                ("gptqmodel",),
                by_hand=True,
            ),
        )
    },
)


def make(environment: Environment, run: Run | None = None) -> bool:
    """Makes an environment if it is not there. Processes that want the same one wait for each other.

    Args:
        environment: The environment.
        run: Runs a command.

    Returns:
        Whether it had to be made.

    Raises:
        AdapterError: A command failed, or the cache cannot be written.
    """
    from filelock import FileLock  # noqa: PLC0415 - of the extra `suite`; only who makes an environment needs it

    directory = environment.directory
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.with_name(f"{directory.name}.lock")):
            _remove_orphans(environment)
            if environment.made:
                return False
            _make(environment, directory, run or _run)
    except OSError as error:
        raise AdapterError(
            "the environment cannot be made",
            subject=directory,
            actual=error.strerror,
            remedy="make room there, or set INFERNO_CACHE_DIR to a directory that can be written",
        ) from error
    return True


def _make(environment: Environment, directory: Path, run: Run) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    run([sys.executable, "-m", "venv", directory])
    install = [environment.python, "-m", "pip", "install", "--quiet", "--constraint", environment.pins]
    run([*install, *environment.requirements])
    if environment.without_dependencies:
        run([*install, "--no-deps", "--no-build-isolation", *environment.without_dependencies])
    suite = directory / "suite"
    suite.mkdir()
    for package in _SUITE:
        (suite / package.__name__).symlink_to(_place(package))
    # Links, and not the directory in which the suite lies: that may hold all packages of another environment.
    libraries = Path(sysconfig.get_path("purelib", "venv", {"base": str(directory), "platbase": str(directory)}))
    libraries.mkdir(parents=True, exist_ok=True)
    (libraries / "conformance-suite.pth").write_text(f"{suite}\n", encoding="utf-8")
    (directory / _DONE).touch()


def _remove_orphans(environment: Environment) -> None:
    """Removes the environments of that name whose suite is no longer there, as that of a deleted checkout."""
    for other in environment.directory.parent.glob(f"{environment.name}-*/"):
        link = other / "suite" / conformance.__name__
        if link.is_symlink() and not link.exists():
            shutil.rmtree(other)


def _place(package: object) -> Path:
    return Path(str(getattr(package, "__file__", ""))).resolve().parent


def _root() -> Path:
    return cache_directory() / "adapters"


def _run(command: Sequence[object]) -> None:
    words = [str(word) for word in command]
    # What this process was started with must not decide what the other interpreter imports.
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise AdapterError(
            f"this command failed: {' '.join(words)}",
            expected="exit 0",
            actual=f"exit {done.returncode}: {done.stderr.strip()[-2000:]}",
            remedy="check the network and the package index of pip",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, makes the environments, and prints a line for each. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.adapters.environments", description="Make environments."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--all", action="store_true", help="make those as well that are made by hand, for minutes")
    parser.add_argument("--list", action="store_true", help="say what there is, and make nothing")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - ENVIRONMENTS.keys()):
        parser.error(f"no such environment: {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
    try:
        for environment in _asked_for(options.names, everything=options.all or options.list):
            state = _state(environment, make_it=not options.list)
            sys.stdout.write(f"{environment.name}\t{state}\t{environment.python}\n")
    except AdapterError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit
    return 0


def _asked_for(names: Sequence[str], *, everything: bool) -> Sequence[Environment]:
    if names:
        return [ENVIRONMENTS[name] for name in names]
    return [each for each in ENVIRONMENTS.values() if everything or not each.by_hand]


def _state(environment: Environment, *, make_it: bool) -> str:
    if make_it:
        return "made" if make(environment) else "there"
    return "there" if environment.made else "absent"


if __name__ == "__main__":
    sys.exit(main())
