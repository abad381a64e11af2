"""The targets of a quantization block: which module each speaks of, and which regular expressions are let in. No torch.

Source: https://github.com/vllm-project/compressed-tensors (``utils/match.py``).
"""

from __future__ import annotations

import re

_EXPRESSION = "re:"
#: Names of modules have some fifty characters: with five repeats a match takes at most a tenth of a second, and with
#: each one more ten times as long.
_MOST_REPEATS = 5
#: An escape, a class, a repeat (with the mark that makes it lazy or possessive), the ends of a group, or a character.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?:[*+?]|\{\d*,?\d*\})[?+]?|\(\??|.", re.DOTALL)


def rank(target: str) -> int:
    """0 for a full name, which beats 1, a regular expression, which beats 2, the class name."""
    return 1 if target.startswith(_EXPRESSION) else 2 if target == "Linear" else 0


def matches(target: str, module: str) -> bool:
    """A full module name, ``re:`` and an expression anchored at the start only, or the class name Linear."""
    if target.startswith(_EXPRESSION):
        return re.match(target.removeprefix(_EXPRESSION), module) is not None
    return target in (module, "Linear")


def flaw(target: str) -> str:
    """Why a target cannot be used: empty where it can.

    A match of Python's ``re`` can take longer than the world lasts: each repeat of a group that can match one text in
    several ways doubles its time with every character, and repeats side by side multiply. No published configuration
    needs either, so neither is let in.
    """
    if not target.startswith(_EXPRESSION):
        return ""
    expression = target.removeprefix(_EXPRESSION)
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return _explodes(expression)


def cost(target: str) -> int:
    """How slow a match may be: 0 without a repeat, 1 for one or two, and ten times as much for each one more."""
    if not target.startswith(_EXPRESSION):
        return 0
    repeats = sum(_repeats(part) for part in _PART.findall(target.removeprefix(_EXPRESSION)))
    return 10 ** max(0, repeats - 2) if repeats else 0


def _repeats(part: str) -> bool:
    return part[0] in "*+?" or (part[0] == "{" and len(part) > 1)


def _explodes(expression: str) -> str:
    """Why matching may take for ever."""
    repeats, groups, closed = 0, [False], False
    for part in _PART.findall(expression):
        if _repeats(part):
            if closed and part[0] != "?":
                return "it repeats a group that holds a repeat or an alternative"
            repeats += 1
            groups[-1] = True
        closed = part == ")" and _leave(groups)
        if part[0] == "(":
            groups.append(False)
        elif part == "|":
            groups[-1] = True
    return f"it has {repeats} repeats, and at most {_MOST_REPEATS} are taken" if repeats > _MOST_REPEATS else ""


def _leave(groups: list[bool]) -> bool:
    """Leave the last group: whether it can match one text in several ways. Then the one around it can as well."""
    several = groups.pop() if len(groups) > 1 else False
    groups[-1] |= several
    return several
