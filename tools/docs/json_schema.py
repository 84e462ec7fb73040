"""JSON Schemas of the manifest and of a spec file, from the dataclasses.

They say what fields say: keys, types, words, lengths, ranges, defaults. How keys fit
each other is in their descriptions; fuseg checks that when it reads a file.
"""

from __future__ import annotations

import copy
import json
import types
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

from fuseg.manifest import FORMAT, Manifest
from fuseg_export.network.spec import Spec
from record_keys import REQUIRED, keys, without_null

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string", "minLength": 1, "maxLength": 1000},
}
# Given by --input and --stack, or measured on the frames.
NOT_IN_A_SPEC = ("name", "kind", "tensor", "channel", "statistics")


def manifest() -> str:
    defs: dict[str, Any] = {}
    whole = record(Manifest, defs)
    whole["properties"]["format"]["const"] = FORMAT
    return document("Manifest of a fuseg bundle", whole, defs)


def spec() -> str:
    """Inputs by name, each with some of the keys of the manifest's."""
    defs: dict[str, Any] = {}
    whole = record(Spec, defs)
    record(Manifest, defs)
    # A spec does not say the kind: --input does.
    inputs = defs["ColorInput"] | {"properties": {}}
    for name in ("ColorInput", "DepthInput", "PlaneInput"):
        inputs["properties"] |= defs[name]["properties"]
    for name in NOT_IN_A_SPEC:
        del inputs["properties"][name]
    kept = {"Resize", "Missing", "Class"}
    defs = {name: entry for name, entry in defs.items() if name in kept}
    defs["Input"] = inputs
    for name in ("Input", "Resize", "Missing"):  # merged with the defaults
        defs[name].pop("required", None)
        for entry in defs[name]["properties"].values():
            entry.pop("default", None)
    whole["properties"]["inputs"]["additionalProperties"] = ref("Input")
    whole["properties"]["classes"] |= {
        "items": {"anyOf": [SCALARS[str], ref("Class")]},
        "minItems": 1,
        "maxItems": 255,
    }
    for entry in whole["properties"].values():
        del entry["default"]
    return document("Spec file of fuseg export", whole, defs)


def document(title: str, whole: dict[str, Any], defs: dict[str, Any]) -> str:
    top = {"$schema": DIALECT, "title": title, **whole, "$defs": defs}
    return json.dumps(top, indent=1) + "\n"


def record(cls: type, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object; those below it go into ``defs``."""
    properties = {}
    for key in keys(cls):
        hint = without_null(key.hint) if cls is Spec else key.hint
        entry = copy.deepcopy(schema(hint, defs))
        if key.limits is not None:
            bounds = {"minimum": key.limits.low}
            if key.limits.high is not None:
                bounds["maximum"] = key.limits.high
            entry.get("items", entry).update(bounds)
        entry["description"] = key.meaning
        if key.default is not REQUIRED:
            entry["default"] = key.default
        properties[key.name] = entry
    required = [key.name for key in keys(cls) if key.default is REQUIRED]
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    return whole | {"additionalProperties": False}


def schema(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type hint."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        options = union([schema(arg, defs) for arg in args])
        records = list(filter(is_dataclass, args))
        for arg in records if len(records) > 1 else ():  # told apart by their kind
            kinds = defs[arg.__name__]
            kinds["required"] = sorted({"kind", *kinds["required"]})
            kinds["properties"]["kind"].pop("default", None)
        return options
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        items = {"type": "array", "items": schema(args[0], defs)}
        if args[-1] is not Ellipsis:
            items |= {"minItems": len(args), "maxItems": len(args)}
        return items
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(args[1], defs)}
    if hint is types.NoneType:
        return {"type": "null"}
    if is_dataclass(hint):
        if hint.__name__ not in defs:
            defs[hint.__name__] = record(hint, defs)  # type: ignore[arg-type]
        return ref(hint.__name__)
    return {} if hint is Any else SCALARS[hint]


def union(options: list[dict[str, Any]]) -> dict[str, Any]:
    plain = all(option.keys() == {"type"} for option in options)
    return {"type": [o["type"] for o in options]} if plain else {"anyOf": options}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}
