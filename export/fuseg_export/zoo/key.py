"""The code that a row's numbers come from: what its key changes with."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from functools import cache, partial
from importlib.util import resolve_name
from pathlib import Path
from textwrap import dedent
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..models import REFERENCE
from .row import Row

__all__ = ["code_of"]

_ROOT = Path(__file__).parents[1]
_PACKAGE = __name__.partition(".")[0]
# Files of these are followed to what they import. Beyond them lies the exporter.
_FOLLOWED = tuple(f"{_PACKAGE}.{name}" for name in ("models", "scenes", "training"))
_ROWS = f"{_PACKAGE}.zoo"
_ALWAYS = ("models.cost", "training.fit", "zoo.measure", "zoo.run")
_OPERATORS = f"{_PACKAGE}.models.fusion"  # imported by their names, as they are said


def code_of(row: Row) -> str:
    """A digest of the sources of a row's network, task and start, and of the runner.

    A file counts with all that it imports of networks, scenes and training; of a file
    of rows only the functions that the row names, with all that these name.
    """
    found = _Sources()
    for name in _ALWAYS:
        found.follow(f"{_PACKAGE}.{name}")
    found.add([row.model, row.task, row.prepare, row.learned])
    found.follow_operators()
    text = repr([found.said, sorted(found.files.items())])
    return hashlib.sha256(text.encode()).hexdigest()


class _Sources:
    """What was found so far: values and pieces of source, and texts of whole files."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.files: dict[str, str] = {}
        self._seen: set[int] = set()

    def add(self, value: Any) -> None:
        """A value, and the code that is behind it."""
        if isinstance(value, partial):
            self.add([value.func, value.args, value.keywords])
        elif isinstance(value, Mapping):
            if value is not REFERENCE:  # of these the ones whose names are said
                self.add([*value.items()])
        elif isinstance(value, list | tuple):
            for one in value:
                self.add(one)
        elif isinstance(value, ModuleType):
            self.follow(value.__name__)
        elif callable(value):
            self._add_code(inspect.unwrap(value))
        else:
            self.said.append(repr(value))
            if isinstance(value, str) and value in REFERENCE:
                self._add_model(value)

    def _add_model(self, name: str) -> None:
        model = REFERENCE[name]
        if id(model) not in self._seen:
            self._seen.add(id(model))
            spec = repr(model.spec).replace(str(_ROOT), "")
            self.said += [repr(model.words), spec]
            self.add(model.build)

    def _add_code(self, code: Any) -> None:
        """A function or a class."""
        module, name = code.__module__, code.__qualname__
        self.said.append(f"{module}:{name}")
        if id(code) in self._seen:
            return
        self._seen.add(id(code))
        self.follow(module)
        if isinstance(code, FunctionType) and _is_of(module, (*_FOLLOWED, _ROWS)):
            self.add([cell.cell_contents for cell in code.__closure__ or ()])
            self.add([code.__defaults__, code.__kwdefaults__])
        if isinstance(code, FunctionType) and _is_of(module, (_ROWS,)):
            text = dedent(inspect.getsource(code))
            self.said.append(text)
            for imported in _imports(text, module.rpartition(".")[0]):
                self.follow(imported)
            self.add([*_named(code.__code__, code.__globals__)])

    def follow(self, module: str) -> None:
        """A file of networks, scenes or training, data beside it, what it imports."""
        always = module.removeprefix(f"{_PACKAGE}.") in _ALWAYS
        if module in self.files or not (always or _is_of(module, _FOLLOWED)):
            return
        path = _path(module)
        if path is None:  # a class or a function that was imported
            return
        self.files[module] = text = _text(path)
        for data in sorted(path.parent.glob("*.json")):
            self.files[str(data.relative_to(_ROOT))] = _text(data)
        if _is_of(module, (_ROWS,)):
            return
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        for imported in _imports(text, package):
            self.follow(imported)
        if "iter_modules" in text and module != _OPERATORS:
            for beside in sorted(path.parent.iterdir()):
                self.follow(f"{module}.{beside.stem}")

    def follow_operators(self) -> None:
        """Those operators of fusion whose names are said, by values or in a file."""
        if _OPERATORS not in self.files:
            return
        texts = [*self.said, *self.files.values()]
        for path in sorted((_ROOT / "models" / "fusion").glob("*.py")):
            quoted = f"'{path.stem}'", f'"{path.stem}"'
            if any(quote in text for quote in quoted for text in texts):
                self.follow(f"{_OPERATORS}.{path.stem}")


def _named(code: CodeType, names: Mapping[str, Any]) -> Iterator[Any]:
    """The constants of a function, and the globals that it names."""
    for name in code.co_names:
        if name in names:
            yield names[name]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, names)
        else:
            yield constant


@cache
def _imports(text: str, package: str) -> tuple[str, ...]:
    """What a source imports: modules, and names that may be modules."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(found)


def _is_of(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(f"{p}.") for p in packages)


@cache
def _path(module: str) -> Path | None:
    """The file of a name in this package; None if it is no module."""
    whole = _ROOT.joinpath(*module.split(".")[1:])
    found = (whole / "__init__.py", whole.with_suffix(".py"))
    return next((path for path in found if path.is_file()), None)


@cache
def _text(path: Path) -> str:
    """Read once, so that a process keeps to the code that it runs."""
    return path.read_text()
