"""The text that names a loader leads to its adapter, or to an error that says what to do."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from conformance.adapters import BUILT_IN, BuiltIn, environments, resolve
from conformance.engine.errors import AdapterError, AdapterNotFoundError
from conformance.engine.verdict import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.torch_free

_SOURCE = '''
"""An adapter, and what is none."""
import neighbour

class MyLoader:
    name = "mine"
    claims = frozenset({"sharded"})
    def __init__(self): self.made = True

class Needy:
    name, claims = "needy", frozenset()
    def __init__(self, where): ...

class Broken:
    name, claims = "broken", frozenset()
    def __init__(self): len(1)

class Outer:
    Inner = MyLoader

ready = MyLoader()
def factory(): return ready
number = 7
'''


@pytest.fixture
def adapter_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with adapters, which imports a module beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour.py").write_text("", encoding="utf-8")
    file = tmp_path / "my_adapters.py"
    file.write_text(_SOURCE, encoding="utf-8")
    known = set(sys.modules)
    yield file
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, BuiltIn]:
    """Built-in loaders of the test's own."""
    known: dict[str, BuiltIn] = {}
    monkeypatch.setattr(resolve, "BUILT_IN", known)
    return known


def not_found(text: str) -> AdapterNotFoundError:
    """The error with which a text is refused."""
    with pytest.raises(AdapterNotFoundError) as caught:
        resolve.resolve(text)
    return caught.value


@pytest.mark.parametrize("attribute", ["MyLoader", "ready", "factory", "Outer.Inner"])
def test_an_attribute_may_be_a_class_an_instance_or_a_factory(adapter_file: Path, attribute: str) -> None:
    """A class is made, an instance taken as it is, and a function called."""
    adapter = resolve.load(f"{adapter_file}:{attribute}")
    assert (adapter.name, adapter.made) == ("mine", True)


def test_an_adapter_of_a_module(adapter_file: Path) -> None:
    """A module is imported by its name, and the attribute taken from it."""
    sys.path.insert(0, str(adapter_file.parent))
    assert resolve.resolve("my_adapters:MyLoader") == resolve.Resolved("my_adapters:MyLoader")
    assert resolve.load("my_adapters:MyLoader").name == "mine"


