"""``--input``, ``--stack`` and ``--spec`` as the manifest's pictures.

A foreign network says nothing about its sensors, so each kind has the usual
preprocessing as its default, and a spec file overrides any of it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fuseg.errors import ArgumentError, ManifestError
from fuseg.manifest import ImageInput
from fuseg.manifest.inputs import IMAGES

from ..inputs import KINDS
from .spec import merged_keys

__all__ = ["FIXED", "FORM", "describe", "make_inputs", "require_known"]

FORM = "NAME=KIND:HEIGHTxWIDTH, as in rgb=color:480x640"
_WORD = re.compile(
    r"(?P<name>[^=]+)=(?P<kind>[^:]+):(?P<height>\d+)x(?P<width>\d+)(:(?P<dtype>\w+))?"
)
# Given by --input and --stack, or measured on the frames.
FIXED = ("name", "kind", "tensor", "channel", "statistics")

_DEFAULTS: dict[str, dict[str, Any]] = {
    "color": {
        "dtype": "uint8",
        "channels": "RGB",
        "resize": {"filter": "bilinear"},
        "scale": 1 / 255,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "depth": {
        "dtype": "uint16",
        "unit": "mm",
        "invalid": [0, 65535],
        "resize": {"filter": "nearest"},
        "scale": 0.001,  # metres
    },
    "thermal": {
        "dtype": "uint16",
        "unit": "1",
        "resize": {"filter": "nearest"},
        "scale": 1 / 65535,
    },
    "range": {
        "dtype": "float32",
        "unit": "m",
        "invalid": [0],
        "resize": {"filter": "nearest"},
        "scale": 1.0,
    },
    "plane": {
        "dtype": "float32",
        "resize": {"filter": "nearest"},
        "scale": 1.0,
    },
}


# Of frames of another type: one step, what is no reading, and the scale to metres or to
# 0 to 1. Nothing is known of a plane's numbers.
_LENGTHS: dict[str, dict[str, Any]] = {
    "uint8": {"unit": "1", "invalid": [], "scale": 1 / 255},
    "uint16": {"unit": "mm", "invalid": [0, 65535], "scale": 0.001},
    "float32": {"unit": "m", "invalid": [0], "scale": 1.0},
}
_BY_DTYPE: dict[str, dict[str, dict[str, Any]]] = {
    "depth": _LENGTHS,
    "range": _LENGTHS,
    "thermal": {
        "uint8": {"scale": 1 / 255},
        "uint16": {"scale": 1 / 65535},
        "float32": {"scale": 1.0},
    },
}


def make_inputs(
    words: Sequence[str], stacks: Sequence[str], spec: Mapping[str, Any]
) -> tuple[ImageInput, ...]:
    """Make the manifest's pictures from options like ``rgb=color:480x640``.

    Args:
        words: One per sensor, in the order of the forward's positional arguments; with
            the frames' element type where it is not the usual one, as in
            ``thermal=thermal:480x640:uint8``.
        stacks: Names joined by commas, as in ``rgb,thermal``: these sensors fill one
            tensor, in this order. It takes the place of the first of them.
        spec: By input name, what differs from the kind's defaults.

    Raises:
        ArgumentError: An option has the wrong form, names do not fit, or the result is
            not an input of a manifest.
    """
    if not words:
        raise ArgumentError(
            f"--input must be given for every input of a network that is not one of "
            f"fuseg's own: {FORM}."
        )
    drafts: dict[str, dict[str, Any]] = {}
    dtypes: dict[str, str | None] = {}  # that options say
    for word in words:
        name, dtype, draft = _parse(word)
        if name in drafts:
            raise ArgumentError(
                f"--input must name every input once, got {name} twice."
            )
        drafts[name], dtypes[name] = draft, dtype
    return _finish(_merge(drafts, spec, dtypes), _parse_stacks(stacks, list(drafts)))


def describe(sensor: ImageInput) -> str:
    """One sentence on how an input's frames become its tensor."""
    changed = ""
    if sensor.kind == "color":
        values, invalid = f"{sensor.dtype} {sensor.channels}", ""
    else:
        values = str(sensor.dtype)
        if sensor.kind != "plane":
            values += f" in {sensor.unit}"
        none = ", ".join(map(str, sensor.invalid))
        invalid = f", invalid {none}" * bool(none)
        if sensor.clip is not None:
            changed += ", clipped to {:g} to {:g}".format(*sensor.clip)
        if sensor.transform is not None:
            changed += f", {sensor.transform}"
        if sensor.percentiles is not None:
            changed += " of percentiles {:g} to {:g}".format(*sensor.percentiles)
    mean, std = (
        ", ".join(f"{v:g}" for v in numbers) for numbers in (sensor.mean, sensor.std)
    )
    return (
        f"{sensor.name}: {values}{invalid}, times {sensor.scale:.6g}{changed}, "
        f"minus {mean}, over {std}; if missing: {sensor.missing.words}; change it with "
        "--spec"
    )


