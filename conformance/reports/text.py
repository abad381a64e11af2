"""Text that comes from a loader, made safe to show: what it printed must not act on who reads it."""

from __future__ import annotations

import re

#: Control characters but newline and tab, lone surrogates, and what reorders or hides the characters beside it.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff0-\ufffb\ufffe\uffff\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""A text in which each character that cannot be seen is spelled: ``\x1b``. Newlines and tabs stay.

    So a transcript colours no terminal, breaks no XML, and turns round no line.
    """
    plain = text.replace("\r\n", "\n")
    return _UNSEEN.sub(lambda found: found[0].encode("unicode-escape", "surrogatepass").decode("ascii"), plain)


def one_line(text: str) -> str:
    """A text on one line, with its unseen characters spelled."""
    return " ".join(visible(text).split())
