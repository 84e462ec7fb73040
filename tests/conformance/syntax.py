"""Where a module's source names TensorRT, or what may be TensorRT's."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.scopes import Scopes, is_self, nodes

MOST_STEPS = 8  # from a name to what was assigned to what was assigned to it
MODULE_GETTERS = {"sys.modules.get", "import_module", "importlib.import_module"}
ATTRIBUTE_GETTERS = {"hasattr": 2, "getattr": 3, "setattr": 3}


@dataclass(frozen=True)
class Spot:
    """One place in a source that names something.

    Attributes:
        place: ``file:line``.
        name: Dotted and without the module for what is the module's, as in
            "BuilderFlag.FP16"; else one attribute's name.
        how: How many positional arguments the call has; "get" or "set" if it is none,
            "call" if they cannot be counted.
        keywords: Of the call, sorted.
        guarded: Whether it is evaluated only where TensorRT was asked first.
        indirect: Whether its owner is named for itself: in ``hasattr(trt.A, "B")``, or
            in ``a = trt.A; a.B``.
        end: Where the name ends in the text.
        call_end: Where the call's closing parenthesis is; -1 if it is none.
        keyword_starts: Where the keywords begin, in their order in ``keywords``.
    """

    place: str
    name: str
    how: int | str
    keywords: tuple[str, ...] = ()
    guarded: bool = False
    indirect: bool = False
    end: int = -1
    call_end: int = -1
    keyword_starts: tuple[int, ...] = ()


def aliases(tree: ast.AST) -> set[str]:
    """Names under which a module's code has TensorRT's module; "trt" is one wherever
    the module has it at all, as a parameter, say."""
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name for a in node.names if a.name == "tensorrt"}
        elif isinstance(node, ast.ImportFrom):
            if not node.level and str(node.module).split(".")[0] == "tensorrt":
                raise ValueError(
                    f"line {node.lineno}: import tensorrt as a whole: names taken out "
                    "of it are not followed."
                )
        elif _gives(node):
            found.add("trt")
        elif isinstance(node, ast.Assign | ast.NamedExpr) and _gives(node.value):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            found |= {t.id for t in targets if isinstance(t, ast.Name)}
    return found | {"trt"} if found else found


def _gives(node: ast.AST) -> bool:
    """``import_module("tensorrt")``, ``sys.modules["tensorrt"]`` and the like."""
    if isinstance(node, ast.Subscript):
        return ast.unparse(node) == "sys.modules['tensorrt']"
    if not isinstance(node, ast.Call) or not node.args:
        return False
    first = node.args[0]
    return (
        isinstance(first, ast.Constant)
        and first.value == "tensorrt"
        and ast.unparse(node.func) in MODULE_GETTERS
    )


class Reader:
    """Of one module."""

    def __init__(self, name: str, text: str, tree: ast.Module) -> None:
        self.name, self.tree, self.modules = name, tree, aliases(tree)
        self.lines = text.splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(map(len, self.lines))]
        self._scopes = Scopes(tree)
        self.parents = self._scopes.parents
        self.packages, self.siblings = self._imports()

    def named(self) -> Iterator[Spot]:
        """Names of the module itself."""
        for node in nodes(self.tree):
            if isinstance(node, ast.Attribute):
                dotted = self._dotted(node)
                if dotted and not isinstance(self.parents[node], ast.Attribute):
                    yield self._spot(node, dotted, self._is_guarded(node))
            elif (asked := _asked(node)) and self._dotted(asked[0]) is not None:
                dotted = f"{self._dotted(asked[0])}.{asked[1].value!s}".lstrip(".")
                yield self._quoted(asked[1], dotted)

    def attributes(self) -> Iterator[Spot]:
        """Attributes of objects that are not certainly something else's."""
        for node in nodes(self.tree):
            if isinstance(node, ast.Attribute):
                if self._dotted(node) is None and not self._is_ours(node.value):
                    yield self._spot(node, node.attr, False)
                continue
            asked = _asked(node)
            if asked and self._dotted(asked[0]) is None and not self._is_ours(asked[0]):
                yield self._quoted(asked[1], str(asked[1].value))

    def _imports(self) -> tuple[set[str], set[str]]:
        """Names that are imported from elsewhere, and from fuseg itself."""
        elsewhere, here = set(), set()
        for node in nodes(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {(a.asname or a.name).split(".")[0] for a in node.names}
                if isinstance(node, ast.ImportFrom) and node.level:
                    here |= names
                else:
                    elsewhere |= names
        return elsewhere - self.modules, here

    def _quoted(self, node: ast.Constant, name: str) -> Spot:
        end = self._end(node) - 1  # before the quote
        return Spot(self._place(node), name, "get", (), True, True, end)

    def _spot(self, node: ast.Attribute, name: str, guarded: bool) -> Spot:
        indirect = not ast.unparse(node).endswith(f".{name}")
        parent = self.parents[node]
        how: int | str = "get" if isinstance(node.ctx, ast.Load) else "set"
        words: list[ast.keyword] = []
        call_end = -1
        if isinstance(parent, ast.Call) and parent.func is node:
            words = [k for k in parent.keywords if k.arg]
            words.sort(key=lambda k: str(k.arg))
            starred = any(isinstance(a, ast.Starred) for a in parent.args)
            countable = not starred and len(words) == len(parent.keywords)
            how = len(parent.args) if countable else "call"
            call_end = self._end(parent) - 1
        starts = tuple(self._offset(k.lineno, k.col_offset) for k in words)
        names = tuple(str(k.arg) for k in words)
        place, end = self._place(node), self._end(node)
        return Spot(place, name, how, names, guarded, indirect, end, call_end, starts)

    def _place(self, node: ast.expr) -> str:
        return f"{self.name}:{node.end_lineno}"

    def _end(self, node: ast.expr) -> int:
        return self._offset(int(node.end_lineno or 0), int(node.end_col_offset or 0))

    def _offset(self, line: int, byte: int) -> int:
        before = self.lines[line - 1].encode()[:byte].decode()
        return self.starts[line - 1] + len(before)

    def _dotted(self, node: ast.AST | None, depth: int = 0) -> str | None:
        """For ``trt.A.B``, and for what was assigned from it, "A.B"; for ``trt`` and
        ``self._trt`` ""; else None."""
        if isinstance(node, ast.Name):
            if node.id in self.modules:
                return ""
            values = self._scopes.told(node).values if depth < MOST_STEPS else []
            dotted = {self._dotted(value, depth + 1) for value in values}
            return dotted.pop() if len(dotted) == 1 else None
        if not isinstance(node, ast.Attribute):
            return "" if node is not None and _gives(node) else None
        if is_self(node.value):
            return "" if node.attr.lstrip("_") in self.modules else None
        before = self._dotted(node.value, depth)
        return None if before is None else f"{before}.{node.attr}".lstrip(".")

    def _is_guarded(self, node: ast.AST) -> bool:
        """Beside a condition that asks TensorRT, or in an annotation."""
        while node in self.parents:
            child, node = node, self.parents[node]
            asked: list[ast.expr] = []
            if isinstance(node, ast.If | ast.IfExp | ast.While):
                asked = [node.test]
            elif isinstance(node, ast.BoolOp):
                asked = [value for value in node.values if value is not child]
            elif child is getattr(node, "annotation", getattr(node, "returns", None)):
                return True
            questions = (_asked(n) for test in asked for n in ast.walk(test))
            if child not in asked and any(
                q and self._dotted(q[0]) is not None for q in questions
            ):
                return True
        return False

    def _is_ours(self, node: ast.AST, depth: int = 0) -> bool:
        """Whether an object certainly is not TensorRT's: ``self``, what was imported,
        what is annotated as something else, what came out of any of these."""
        if depth > MOST_STEPS:
            return False
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.List | ast.Dict):
            return True
        if isinstance(node, ast.BinOp):
            return self._is_ours(node.left, depth) or self._is_ours(node.right, depth)
        root = node
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            if isinstance(root, ast.Attribute) and is_self(root.value):
                break
            root = root.func if isinstance(root, ast.Call) else root.value
        if isinstance(root, ast.Attribute):
            told = self._scopes.told_of_self(root.attr)
        elif not isinstance(root, ast.Name):
            return False
        elif root.id in self.packages or (root is node and root.id in self.siblings):
            return True
        elif root.id in ("self", "cls"):
            return root is node
        else:
            told = self._scopes.told(root)
        if told.annotation is not None:
            words = set(re.findall(r"\w+", ast.unparse(told.annotation)))
            if not words & {"Any", "object", *self.modules}:
                return root is node
        return bool(told.values) and all(
            self._is_ours(value, depth + 1) for value in told.values
        )


def _asked(node: ast.AST) -> tuple[ast.expr, ast.Constant] | None:
    """What ``hasattr(a, "b")`` and its sisters are about."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and ATTRIBUTE_GETTERS.get(node.func.id) == len(node.args)
        and isinstance(node.args[1], ast.Constant)
    ):
        return node.args[0], node.args[1]
    return None
