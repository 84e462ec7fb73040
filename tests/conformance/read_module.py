"""Prints what a TensorRT module has, as JSON. `bindings.py` runs it in a child.

Nothing is instantiated: over empty libraries a Runtime or a plugin is a crash. For the
same reason the child ends without a finaliser.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

Described = dict[str, Any]


def describe(value: Any, classes: dict[str, Described]) -> Described:
    if isinstance(value, property):
        return {"kind": "property", "settable": value.fset is not None}
    if isinstance(value, type):
        describe_class(value, classes)
        return {"kind": "class", "of": value.__qualname__}
    if isinstance(value, staticmethod):
        value = value.__func__
    if isinstance(value, FunctionType):
        return {"kind": "call", "doc": f"{value.__name__}{inspect.signature(value)}"}
    if callable(value):
        return {"kind": "call", "doc": value.__doc__ or ""}
    return {"kind": "value", "of": type(value).__qualname__}


def describe_class(found: type, classes: dict[str, Described]) -> None:
    if found.__qualname__ in classes:
        return
    entry: Described = {"members": {}, "enum": None}
    classes[found.__qualname__] = entry
    if hasattr(found, "__members__"):
        entry["enum"] = {n: int(v) for n, v in found.__members__.items()}
    pythons = [vars(base) for base in found.__mro__ if base.__module__ == "builtins"]
    for name in dir(found):
        value = inspect.getattr_static(found, name)
        if any(python.get(name) is value for python in pythons):
            continue
        if name.startswith("__") or not name.startswith("_"):
            entry["members"][name] = describe(value, classes)


def describe_module(module: ModuleType) -> Described:
    classes: dict[str, Described] = {}
    names = [n for n in dir(module) if not n.startswith("_")]
    members = {
        name: describe(value, classes)
        for name in names
        if not isinstance(value := getattr(module, name), ModuleType)
    }
    members["__version__"] = {"kind": "value", "of": "str"}
    return {"version": module.__version__, "module": members, "classes": classes}


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    json.dump(describe_module(import_module(sys.argv[2])), sys.stdout)
    sys.stdout.flush()
    os._exit(0)
