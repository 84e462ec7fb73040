"""Manifests of format 1 as they are written in format 2.

Format 1 is one graph from inputs that are pictures to one segmentation. Inputs, the
output and variants state what are now `tensors` and `graphs`. Nothing is checked here
but what is moved: a `Manifest` checks the result.
"""

from __future__ import annotations

from typing import Any

from ..errors import ManifestError
from .schema import require, spell

__all__ = ["upgrade"]

_GRAPH = "net"


def upgrade(old: dict[str, Any]) -> dict[str, Any]:
    """A manifest of format 1, as JSON has it, in format 2.

    Raises:
        ManifestError: a part that is moved is missing or is no part of format 1.
    """
    new = {**old, "format": 2}
    for key in ("dimensions", "tensors", "states", "graphs"):
        require(key not in old, f"{key} is not a key of format 1.")
    tensors: dict[str, Any] = {}
    inputs, reads = [], []
    for path, entry in _objects(old, "inputs"):
        given = _object(entry.get("tensor"), f"{path}.tensor")
        _require_keys(given, f"{path}.tensor", {"name", "shape"}, {"dtype", "channel"})
        name = _text(given["name"], f"{path}.tensor.name")
        tensor = {k: given[k] for k in ("dtype", "shape") if k in given}
        require(
            tensors.setdefault(name, tensor) == tensor,
            f"{path}.tensor must be what an earlier input says of {name[:80]!r}.",
        )
        reads += [name] * (name not in reads)
        channel = {"channel": given["channel"]} if "channel" in given else {}
        kept = {key: value for key, value in entry.items() if value is not None}
        inputs.append({**kept, "tensor": name, **channel})
    outputs = []
    for path, entry in _objects(old, "outputs"):
        given = _object(entry.get("tensor"), f"{path}.tensor")
        _require_keys(given, f"{path}.tensor", {"name", "shape"}, {"dtype"})
        name = _text(given["name"], f"{path}.tensor.name")
        require(
            name not in tensors,
            f"{path}.tensor.name must differ from the other tensors', got "
            f"{name[:80]!r}.",
        )
        tensors[name] = {k: given[k] for k in ("dtype", "shape") if k in given}
        outputs.append({"kind": "segmentation", **entry, "tensor": name})
    require(len(outputs) == 1, f"outputs must be one in format 1, got {len(outputs)}.")
    variants, networks = [], {}
    for path, entry in _objects(old, "variants"):
        kept = dict(entry)
        network = {k: kept.pop(k) for k in ("file", "opset", "ir_version") if k in kept}
        networks[_text(entry.get("name"), f"{path}.name")] = network
        variants.append(kept)
    samples = []
    for path, entry in _objects(old, "samples", optional=True):
        _require_keys(entry, path, {"frames", "labels"})
        labels = outputs[0].get("name", "labels")
        require(isinstance(labels, str), "outputs[0].name must be a string.")
        samples.append(
            {"inputs": entry["frames"], "outputs": {labels: entry["labels"]}}
        )
    graph = {"name": _GRAPH, "reads": reads, "networks": networks}
    graph["writes"] = [output["tensor"] for output in outputs]
    new |= {"tensors": tensors, "inputs": inputs, "graphs": [graph]}
    new |= {"variants": variants, "outputs": outputs}
    if "samples" in old:
        new["samples"] = samples
    return new


def _objects(
    old: dict[str, Any], key: str, *, optional: bool = False
) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a list of objects, with their paths."""
    if optional and key not in old:
        return []
    require(key in old, f"{key} is missing: it must be a list.")
    require(isinstance(old[key], list), f"{key} must be a list, got {spell(old[key])}.")
    return [
        (f"{key}[{index}]", _object(entry, f"{key}[{index}]"))
        for index, entry in enumerate(old[key])
    ]


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(f"{path} must be an object, got {spell(value)}.")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise ManifestError(f"{path} must be a string, got {spell(value)}.")
    return value


def _require_keys(
    value: dict[str, Any], path: str, needed: set[str], optional: set[str] | None = None
) -> None:
    known = needed | (optional or set())
    for key in value:
        require(
            key in known,
            f"{path}.{key[:60]!a} is not a key of the format; known here: "
            f"{', '.join(sorted(known))}.",
        )
    for key in sorted(needed):
        require(key in value, f"{path}.{key} is missing.")
