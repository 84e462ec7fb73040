"""Uses of TensorRT, held against what its versions really have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from conformance import foreign
from conformance.bindings import Api, Class, Member
from conformance.syntax import Spot
from conformance.uses import Source, Use

# What a double's classes have beside their public members; the rest is Python's own.
PROTOCOLS = ("__len__", "__getitem__", "__setitem__", "__iter__", "__contains__")


def recorded(api: Api, uses: Iterable[Use]) -> list[str]:
    """One sentence for each recorded use that this version would refuse."""
    wrong = (_refusal(api, use) for use in sorted(set(uses), key=repr))
    return [f"TensorRT {api.version}: {sentence}." for sentence in wrong if sentence]


def written(
    sources: Collection[Source],
    apis: Collection[Api],
    runs: Mapping[str, Collection[Use]],
) -> list[str]:
    """One sentence for each place in the sources that no version explains.

    Args:
        sources: As from `uses.read`.
        apis: The versions that fuseg supports.
        runs: What the doubles recorded, by version.
    """
    uses = {use for run in runs.values() for use in run}
    found: list[str] = []
    for source in sources:
        known = foreign.explained(source)
        for spot in source.named:
            found += _named(spot, apis, uses)
        for spot in source.attributes:
            found += _attribute(spot, apis, uses, known)
    return found


def members_of(apis: Iterable[Api]) -> frozenset[str]:
    """Names of the members of any class of any of these versions."""
    return frozenset(name for api in apis for name in api.members)


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


def _named(spot: Spot, apis: Collection[Api], uses: set[Use]) -> Iterator[str]:
    owner, _, last = spot.name.rpartition(".")
    having = {api.version: m for api in apis if (m := _resolve(api, spot.name))}
    lacking = [api.version for api in apis if api.version not in having]
    # A name that a run recorded was reached only in versions that have it.
    met = any((u.where, u.member) == (owner or "trt", last) for u in uses)
    if not having:
        if spot.indirect and owner and not any(_resolve(api, owner) for api in apis):
            return  # the owner is named for itself
        yield f"{spot.place}: no version of TensorRT has trt.{spot.name}."
    elif lacking and not (spot.guarded or met):
        versions = ", ".join(lacking)
        yield (
            f"{spot.place}: trt.{spot.name} is not in {versions}, and nothing asks for "
            "it first."
        )
    elif isinstance(spot.how, int):
        # Called through its class, a method is given its object too.
        given = replace(spot, how=spot.how - 1) if owner else spot
        if not any(
            _takes(api, having[api.version], given)
            for api in apis
            if api.version in having
        ):
            yield f"{spot.place}: trt.{spot.name} does not take {_spell(given)}."


def _attribute(
    spot: Spot, apis: Collection[Api], uses: set[Use], known: frozenset[str]
) -> Iterator[str]:
    """Nothing is asked of a name that is TensorRT's and another's too."""
    if spot.name in known:
        return
    members = [(api, m) for api in apis for m in api.members.get(spot.name, ())]
    same = [use for use in uses if use.member == spot.name]
    if not members:
        yield f"{spot.place}: no class of TensorRT, and nothing else, has {spot.name}."
    elif isinstance(spot.how, int) and not any(
        _takes(api, member, spot) for api, member in members
    ):
        yield f"{spot.place}: {spot.name} does not take {_spell(spot)}."
    elif not any(_alike(spot, use) for use in same):
        yield f"{spot.place}: no run of the doubles has {spot.name}{_spell(spot)}."


def _alike(spot: Spot, use: Use) -> bool:
    if spot.how in ("call", "get"):  # a method can be taken without being called
        return True
    return (spot.how, spot.keywords) == (use.positional, use.keywords)


def _takes(api: Api, member: Member, call: Use | Spot) -> bool:
    positional = call.positional if isinstance(call, Use) else call.how
    if not isinstance(positional, int):
        return True
    if member.kind == "class":
        member = api.classes[member.of].members["__init__"]
    return any(c.takes(positional, call.keywords) for c in member.calls)


def _class(api: Api, name: str) -> Class | None:
    """By its own name: a nested class is recorded without those around it."""
    for qualified, found in api.classes.items():
        if qualified == name or qualified.endswith(f".{name}"):
            return found
    return None


def _resolve(api: Api, dotted: str) -> Member | None:
    members: Mapping[str, Member] | None = api.module
    member = None
    for part in dotted.split("."):
        if members is None:
            return member  # of what a call or a property gives
        member = members.get(part)
        if member is None:
            return None
        found = api.classes.get(member.of)
        members = found.members if found else None
    return member


def _spell(call: Use | Spot) -> str:
    positional = call.positional if isinstance(call, Use) else call.how
    if not isinstance(positional, int):
        return " = ..." if positional == "set" else ""
    arguments = [*"_" * positional, *(f"{k}=" for k in call.keywords)]
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