def test_a_path_holds_in_every_directory(adapter_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given relative to here is handed on as an absolute path."""
    monkeypatch.chdir(adapter_file.parent.parent)
    resolved = resolve.resolve(f"{adapter_file.parent.name}/my_adapters.py:MyLoader")
    monkeypatch.chdir("/")
    assert resolved.text == f"{adapter_file}:MyLoader"
    assert resolve.load(resolved.text).name == "mine"


def test_a_file_does_not_stand_for_a_module_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter in a file called json.py leaves the module json alone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    json = sys.modules["json"]
    (tmp_path / "json.py").write_text('class A: name, claims = "a", frozenset()', encoding="utf-8")
    assert resolve.load(f"{tmp_path / 'json.py'}:A").name == "a"
    assert sys.modules["json"] is json


def test_a_name_that_is_nearly_one(built_in: dict[str, BuiltIn]) -> None:
    """A slip in a name is answered with the names that are close."""
    built_in |= {"transformers": BuiltIn("json:JSONEncoder", ("json",)), "mlx": BuiltIn("json:JSONEncoder", ("json",))}
    error = not_found("transfomers")
    assert error.exit == Exit.ADAPTER
    assert error.remedy == "did you mean transformers?"


def test_a_name_that_is_none(built_in: dict[str, BuiltIn]) -> None:
    """A name like no other is answered with the forms that there are, and the command that prints the names."""
    built_in["mlx"] = BuiltIn("json:JSONEncoder", ("json",))
    error = not_found("something")
    assert "module:attribute" in str(error.expected)
    assert "list --loaders" in (error.remedy or "")


@pytest.mark.parametrize("text", ["", ":", "module:", ":attribute", "module.py:"])
def test_half_a_text_is_none(text: str) -> None:
    """Both the place and the attribute are needed."""
    assert "no loader is called" in not_found(text).problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The error names the whole path, which shows from where it was looked for."""
    assert not_found(f"{tmp_path}/absent.py:A").subject == f"{tmp_path}/absent.py"


def test_an_attribute_that_is_not_there(adapter_file: Path) -> None:
    """A slip in an attribute is answered with the ones that are close."""
    with pytest.raises(AdapterNotFoundError) as caught:
        resolve.load(f"{adapter_file}:MyLoder")
    assert caught.value.remedy == "did you mean MyLoader?"


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.adapter", "email.no_such_module"])
def test_a_module_that_is_not_there(name: str) -> None:
    """A module, its package, or a module in a package may be absent."""
    with pytest.raises(AdapterNotFoundError, match="there is no module"):
        resolve.load(f"{name}:A")


@pytest.mark.parametrize("place", ["my_adapters", "my_adapters.py"], ids=["module", "file"])
def test_what_an_import_lacks_is_told_as_it_is(adapter_file: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is there and cannot import what it needs is not taken for absent."""
    monkeypatch.chdir(adapter_file.parent)
    sys.path.insert(0, str(adapter_file.parent))
    (adapter_file.parent / "neighbour.py").write_text("import no_such_library", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        resolve.load(f"{place}:MyLoader")


def test_a_class_with_arguments_cannot_be_made(adapter_file: Path) -> None:
    """A class that needs arguments is no adapter that can be named."""
    with pytest.raises(AdapterError, match="without arguments"):
        resolve.load(f"{adapter_file}:Needy")


def test_an_error_of_the_constructor_is_its_own(adapter_file: Path) -> None:
    """A type error that the constructor itself raises is not taken for one of the call."""
    with pytest.raises(TypeError, match="len"):
        resolve.load(f"{adapter_file}:Broken")


def test_what_is_no_adapter(adapter_file: Path) -> None:
    """A number is neither an adapter nor makes one."""
    with pytest.raises(AdapterError, match="no adapter"):
        resolve.load(f"{adapter_file}:number")


def test_what_is_installed_here_runs_here(built_in: dict[str, BuiltIn]) -> None:
    """A built-in loader whose libraries are beside the suite runs in this interpreter, though it has an environment."""
    built_in["it"] = BuiltIn("json:JSONEncoder", ("json", "email"), environment="mlx")
    assert resolve.resolve("it") == resolve.Resolved("json:JSONEncoder")


def test_what_is_not_installed_tells_its_extra(built_in: dict[str, BuiltIn]) -> None:
    """The remedy is the command that installs what a built-in loader lacks."""
    built_in["it"] = BuiltIn("json:JSONEncoder", ("json", "no_such_library"), extra="some-extra")
    error = not_found("it")
    assert (error.expected, error.remedy) == ("no_such_library", "pip install 'inferno-loader[some-extra]'")


def test_a_module_of_a_package_that_is_not_there() -> None:
    """A library that is named with a dot is absent as well where its package is, and no import fails."""
    assert BuiltIn("json:JSONEncoder", ("json", "email.charset", "no_such.part")).absent == ("no_such.part",)


@pytest.mark.parametrize("made", [True, False], ids=["made", "absent"])
def test_an_environment_of_its_own(built_in: dict[str, BuiltIn], made: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that lives elsewhere runs there once its environment is made, and before it tells how to make it."""
    there = SimpleNamespace(name="far", made=made, python=Path("/far/bin/python"))
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"far": there})
    built_in["it"] = BuiltIn("json:JSONEncoder", ("no_such_library",), environment="far")
    if made:
        assert resolve.resolve("it") == resolve.Resolved("json:JSONEncoder", Path("/far/bin/python"))
    else:
        assert not_found("it").remedy == "python -m conformance.adapters.environments far"


def test_a_built_in_loader_can_be_loaded_by_its_name(built_in: dict[str, BuiltIn]) -> None:
    """The shim is started with a name as a person writes it."""
    built_in["it"] = BuiltIn("collections:OrderedDict", ("json",))
    assert resolve.load("it") == {}


def test_built_in_loaders_have_a_module_and_a_class() -> None:
    """Each names a module of the adapters that is there, and no two share an adapter or a name."""
    folder = Path(resolve.__file__).parent
    for name, each in BUILT_IN.items():
        module, _, attribute = each.text.rpartition(":")
        source = (folder / f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
        assert f"class {attribute}" in source
        assert f'name = "{name}"' in source
        assert each.environment is None or each.environment in environments.ENVIRONMENTS
    assert len({each.text for each in BUILT_IN.values()}) == len(BUILT_IN)


def test_each_extra_is_one_of_the_package() -> None:
    """The extra that a built-in loader names as its remedy installs something."""
    pyproject = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {each.extra for each in BUILT_IN.values()} - {None}
    assert extras <= pyproject["project"]["optional-dependencies"].keys()
    assert {"transformers", "mlx"} <= extras


def test_the_registry_imports_no_library() -> None:
    """Whoever lists, resolves or makes environments needs neither the loaders nor torch, numpy and click."""
    program = (
        "import sys, conformance.adapters.resolve, conformance.adapters.environments, conformance.engine.performing\n"
        "print(*sorted({'torch', 'numpy', 'click', 'safetensors', 'transformers', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
