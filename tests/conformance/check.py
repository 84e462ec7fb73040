"""Uses of TensorRT, held against what its versions really have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.bindings import Api, Class, Member
from doubles.tensorrt_api import Use

# What a double's classes have beside their public members; the rest is Python's own.
PROTOCOLS = ("__len__", "__getitem__", "__setitem__", "__iter__", "__contains__")


def recorded(api: Api, uses: Iterable[Use]) -> list[str]:
    """One sentence for each recorded use that this version would refuse."""
    wrong = (_refusal(api, use) for use in sorted(set(uses), key=repr))
    return [f"TensorRT {api.version}: {sentence}." for sentence in wrong if sentence]


def _refusal(api: Api, use: Use) -> str | None:
    if use.where == "trt":
        members = api.module
    else:
        found = _class(api, use.where)
        if found is None:
            return f"no class {use.where}, used for its {use.member}"
        members = found.members
    member = members.get(use.member)
    if member is None:
        return f"{use.where} has no {use.member}"
    if use.positional == "set":
        settable = member.kind == "property" and member.settable
        return None if settable else f"{use.where}.{use.member} cannot be set"
    if use.positional == "get" or _takes(api, member, use):
        return None
    return f"{use.where}.{use.member} does not take {_spell(use)}"


def _takes(api: Api, member: Member, use: Use) -> bool:
    if not isinstance(use.positional, int):
        return True
    if member.kind == "class":
        member = api.classes[member.of].members["__init__"]
    return any(c.takes(use.positional, use.keywords) for c in member.calls)


def _class(api: Api, name: str) -> Class | None:
    """By its own name: a nested class is recorded without those around it."""
    for qualified, found in api.classes.items():
        if qualified == name or qualified.endswith(f".{name}"):
            return found
    return None


def _spell(use: Use) -> str:
    if not isinstance(use.positional, int):
        return ""
    arguments = [*"_" * use.positional, *(f"{k}=" for k in use.keywords)]
    return f"({', '.join(arguments)})"


def double(made: Api, api: Api) -> list[str]:
    """One sentence for each thing that a double has and its version has not."""
    wrong: list[str] = []
    for name, member in made.module.items():
        wrong += _surplus(f"trt.{name}", member, api.module.get(name))
    for name, found in made.classes.items():
        true = _class(api, name)
        if true is None:
            wrong.append(f"no class {name}")
            continue
        for key, member in found.members.items():
            if not key.startswith("_") or key in PROTOCOLS:
                wrong += _surplus(f"{name}.{key}", member, true.members.get(key))
        numbers = true.enum or {}
        wrong += [
            f"{name}.{key} is {numbers.get(key)}, not {number}"
            for key, number in (found.enum or {}).items()
            if numbers.get(key) != number
        ]
    return [f"TensorRT {api.version}: {sentence}." for sentence in wrong]


def _surplus(name: str, made: Member, true: Member | None) -> Iterator[str]:
    if true is None:
        yield f"no {name}"
    elif made.kind != true.kind and (made.kind, true.kind) != ("value", "property"):
        yield f"{name} is a {true.kind}, not a {made.kind}"
    elif made.settable and not true.settable:
        yield f"{name} cannot be set"
    else:
        for call in made.calls:
            for use in call.shapes():
                if not any(c.takes(*use) for c in true.calls):
                    yield f"{name} does not take {_spell(Use('', '', *use))}"
