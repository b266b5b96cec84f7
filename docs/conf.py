"""The documentation's site, as Sphinx builds it: ``make docs``.

Pages that follow from code (the config's keys, the figures, the live explorer) are written into
docs/generated before each build, and are not kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "workflow_scripts")]

import generated_pages  # noqa: E402

project = "modelkin"
author = "the modelkin authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.mermaid",
]
exclude_patterns = ["_build", "generated/explorer"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
# Some pages begin below the second level on purpose, as the repository shows them alone.
suppress_warnings = ["myst.header", "config.cache"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
html_theme = "furo"
html_title = "modelkin"
html_extra_path = ["generated/explorer"]
html_show_sphinx = False


def setup(app) -> None:
    """Write the pages that follow from code; links out of docs/ lead to the files themselves."""
    generated_pages.write(DOCS / "generated", DOCS.parent)
