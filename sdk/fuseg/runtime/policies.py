"""The missing-sensor policies of a Segmenter: the bundle's, as changed at load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ArgumentError, Fault, ManifestError
from ..manifest import Manifest, TextInput

Changes = Mapping[str, Mapping[str, Any]]


def in_force(manifest: Manifest, changes: Changes | None, *, hold: bool) -> Manifest:
    """The manifest with the policies and limits that the user wants.

    Args:
        changes: By input name, the keys of ``missing`` that are to differ.
        hold: Whether a policy ``hold`` stays; else its ``then`` takes its place.

    Raises:
        ArgumentError: a name is no input, or a policy breaks the manifest's schema.
    """
    if not isinstance(hold, bool):
        raise ArgumentError(f"hold must be True or False, got {hold!r}.")
    policies = {entry.name: entry.missing for entry in manifest.sensors}
    first = manifest.sensors[0].name
    example = f"{{{first!r}: {{'policy': 'substitute'}}}}"
    wanted = {} if changes is None else changes
    for name, keys in require_mapping("missing", wanted, example).items():
        if name not in policies:
            problem = f"must name inputs of the bundle ({', '.join(policies)}), got "
            raise ArgumentError.of(Fault("missing", None, f"{problem}{name!r}."))
        argument = f"missing[{name!r}]"
        keys = require_mapping(argument, keys, "{'policy': 'substitute'}")
        try:
            policies[name] = policies[name].changed(keys)
        except ManifestError as err:
            raise ArgumentError(f"{argument}.{err}") from None
    if not hold:
        policies = {name: policy.without_hold() for name, policy in policies.items()}
    inputs = tuple(
        i if isinstance(i, TextInput) else replace(i, missing=policies[i.name])
        for i in manifest.inputs
    )
    return manifest if inputs == manifest.inputs else replace(manifest, inputs=inputs)


def without_hold(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The changes by which no input holds a frame: what is held follows its ``then``.

    Unlike ``hold=False`` of `fuseg.load` it leaves states as they are.
    """
    return {
        entry.name: {"policy": entry.missing.then}
        for entry in manifest.sensors
        if entry.missing.then is not None
    }


def require_mapping(argument: str, value: object, example: str) -> Mapping[Any, Any]:
    """Refuse an argument of `fuseg.load` that is no mapping."""
    if isinstance(value, Mapping):
        return value
    raise ArgumentError(f"{argument} must be a dict, as in {example}, got {value!r}.")
