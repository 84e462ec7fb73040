"""What the TensorRT doubles have in common with pybind11: strict names, noted uses.

A class here is written once, as a template that has the members of all versions; a
version's class is made from it by `versioned`. Every use is noted, so that a test can
hold it against the real bindings of each version.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from .faults import Refused


class Use(NamedTuple):
    """One use of the module: of ``where``, a class or "trt".

    ``positional`` is the number of positional arguments of a call, or "get" or "set".
    """

    where: str
    member: str
    positional: int | str
    keywords: tuple[str, ...] = ()


class State:
    """Of one double: its version, what it was used for, and the machine it is on."""

    def __init__(self, machine: Any, version: str, module: Any) -> None:
        self.machine, self.version, self.module = machine, version, module
        self.is_rtx = version.startswith("rtx-")
        # Its parser and API are of the time of TensorRT 11.
        numbers = "11" if self.is_rtx else version
        self.number = tuple(int(n) for n in numbers.split("."))
        self.uses: list[Use] = []

    def note(self, *use: Any) -> None:
        self.uses.append(Use(*use))

    def has(self, member: Any) -> bool:
        """Whether this version has what a template has."""
        target = member
        if isinstance(member, property):
            target = member.fget or member.fset
        until = getattr(target, "_until", (1 << 30,))
        return getattr(target, "_since", ()) <= self.number < until

    def refused(self, call: str, logger: Any) -> bool:
        """Whether the machine lets this call fail, as TensorRT would say it: a log."""
        try:
            if self.machine is not None:
                self.machine.maybe_fail(call)
        except Refused as err:
            self.error(logger, f"{call}: {err}")
            return True
        return False

    def error(self, logger: Any, sentence: str) -> None:
        logger.log(self.module.Logger.Severity.ERROR, sentence)

    def warning(self, logger: Any, sentence: str) -> None:
        logger.log(self.module.Logger.Severity.WARNING, sentence)


def since(*version: int) -> Any:
    """Marks a template, or a member of one: it is there from this version on."""

    def mark(member: Any) -> Any:
        member._since = version
        return member

    return mark


def until(*version: int) -> Any:
    """As `since`: it is gone from this version on."""

    def mark(member: Any) -> Any:
        member._until = version
        return member

    return mark


_OF_TEMPLATES = {"__dict__", "__weakref__", "__module__", "__doc__", "_since", "_until"}


def versioned(template: type, state: State, *bases: type) -> type:
    """The class of ``template`` in the version of ``state``.

    What pybind11 refuses is refused: attributes that are not there, to be read or set.
    Members whose name begins with one underscore are the double's own.
    """
    name = template.__name__
    body: dict[str, Any] = {}
    for key, member in vars(template).items():
        if key in (
            "__dict__",
            "__weakref__",
            "__module__",
            "__doc__",
            "_since",
            "_until",
        ):
            continue
        if key.startswith("_") and not key.startswith("__"):
            body[key] = member
            continue
        if not state.has(member):
            continue
        if isinstance(member, property):
            body[key] = _noted_property(member, name, key, state)
        elif inspect.isfunction(member):
            body[key] = _noted_call(member, name, key, state)
        else:
            body[key] = member

    def __setattr__(self: Any, key: str, value: Any) -> None:
        if not key.startswith("_") and type(self).__module__ == _MADE:
            found = getattr(type(self), key, None)
            if not isinstance(found, property):
                raise AttributeError(f"{name!r} object has no attribute {key!r}")
        object.__setattr__(self, key, value)

    body |= {"__setattr__": __setattr__, "__module__": _MADE, "_state": state}
    return type(name, bases, body)


_MADE = "tensorrt.tensorrt"
_CONSTRUCTIBLE = {"Runtime", "Builder", "OnnxParser", "Logger", "ILogger"} | {
    "IProgressMonitor"
}


def _noted_call(
    function: Callable[..., Any], where: str, member: str, state: State
) -> Any:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            signature.bind(self, *args, **keywords)
        except TypeError as err:
            raise TypeError(
                f"{member}(): incompatible function arguments ({err})"
            ) from None
        if member != "__init__" or where in _CONSTRUCTIBLE:
            state.note(where, member, len(args), tuple(sorted(keywords)))
        return function(self, *args, **keywords)

    return call


def _noted_property(found: property, where: str, member: str, state: State) -> property:
    def get(self: Any) -> Any:
        if found.fget is None:
            raise AttributeError(f"property {member!r} of {where!r} has no getter")
        state.note(where, member, "get")
        return found.fget(self)

    def put(self: Any, value: Any) -> None:
        state.note(where, member, "set")
        found.fset(self, value)

    return property(get, put if found.fset is not None else None)


class _EnumType(type):
    def __getattribute__(cls, name: str) -> Any:
        value = super().__getattribute__(name)
        if isinstance(value, cls):
            cls._state.note(cls._where, name, "get")
        return value


def enum(name: str, state: State, values: dict[str, int], inside: str = "") -> type:
    """An enumeration as pybind11 makes it: no int, but int() of it is its value."""

    def __init__(self: Any, name: str, value: int) -> None:
        self.name, self.value = name, value

    made = _EnumType(
        name,
        (),
        {
            "__module__": _MADE,
            "__init__": __init__,
            "__int__": lambda self: self.value,
            "__index__": lambda self: self.value,
            "__eq__": lambda self, other: (
                type(other) is type(self) and other.value == self.value
            ),
            "__hash__": lambda self: hash(self.value),
            "__repr__": lambda self: (
                f"<{type(self).__name__}.{self.name}: {self.value}>"
            ),
            "_state": state,
            "_where": inside + name,
        },
    )
    members = {key: made(key, value) for key, value in values.items()}
    for key, member in members.items():
        setattr(made, key, member)
    made.__members__ = members
    return made


def dims(state: State, value: Any) -> tuple[int, ...]:
    """What a ``Dims`` may be made from: a tuple or a list of whole numbers, or one."""
    if not isinstance(value, (tuple, list, state.module.Dims)):
        raise TypeError(f"incompatible function arguments: {value!r} is no Dims")
    return tuple(expect(side, int, "Dims") for side in value)


def expect(value: Any, kind: type, what: str) -> Any:
    """pybind11's TypeError unless ``value`` is of this class and was made properly."""
    subclassed = kind.__name__ in ("ILogger", "IProgressMonitor")
    if subclassed and isinstance(value, kind) and not hasattr(value, "_made"):
        raise TypeError(f"{kind.__name__}.__init__() must be called")
    if not isinstance(value, kind):
        raise TypeError(
            f"{what}: incompatible function arguments: {type(value).__name__} is no "
            f"{kind.__name__}"
        )
    return value
