"""Reads what a Python file imports and how it loads data, from its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Import:
    """An import as written; `top` when it runs as the module is imported."""

    target: str
    line: int
    top: bool


def imports_of(
    tree: ast.Module, module: str, known: frozenset[str], *, is_package: bool = False
) -> Iterator[Import]:
    """Every import of a module, relative ones resolved.

    `from a import b` gives a.b where `known` has such a module, else a. The literal argument of
    `import_module` counts as an import.
    """
    later = {
        id(child)
        for node in ast.walk(tree)
        if _runs_later(node)
        for child in ast.walk(node)
        if child is not node
    }
    for node in ast.walk(tree):
        for target in _targets(node, module, known, is_package):
            yield Import(target, getattr(node, "lineno", 0), id(node) not in later)


def _targets(node: ast.AST, module: str, known: frozenset[str], is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = [node.module] if node.module else []
        if node.level:
            parents = module.split(".")
            base = parents[: len(parents) + is_package - node.level] + base
        start = ".".join(base)
        return [f"{start}.{a.name}" if f"{start}.{a.name}" in known else start for a in node.names]
    if isinstance(node, ast.Call) and dotted(node.func).endswith("import_module") and node.args:
        argument = node.args[0]
        value = argument.value if isinstance(argument, ast.Constant) else None
        return [value] if isinstance(value, str) else []
    return []


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
        return True
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; empty for what is no such chain."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsafe_loads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Ways of loading that may run code found in a file, with their lines.

    `pickle` may be used for one thing: an `Unpickler` whose `find_class` says what it lets in.
    """
    for node in ast.walk(tree):
        complaint = _unsafe(node)
        if complaint:
            yield getattr(node, "lineno", 0), complaint


def _unsafe(node: ast.AST) -> str | None:
    if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "shelve", "marshal"):
        return f"imports from {node.module}"
    if isinstance(node, ast.Attribute) and dotted(node.value) == "pickle":
        return None if node.attr in ("Unpickler", "UnpicklingError") else f"uses pickle.{node.attr}"
    if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(dotted, node.bases):
        methods = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
        return None if "find_class" in methods else "unpickles without restricting find_class"
    return _unsafe_call(node) if isinstance(node, ast.Call) else None


def _unsafe_call(node: ast.Call) -> str | None:
    given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
    called = dotted(node.func)
    if called == "pickle.Unpickler":
        return "unpickles without restricting find_class"
    if called == "torch.load" and given.get("weights_only") is not True:
        return "calls torch.load without weights_only=True"
    if called in ("np.load", "numpy.load") and given.get("allow_pickle", False) is not False:
        return "lets numpy.load unpickle"
    return None
