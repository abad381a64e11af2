"""The arrows of the house: who may import whom, read off the source without running it.

``conformance`` and its tools may import ``inferno_loader``, never the other way. The half that looks needs only the
standard library. The oracle (what builds the cases and computes their expected values) knows no loader at all: an
oracle that asked one would agree with it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

pytestmark = pytest.mark.torch_free

_TOP = Path(__file__).parents[3]

LOOKING = tuple(
    f"inferno_loader.{name}"
    for name in (
        "errors", "dtypes", "header", "checkpoint", "config", "names", "quantization", "resolve", "planner", "analyzer",
        "checking", "scale_values", "capabilities", "discovery", "factory", "var_builder",
    )
)  # fmt: skip
#: The generators that are no oracle: they bring real models, and measure.
_NO_ORACLE = {
    "__init__", "resident", "produce_quantized", "produce_gptq", "produce_plugins", "produce_dense", "real_models",
    "fetch_real_models",
}  # fmt: skip
#: What builds the cases and computes their expected values: every other module of the generators.
ORACLE = tuple(
    f"conformance.tools.{path.stem}" for path in sorted((_TOP / "tools").glob("*.py")) if path.stem not in _NO_ORACLE
)
LOADERS = {"inferno_loader", "safetensors", "torch", "transformers"}


@cache
def sources() -> Mapping[str, ast.Module]:
    """The syntax tree of every module of the project, under the name that it is imported by."""
    trees = {}
    for folder, package in (("inferno_loader", ""), ("conformance", ""), ("tools", "conformance.")):
        for path in (_TOP / folder).rglob("*.py"):
            name = package + ".".join(path.relative_to(_TOP).with_suffix("").parts)
            trees[name.removesuffix(".__init__")] = ast.parse(path.read_bytes(), path)
    return trees


def run_at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: not those of functions, nor those for type checkers."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from run_at_import(statement.orelse)
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from run_at_import(getattr(statement, field, ()))
        for handler in getattr(statement, "handlers", ()):
            yield from run_at_import(handler.body)


def named(nodes: Iterable[ast.AST]) -> set[str]:
    """The modules that import statements name. ``from a import b`` names ``a``, and ``a.b`` where that is a module."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {node.module} | (inner & sources().keys())
    return names


def every_import(module: str) -> set[str]:
    """What a module imports anywhere: at its head, in its functions, and for type checkers."""
    return named(ast.walk(sources()[module]))


def import_time(module: str) -> set[str]:
    """What importing a module imports."""
    return named(run_at_import(sources()[module].body))


def reached(start: str, *, eager: bool) -> set[str]:
    """Every module that `start` leads to, itself and the packages around it among them.

    Args:
        start: The module to begin with.
        eager: Follow only what happens on import; else also what functions and type checkers import.
    """
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting.extend([module.rpartition(".")[0]] if "." in module else [])
        if module in sources():
            waiting.extend(import_time(module) if eager else every_import(module))
    return seen


def roots(modules: Iterable[str]) -> set[str]:
    """The top-level names of modules."""
    return {module.partition(".")[0] for module in modules}


def importers(modules: Iterable[str], forbidden: set[str]) -> dict[str, set[str]]:
    """Those of `modules` that import something below a forbidden name, each with what it imports of it."""
    found = {module: roots(every_import(module)) & forbidden for module in modules}
    return {module: names for module, names in found.items() if names}


def test_walk_sees_every_part_of_the_house() -> None:
    """The graph is not empty: it holds the loader, the suite, the tools and this very test."""
    assert {"inferno_loader.errors", "conformance", "conformance.tools", "conformance.tests.conftest"} <= set(sources())
    assert {"ast", "pytest", "pathlib"} <= every_import("conformance.tests.unit.test_import_graph")


