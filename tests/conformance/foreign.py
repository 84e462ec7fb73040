"""Attributes that need no TensorRT to be explained."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from conformance.scopes import is_self, nodes
from conformance.uses import PACKAGE, Source


def explained(source: Source) -> frozenset[str]:
    """Attributes of Python's own types, of what this module imports, and of what is
    defined in it."""
    found = _of(builtins) | _defined(source.tree)
    for module in _imported(source.tree):
        found |= _of(module)
    for definition in _siblings(source):
        found |= _defined(definition)
    return found


@functools.cache
def _of(module: ModuleType) -> frozenset[str]:
    classes = [v for v in vars(module).values() if inspect.isclass(v)]
    return frozenset(n for thing in (module, *classes) for n in dir(thing))


def _imported(tree: ast.Module) -> set[ModuleType]:
    names = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module))
    return {importlib.import_module(name) for name in names - {"tensorrt"}}


def _siblings(source: Source) -> Iterator[ast.AST]:
    """What a module imports from fuseg: classes, those that a function returns, whole
    modules."""
    for node in nodes(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (PACKAGE / source.name).parents[node.level - 1]
            base = base.joinpath(*(node.module or "").split("."))
            tree = _parsed(base)
            for name in (alias.name for alias in node.names):
                yield from _classes(tree, name)
                yield _parsed(base / name)


@functools.cache
def _parsed(path: Path) -> ast.Module:
    files = [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()]
    return ast.parse(files[0].read_text()) if files else ast.Module([], [])


def _classes(tree: ast.Module, name: str) -> Iterator[ast.ClassDef]:
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    if name in classes:
        yield classes[name]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name and node.returns:
            words = (n.id for n in ast.walk(node.returns) if isinstance(n, ast.Name))
            yield from (classes[word] for word in words if word in classes)


@functools.lru_cache(64)
def _defined(tree: ast.AST) -> frozenset[str]:
    """Functions, classes, fields, globals, attributes of self."""
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.Module | ast.ClassDef):
            lines = [n for n in node.body if isinstance(n, ast.Assign | ast.AnnAssign)]
            found |= {
                name.id
                for line in lines
                for name in ast.walk(line)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and is_self(node.value)
        ):
            found.add(node.attr)
    return frozenset(found)
