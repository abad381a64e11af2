"""Which cases run: globs over their ids."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from conformance.engine.errors import SelectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.engine.case import Case


def select(cases: Sequence[Case], globs: Sequence[str]) -> tuple[Case, ...]:
    """The cases whose id matches one of the globs, all of them without globs, in the order of the corpus.

    Raises:
        SelectionError: A glob matches no case: nothing verified is a failure.
    """
    for glob in globs:
        if not any(fnmatchcase(case.id, glob) for case in cases):
            near = difflib.get_close_matches(glob, [case.id for case in cases], n=3)
            raise SelectionError(
                "no case matches what was selected",
                actual=glob,
                remedy=f"did you mean {', '.join(near)}?" if near else "`python -m conformance list` prints the cases",
            )
    if not cases:
        raise SelectionError("there are no cases")
    return tuple(case for case in cases if not globs or any(fnmatchcase(case.id, glob) for glob in globs))