def test_imports_are_absolute() -> None:
    """Modules are imported by their whole name, which is what the other tests here read."""
    relative = {
        module: ast.unparse(node)
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert relative == {}


def test_loader_imports_neither_suite_nor_tools() -> None:
    """The loader stands alone: no module of it imports the suite or the generators, not even in a function."""
    loader = [module for module in sources() if roots([module]) == {"inferno_loader"}]
    assert importers(loader, {"conformance", "tools", "fixtures"}) == {}


def test_tools_and_fixtures_are_imported_through_the_suite() -> None:
    """No module imports a top-level ``tools`` or ``fixtures``: a wheel has neither, its users may have both."""
    assert importers(sources(), {"tools", "fixtures"}) == {}


@pytest.mark.parametrize("module", ORACLE)
def test_oracle_knows_no_loader(module: str) -> None:
    """What computes expected values reaches no loader: neither ours, nor safetensors, nor torch."""
    assert roots(reached(module, eager=False)).isdisjoint(LOADERS)


def test_what_is_no_oracle_is_there() -> None:
    """The exceptions are modules: none of them excuses a name that nothing has."""
    there = {path.stem for path in (_TOP / "tools").glob("*.py")}
    assert there >= _NO_ORACLE
    assert len(ORACLE) > 30


def test_corpus_knows_no_loader() -> None:
    """The cases and what they are built from reach no loader and no adapter."""
    corpus = [module for module in sources() if module.startswith("conformance.corpus")]
    assert len(corpus) > 5
    for module in corpus:
        reach = reached(module, eager=False)
        assert roots(reach).isdisjoint(LOADERS), module
        assert not [each for each in reach if each.startswith(("conformance.adapters", "conformance.planted"))], module


def test_engine_knows_no_loader_and_no_area() -> None:
    """The engine imports no loader, no adapter, no case. Torch it asks only about tensors that an adapter hands out."""
    engine = [module for module in sources() if module.startswith("conformance.engine")]
    assert len(engine) > 15
    assert importers(engine, LOADERS - {"torch"}) == {}
    torch_in = {module for module in engine if "torch" in roots(every_import(module))}
    assert torch_in == {f"conformance.engine.{name}" for name in ("contract", "performing", "tensors")}
    rooms = ("conformance.adapters", "conformance.corpus", "conformance.planted", "conformance.reports")
    for module in engine:
        assert not [each for each in reached(module, eager=False) if each.startswith(rooms)], module


def test_what_runs_beside_a_loader_needs_no_package() -> None:
    """The zygote and the shim start on the standard library alone: an environment of a loader has nothing of ours."""
    for module in ("conformance.engine.zygote", "conformance.shim"):
        assert roots(reached(module, eager=True)) - sys.stdlib_module_names == {"conformance"}


def test_adapters_and_planted_loaders_are_imported_by_the_fronts_alone() -> None:
    """What judges is not told what is judged: adapters and planted loaders are imported by name, in their process."""
    fronts = {"conformance.judging", "conformance.adequacy", "conformance.shim", "conformance.search.answers"}
    for module in sources():
        if module.startswith(
            ("conformance.adapters", "conformance.planted", "conformance.tests", "conformance.commands")
        ):
            continue
        found = {
            each for each in every_import(module) if each.startswith(("conformance.adapters", "conformance.planted"))
        }
        assert not found or module in fronts, (module, found)


@pytest.mark.parametrize("module", ["inferno_loader", *LOOKING])
def test_looking_needs_only_the_standard_library(module: str) -> None:
    """Importing the half that looks reaches nothing but itself and the standard library."""
    assert module in sources()
    assert roots(reached(module, eager=True)) - sys.stdlib_module_names == {"inferno_loader"}


def test_command_line_starts_without_torch() -> None:
    """The command line imports torch only in the commands that load."""
    assert "inferno_loader.cli" in sources()
    assert roots(reached("inferno_loader.cli", eager=True)).isdisjoint({"torch", "numpy", "safetensors", "tokenizers"})


def test_looking_leaves_torch_and_numpy_alone() -> None:
    """A fresh interpreter that has imported the half that looks has loaded neither torch nor numpy."""
    program = (
        f"import sys, {', '.join(LOOKING)}; print(*sorted({{'torch', 'numpy', 'safetensors'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
