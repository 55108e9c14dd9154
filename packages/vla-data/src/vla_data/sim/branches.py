"""Which branch of a scripted expert chose an action: the phase of a demonstration.

The experts of the Meta-World wheel are chains of `if … return`: where to move next, and what to do with the
gripper. A policy's module is read once as a syntax tree, a note of its number is put before every such
return, and the class compiled from it takes the place of the wheel's. Every expression stays as it was, so
actions do not change by a bit, and no tracing slows the loop.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

from vla_data.errors import SimError

NOTES = "__branches__"  # what the rewritten module calls the mapping it writes to
RETURNS = {"_desired_pos": "target", "_grab_effort": "gripper"}
MOVE = "delta_pos"  # the part of an action that moves the hand, where a policy chooses in `get_action` itself


@dataclass(frozen=True)
class Branching:
    """A policy class that notes its branches.

    Args:
        policy: behaves as the wheel's class does.
        taken: "target" and "gripper" → the branch its last action came from, in order of the source.
            All instances share it: read it right after `get_action`.
        targets: how many branches choose a target.
    """

    policy: type
    taken: dict[str, int]
    targets: int


@cache
def branching(kind: type) -> Branching:
    """`kind`, a scripted policy of the wheel, with its branches noted.

    Raises:
        SimError: the wheel was installed without its sources.
    """
    module = importlib.import_module(kind.__module__)
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError) as error:
        raise SimError(
            "the branches of a scripted expert cannot be read",
            where=kind.__module__,
            expected="the source of the installed package",
            got=str(error),
            next_step="install metaworld from its wheel",
        ) from error
    methods = [
        f for c in tree.body if isinstance(c, ast.ClassDef) and c.name == kind.__name__ for f in c.body
    ]
    chooses = any(isinstance(f, ast.FunctionDef) and f.name == "_desired_pos" for f in methods)
    targets = 1
    for method in methods:
        if isinstance(method, ast.FunctionDef):
            numbering = _Numbering(method.name, chooses)
            numbering.visit(method)
            targets = max(targets, numbering.counts["target"])
    taken = {"target": 0, "gripper": 0}
    namespace: dict[str, Any] = {"__name__": kind.__module__, NOTES: taken}
    exec(compile(ast.fix_missing_locations(tree), inspect.getfile(kind), "exec"), namespace)
    return Branching(namespace[kind.__name__], taken, targets)


class _Numbering(ast.NodeTransformer):
    """Puts a note before each place where a method chooses, numbered in order of the source.

    Args:
        method: the method's name.
        chooses: the class has a method of its own for targets, so that `get_action` does not choose any.
    """

    def __init__(self, method: str, chooses: bool) -> None:
        self.counts = {"target": 0, "gripper": 0}
        self._of_returns = RETURNS.get(method)
        self._of_moves = "target" if method == "get_action" and not chooses else None

    def visit_Return(self, node: ast.Return) -> Any:
        return [self._note(self._of_returns), node] if self._of_returns else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        target = node.targets[0]
        moves = isinstance(target, ast.Subscript) and ast.unparse(target.slice) == repr(MOVE)
        return [self._note(self._of_moves), node] if moves and self._of_moves else node

    def _note(self, kind: str) -> ast.stmt:
        number = self.counts[kind]
        self.counts[kind] += 1
        return ast.parse(f"{NOTES}[{kind!r}] = {number}").body[0]
