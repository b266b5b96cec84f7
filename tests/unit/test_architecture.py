"""The rooms of the package stand on floors, as pyproject.toml says; import-linter looks at every import,
also those in functions and those that wait until they are needed."""

import ast
import graphlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from conftest import ROOT

PACKAGE = ROOT / "workflow_scripts" / "modelkin"


def lint_imports(package: Path) -> subprocess.CompletedProcess:
    """The contracts of pyproject.toml held against a package, which need not be the one that is installed."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_rooms_import_only_what_is_below_them():
    done = lint_imports(PACKAGE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("store/digests.py", "from modelkin.data import images", "A room imports only"),
        ("analysis/clusters.py", "def late():\n    from modelkin.study import config", "A room imports only"),
        (
            "data/probes.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from modelkin.jobs import running",
            "A room imports only",
        ),
        ("errors.py", "from modelkin import seeds", "A room imports only"),
        ("new_room/__init__.py", "", "A room imports only"),
        ("store/digests.py", "from modelkin.store import frames", "No circle"),
        ("operations/plan.py", "import snakemake.utils", "Snakemake"),
    ],
)
def test_the_contracts_are_broken_by(file, line, broken, tmp_path):
    package = tmp_path / "modelkin"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / file).parent.mkdir(exist_ok=True)
    with open(package / file, "a") as stream:
        stream.write(f"\n{line}\n")
    done = lint_imports(package)
    assert done.returncode != 0
    assert any(broken in said and "BROKEN" in said for said in done.stdout.splitlines()), done.stdout


def test_no_file_imports_itself_by_way_of_others():
    """Folders' own files (__init__) too, which the contract on circles does not tell from what is in them."""
    graph = grimp.build_graph("modelkin", cache_dir=None)
    imports = {file: graph.find_modules_directly_imported_by(file) for file in graph.modules}
    order = list(graphlib.TopologicalSorter(imports).static_order())
    assert len(order) > 100


def script(name):
    """A script of docs/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_measures_is_that_of_the_code():
    writing = script("write_measures")
    assert writing.written_page() == writing.PAGE.read_text("utf-8"), "out of date: run make docs"


def test_the_picture_is_that_of_the_code():
    drawing = script("draw_architecture")
    assert drawing.drawn_page() == drawing.PAGE.read_text(), "out of date: run make docs"
    assert {"store", "comparison", "figures"} <= set(drawing.rooms())


def imported_by_type_checkers(tree: ast.Module) -> set[tuple[str, str]]:
    """(name, module) of what stands under ``if TYPE_CHECKING``."""
    found = set()
    for branch in ast.walk(tree):
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING":
            for node in ast.walk(ast.Module(branch.body, [])):
                if isinstance(node, ast.Import):
                    found |= {(alias.asname or alias.name, alias.name) for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found |= {
                        (alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names
                    }
    return found


def imported_later(tree: ast.Module) -> set[tuple[str, str]]:
    """(name, module) of what ``lazy.module`` imports."""
    return {
        (ast.unparse(node.targets[0]), ast.literal_eval(node.value.args[0]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("lazy.module(")
    }


def test_tools_see_what_is_imported_later():
    seen = 0
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        hidden = imported_later(tree) - imported_by_type_checkers(tree)
        assert not hidden, f"{file}: {hidden} should stand under `if TYPE_CHECKING` too"
        seen += len(imported_later(tree))
    assert seen


def test_reading_the_figures_of_a_study_loads_no_library_that_is_slow():
    """As every start of Snakemake does."""
    run = (
        "import sys; from modelkin import figures; [*map(figures.get, figures.names())]; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True).stdout
    assert not {"matplotlib", "seaborn", "scipy", "sklearn", "torch", "zarr", "xarray"} & {*loaded.split()}
