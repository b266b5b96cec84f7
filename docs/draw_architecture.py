"""Draw docs/architecture.md's picture and table of rooms from the imports and docstrings of the package.

python docs/draw_architecture.py
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workflow_scripts" / "modelkin"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = (
    "<!-- drawn by draw_architecture.py: begin -->\n",
    "<!-- drawn by draw_architecture.py: end -->\n",
)
BASE = "base"  # the modules that stand in no room
TYPED = "commands"  # the room of what is typed


def rooms() -> list[str]:
    """The rooms from the top floor down, as the contracts in pyproject.toml have them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [floor for floor in floors if (PACKAGE / floor).is_dir()] + [BASE]


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports directly."""
    graph = grimp.build_graph("modelkin", cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms()}
    for file in graph.modules - {"modelkin", "modelkin.__main__"}:
        others = {_room(other) for other in graph.find_modules_directly_imported_by(file)}
        found[_room(file)] |= others - {_room(file)}
    return found


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else BASE


def needed_arrows(arrows: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows that no path of other arrows says already."""
    return [
        (room, other)
        for room, others in arrows.items()
        for other in sorted(others)
        if not any(other in _below(arrows, between) for between in others - {other})
    ]


def _below(arrows: dict[str, set[str]], room: str) -> set[str]:
    return arrows[room].union(*(_below(arrows, other) for other in arrows[room]))


def picture() -> str:
    """The Mermaid flowchart and the table."""
    arrows = imports()
    lines = ["```mermaid", "flowchart TD"]
    # What is typed imports rooms that scripts start from too.
    imported = set().union(*(others for room, others in arrows.items() if room != TYPED), {TYPED})
    lines += [f'    shell["modelkin, on the command line"] --> {TYPED}']
    lines += [f'    scripts["workflow_scripts/*.py"] --> {room}' for room in arrows if room not in imported]
    lines += [f"    {room} --> {other}" for room, other in needed_arrows(arrows)]
    lines += ["```", "", "| room | what is in it | imports from |", "|---|---|---|"]
    for room, others in arrows.items():
        known = ", ".join(other for other in arrows if other in others)
        lines.append(f"| `{room}` | {_about(room)} | {known} |")
    return "\n".join(lines) + "\n"


def _about(room: str) -> str:
    if room == BASE:
        names = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))
        return f"what asks no questions: {', '.join(f'`{name}`' for name in names)}"
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    first = text.split("\n\n")[0].replace("\n", " ")
    return first[0].lower() + first[1:].rstrip(".")


def drawn_page() -> str:
    """The page with its drawn part as the code is now."""
    before, rest = PAGE.read_text().split(BEGIN)
    return before + BEGIN + picture() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.path.insert(0, str(PACKAGE.parent))
    PAGE.write_text(drawn_page())
