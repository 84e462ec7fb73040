"""What a module's source tells of its variables."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Assigning = ast.Assign | ast.AnnAssign | ast.For | ast.withitem | ast.NamedExpr
Scope = ast.FunctionDef | ast.Module


@functools.lru_cache(64)
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All of it; asked for again and again."""
    return tuple(ast.walk(tree))


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


@dataclass
class Told:
    """Of one variable or parameter: its annotation, and all that is assigned to it, or
    given for it in calls from the same module."""

    annotation: ast.expr | None = None
    values: list[ast.expr] = field(default_factory=list)


class Scopes:
    """Of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self.parents = {
            child: node for node in nodes(tree) for child in ast.iter_child_nodes(node)
        }
        self._known: dict[ast.AST, dict[str, Told]] = {}
        self._attributes = _names(nodes(tree), of_self=True)
        self._calls: dict[str, list[ast.Call]] = {}
        for node in nodes(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self._calls.setdefault(node.func.id, []).append(node)

    def told_of_self(self, attribute: str) -> Told:
        """What any class here assigns to ``self.attribute``."""
        return self._attributes.get(attribute, Told())

    def told(self, name: ast.Name) -> Told:
        """By the innermost function around the name that has it, or by the module."""
        node: ast.AST = name
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, Scope):
                if node not in self._known:
                    self._known[node] = _names(_own(node))
                    if isinstance(node, ast.FunctionDef):
                        self._add_arguments(node)
                if name.id in self._known[node]:
                    return self._known[node][name.id]
        return Told()

    def _add_arguments(self, function: ast.FunctionDef) -> None:
        for call in self._calls.get(function.name, []):
            for parameter, value in zip(function.args.args, call.args, strict=False):
                self._known[function][parameter.arg].values.append(value)


def _names(given: Iterable[ast.AST], of_self: bool = False) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for node in given:
        if isinstance(node, ast.arg) and not of_self:
            found[node.arg] = Told(node.annotation)
        elif isinstance(node, Assigning):
            for target, value in _assigned(node):
                if name := _name(target, of_self):
                    told = found.setdefault(name, Told())
                    if isinstance(node, ast.AnnAssign):
                        told.annotation = node.annotation
                    told.values.append(value)
    return found


def _name(target: ast.expr, of_self: bool) -> str | None:
    if isinstance(target, ast.Attribute):
        return target.attr if of_self and is_self(target.value) else None
    return target.id if isinstance(target, ast.Name) and not of_self else None


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """What is in it, but in no function of its own."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from _own(node)


def _assigned(node: Assigning) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Target and value, of each name if it has several."""
    if isinstance(node, ast.For):
        yield node.target, ast.Subscript(node.iter, ast.Constant(0))
    elif isinstance(node, ast.withitem):
        if node.optional_vars is not None:
            yield node.optional_vars, ast.Call(node.context_expr, [], [])
    elif node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            targets = target.elts if isinstance(target, ast.Tuple) else []
            values = node.value.elts if isinstance(node.value, ast.Tuple) else []
            if targets and len(targets) == len(values):
                yield from zip(targets, values, strict=True)
            else:
                yield target, node.value
