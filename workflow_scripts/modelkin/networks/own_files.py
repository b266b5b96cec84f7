"""What a file of Python defines at its top, read and not run.

It says None where only running the file would tell.
"""

from __future__ import annotations

import ast

# What makes names that nobody can read off.
MAKES_NAMES = {"exec", "eval", "globals", "vars"}
Names = dict[str, set[str] | None]


def read_names(text: bytes | str) -> Names | None:
    """The names that a module defines, each with its keys if it is a dictionary that is written out.

    Parameters
    ----------
    text : bytes or str
        Of the module.

    Returns
    -------
    dict or None
        None if only running it would tell, as after ``from x import *``. The keys are None where they would
        not be all, or where the value is no dictionary.

    Raises
    ------
    SyntaxError, ValueError
        If it is not Python.
    """
    reader = _Reader()
    reader.visit(ast.parse(text))
    if reader.unclear:
        return None
    return {name: None if name in reader.changed else keys for name, keys in reader.names.items()}


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names: Names = {}
        self.changed: set[str] = set()  # whose keys are not those of one dictionary alone
        self.unclear = False

    def _define(self, name: str, keys: set[str] | None = None) -> None:
        if name in self.names:
            self.changed.add(name)
        self.names[name] = keys

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._define(node.name)
        inside = _Reader()  # what a body defines is its own, but for what it declares global
        for each in node.body:
            inside.visit(each)
        self.changed |= inside.changed
        for expression in (*node.decorator_list, *_defaults(node)):
            self.visit(expression)
        self.unclear |= inside.unclear or any(isinstance(each, ast.Global) for each in ast.walk(node))

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _enter

    def visit_Import(self, node: ast.Import) -> None:
        for each in node.names:
            self._define(each.asname or each.name.split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for each in node.names:
            self.unclear |= each.name == "*"
            self._define(each.asname or each.name)

    def visit_Assign(self, node: ast.Assign) -> None:
        keys = _keys(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._define(target.id, keys)
            else:
                self.visit(target)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.value is not None:
            self._define(node.target.id, _keys(node.value))
            self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._define(node.id)
        elif node.id in MAKES_NAMES:
            self.unclear = True
        else:
            self.changed.add(node.id)  # whoever has it may change it

    def visit_Subscript(self, node: ast.Subscript) -> None:
        # To look something up changes nothing.
        if not (isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load)):
            self.visit(node.value)
        self.visit(node.slice)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.unclear |= ast.unparse(node) == "sys.modules"
        self.visit(node.value)


def _defaults(node: ast.AST) -> list[ast.expr]:
    arguments = getattr(node, "args", None)
    return (
        [] if arguments is None else [each for each in (*arguments.defaults, *arguments.kw_defaults) if each]
    )


def _keys(value: ast.expr) -> set[str] | None:
    """The keys of a dictionary that is written out, as texts."""
    if isinstance(value, ast.Dict):
        texts = [
            key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
        ]
        return {*texts} if len(texts) == len(value.keys) else None
    is_dict = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict"
    if is_dict and not value.args and all(each.arg for each in value.keywords):  # type: ignore[attr-defined]
        return {each.arg for each in value.keywords}  # type: ignore[attr-defined]
    return None