def _parse(word: str) -> tuple[str, str | None, dict[str, Any]]:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ArgumentError(f"--input must be {FORM}, got {word}.")
    kind = match["kind"]
    if kind not in _DEFAULTS:
        raise ArgumentError(
            f"--input {word}: the kind must be one of "
            f"{', '.join((*_DEFAULTS, *KINDS))}, got {kind}."
        )
    draft = copy.deepcopy(_DEFAULTS[kind])
    draft |= {"name": match["name"], "kind": kind, "fill": 0.0}
    draft["missing"] = {"policy": "refuse"}
    draft["resize"] |= {"height": int(match["height"]), "width": int(match["width"])}
    dtype = match["dtype"]
    if dtype is not None:
        draft |= {"dtype": dtype, **_BY_DTYPE.get(kind, {}).get(dtype, {})}
    return match["name"], dtype, draft


def _parse_stacks(stacks: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    parsed = [stack.split(",") for stack in stacks]
    for stack, members in zip(stacks, parsed, strict=True):
        unknown = [name for name in members if name not in names]
        if unknown or len(members) < 2:
            raise ArgumentError(
                f"--stack must be two or more of the inputs {', '.join(names)}, joined "
                f"by commas, got {stack}."
            )
    stacked = [name for members in parsed for name in members]
    for name in stacked:
        if stacked.count(name) > 1:
            raise ArgumentError(f"--stack must name an input once, got {name} twice.")
    return parsed


def _merge(
    drafts: Mapping[str, dict[str, Any]],
    spec: Mapping[str, Any],
    dtypes: Mapping[str, str | None],
) -> dict[str, dict[str, Any]]:
    require_known(spec, list(drafts))
    for name, changes in spec.items():
        if not isinstance(changes, dict):
            raise ArgumentError(f"--spec: inputs.{name} must be an object.")
        own = dtypes[name]
        if own and changes.get("dtype", own) != own:
            raise ArgumentError(
                f"--spec: inputs.{name}.dtype must be {own!r}, as --input says, got "
                f"{changes['dtype']!r}."
            )
        fixed = [key for key in FIXED if key in changes]
        if fixed:
            raise ArgumentError(
                f"--spec: inputs.{name} must not hold {fixed[0]!r}: --input says the "
                "name and kind, --stack the tensor, and the frames give the statistics."
            )
    return {
        name: merged_keys(draft, spec.get(name, {})) for name, draft in drafts.items()
    }


def require_known(spec: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a spec of an input that there is not."""
    for name in spec:
        if name not in names:
            raise ArgumentError(
                f"--spec: inputs must name only {', '.join(names)}, got {name}."
            )


def _finish(
    drafts: dict[str, dict[str, Any]], stacks: Sequence[Sequence[str]]
) -> tuple[ImageInput, ...]:
    for name, draft in drafts.items():
        draft.setdefault("tensor", name)
        draft.setdefault("mean", [0.0] * _planes(draft))
        draft.setdefault("std", [1.0] * _planes(draft))
    alone = [_record(name, draft) for name, draft in drafts.items()]
    sizes = {i.name: (i.resize.height, i.resize.width) for i in alone}
    for members in stacks:
        _stack(drafts, members, sizes)
    return tuple(_record(name, draft) for name, draft in drafts.items())


def _record(name: str, draft: Mapping[str, Any]) -> ImageInput:
    try:
        made: ImageInput = IMAGES[draft["kind"]].from_json(dict(draft))
    except ManifestError as err:
        raise ArgumentError(f"input {name}: {err}") from err
    return made


def _stack(
    drafts: Mapping[str, dict[str, Any]],
    members: Sequence[str],
    size: Mapping[str, tuple[int, int]],
) -> None:
    sizes = {size[name] for name in members}
    if len(sizes) > 1:
        raise ArgumentError(
            f"--stack {','.join(members)}: the inputs of one tensor must have one "
            f"size, got {', '.join(f'{h}x{w}' for h, w in sorted(sizes))}."
        )
    joined = "_".join(members)
    if joined in drafts:
        raise ArgumentError(
            f"--stack {','.join(members)} makes a tensor named {joined}, which must "
            "not be an input's name too."
        )
    channel = 0
    for name in members:
        drafts[name] |= {"tensor": joined, "channel": channel}
        channel += _planes(drafts[name])


def _planes(draft: Mapping[str, Any]) -> int:
    planes = draft.get("planes", 3 if draft["kind"] == "color" else 1)
    fits = isinstance(planes, int) and 1 <= planes <= 64
    return planes if fits else 1  # if not, the manifest's record says so
