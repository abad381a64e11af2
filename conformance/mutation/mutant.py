"""One mutant, and what it is called: by the words that it changes, since numbers move with every line of code."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORIGINAL = "__mutmut_orig"
_MUTANT = "__mutmut_"
#: Characters of the statement that are told on either side of a change.
_AROUND = 16
_MARK = "ǁ"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function.

    Attributes:
        name: What mutmut calls it: ``inferno_loader.header.x__parse__mutmut_3``.
        function: The function, or ``Class.method``, with its module: ``inferno_loader.header._parse``.
        was: The words that are changed, with some around them.
        becomes: What they are changed to.
        nth: Which one, counted from 1, of those that read the same in this function.
        wording: Whether it only spells a sentence otherwise.
    """

    name: str
    function: str
    was: str
    becomes: str
    nth: int = 1
    wording: bool = False

    @property
    def module(self) -> str:
        """The module of the function."""
        return self.name.rpartition(".")[0]

    @property
    def mangled(self) -> str:
        """The function, as a trampoline records that it was called."""
        return self.name.partition(_MUTANT)[0]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What the mutant is judged by."""
        return self.function, self.was, self.becomes, self.nth


def mutants_of(module: str, code: str) -> Iterator[Mutant]:
    """The mutants in the code that mutmut has made of a module, in its order."""
    originals: dict[str, ast.FunctionDef] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for node in _functions(ast.parse(code)):
        mangled, _, number = node.name.partition(_MUTANT)
        if node.name.endswith(_ORIGINAL):
            originals[mangled] = node
        elif number:
            function = f"{module}.{mangled.removeprefix('x').strip(_MARK).removeprefix('_').replace(_MARK, '.')}"
            was, becomes = _change(_text(originals[mangled]), _text(node))
            seen[function, was, becomes] += 1
            nth, wording = seen[function, was, becomes], _is_wording(originals[mangled], node)
            yield Mutant(f"{module}.{node.name}", function, was, becomes, nth, wording)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        yield from (each for each in inner if isinstance(each, ast.FunctionDef) and _MUTANT in each.name)


def _is_wording(original: ast.FunctionDef, mutant: ast.FunctionDef) -> bool:
    """Whether all that differs is how a text is spelled that has blanks in it, which is a sentence for people."""
    before, after = _leaves(original), _leaves(mutant)
    if len(before) != len(after):
        return False
    differing = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return len(differing) == 1 and all(isinstance(text, str) and " " in text for text in differing[0])


def _leaves(function: ast.FunctionDef) -> list[object]:
    """Everything that a function is made of, in its order: constants by value, all else by kind."""
    return [_leaf(node) for statement in function.body for node in ast.walk(statement)]


def _leaf(node: ast.AST) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    return type(node), getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)


def _text(function: ast.FunctionDef) -> str:
    """The function without its name, a line a statement: how it was laid out does not matter."""
    return ast.unparse(function).partition("(")[2]


def _change(old: str, new: str) -> tuple[str, str]:
    """What differs, with whole words around it and nothing of other lines."""
    start = _common(old, new)
    rest = min(len(old), len(new)) - start
    end = min(_common(old[::-1], new[::-1]), rest)
    left, right = old[:start].rpartition("\n")[2], old[len(old) - end :].partition("\n")[0]
    if len(left) > _AROUND:
        left = _whole(left, _AROUND)
    if len(right) > _AROUND:
        right = _whole(right[::-1], _AROUND)[::-1]
    return (left + old[start : len(old) - end] + right).strip(), (left + new[start : len(new) - end] + right).strip()


def _common(one: str, two: str) -> int:
    """How many characters two texts begin with alike."""
    differing = (at for at, (left, right) in enumerate(zip(one, two, strict=False)) if left != right)
    return next(differing, min(len(one), len(two)))


def _whole(text: str, least: int) -> str:
    """The end of a text, from the blank that stands at least that many characters before its end."""
    blank = text.rfind(" ", 0, len(text) - least)
    return text[blank + 1 :]
