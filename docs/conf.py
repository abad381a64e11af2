"""The site of the documentation: ``sphinx-build -W --keep-going -b html docs site``.

The same sources give the same bytes: nothing here asks for the time, the user or the network.
"""

# ruff: noqa: INP001 - Sphinx runs this file, nobody imports it

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_TOP = _HERE.parent
# The glossaries come from the checkout. They need neither torch nor numpy, so the site is built without either.
sys.path[:0] = [str(_TOP), str(_HERE)]

import generate  # noqa: E402 - found through the path set above

project = "inferno-loader conformance"
author = "The inferno-loader developers"
version = release = runpy.run_path(str(_TOP / "inferno_loader" / "_version.py"))["__version__"]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
# A reference that leads nowhere is an error, by -W.
nitpicky = True
# So that pages may link to headings of each other, by the slugs that GitHub makes of them.
myst_heading_anchors = 3
# What has no language is a command or a list of words, and not Python.
highlight_language = "none"

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": True,
    "source_repository": "https://github.com/inferno-loader/inferno-loader/",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
}


def setup(app: Any) -> dict[str, Any]:
    """Hooks the generated parts into the pages that have a mark for them.

    Args:
        app: The application, a ``sphinx.application.Sphinx``.

    Returns:
        What Sphinx asks of an extension.
    """
    app.connect("source-read", lambda _app, _page, source: source.__setitem__(0, generate.expand(source[0])))
    # A glossary may have changed though its page has not.
    app.connect("env-get-outdated", lambda *_: [page.stem for page in generate.pages(_HERE)])
    return {"parallel_read_safe": True}
