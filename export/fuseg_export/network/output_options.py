"""``--output`` and the spec file's ``outputs``: what the user wants of a network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fuseg.errors import ArgumentError
from fuseg.manifest import Class

from ..outputs import KINDS, OutputRequest
from .outputs import LAYOUTS

__all__ = ["make_requests"]

_FORM = "NAME=KIND:PATH, as in scene=classes:1"
_WORD = re.compile(r"(?P<name>[^=:]+)=(?P<kind>[^=:]+)(:(?P<path>.+))?")
_FIXED = ("name", "tensor")  # found in the graph
_OF_SOURCE = ("kind", "path", "layout", "masks")  # no keys of the manifest's record


def make_requests(
    words: Sequence[str],
    spec: Mapping[str, Any],
    *,
    classes: tuple[Class, ...] | None,
    ignore: int,
    texts: Sequence[str] = (),
    layout: str | None = None,
) -> tuple[OutputRequest, ...]:
    """Read ``--output``: one key of what forward returns, or ``NAME=KIND:PATH`` each.

    Args:
        words: As given; without any the spec file's outputs, and without those one
            segmentation.
        spec: By output name an object with ``kind`` and ``path``, where no word says
            these, and keys of the kind's record in a manifest.
        classes: Those of the first segmentation; None if nobody named them.
        ignore: Its label of no class.
        texts: The inputs of texts, by name.
        layout: Of every output, one of `LAYOUTS`, where the spec does not say its own.

    Raises:
        ArgumentError: A word has another form, a kind is none, names do not fit.
    """
    settings: dict[str, Any] = {"ignore": ignore}
    if classes:
        settings["classes"] = classes
    if not spec and len(words) <= 1 and not any(map(_WORD.fullmatch, words)):
        path = words[0] if words else None
        request = OutputRequest("labels", "segmentation", path, settings, named=False)
        return (replace(request, layout=_layout("--layout", layout)),)
    drafts = [_parse(word) for word in words]
    for name in spec if not words else ():
        _require(isinstance(spec[name], dict), f"outputs.{name} must be an object.")
        drafts.append(_of_spec(name, spec[name]))
    names = [draft.name for draft in drafts]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(
                f"--output must name every output once, got {name} twice."
            )
    for name in spec:
        _require(
            name in names, f"outputs must name only {', '.join(names)}, got {name}."
        )
    requests = [_with_keys(d, spec.get(d.name, {}), layout) for d in drafts]
    for request in requests:
        asked = request.settings.get("classes_from")
        _require(
            asked is None or asked in texts,
            f"outputs.{request.name}.classes_from must name an input of texts, "
            f"{', '.join(texts) or 'none here'}, got {asked!r}.",
        )
    first = next((r for r in requests if r.kind == "segmentation"), None)
    if first is None and classes:
        raise ArgumentError(
            "--classes needs an output of kind segmentation: name those of another "
            'kind with --spec, {"outputs": {NAME: {"classes": [...]}}}.'
        )
    return tuple(
        replace(r, settings={**settings, **r.settings}) if r is first else r
        for r in requests
    )


def _parse(word: str) -> OutputRequest:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ArgumentError(f"--output must be {_FORM}, got {word!r}.")
    return _request(match["name"], match["kind"], match["path"], f"--output {word}")


def _of_spec(name: str, said: Mapping[str, Any]) -> OutputRequest:
    path = said.get("path", "")
    _require(
        type(path) in (int, str),
        f"outputs.{name}.path must be a key or an index, got {path!r}.",
    )
    return _request(name, said.get("kind"), str(path), f"--spec: outputs.{name}")


def _request(name: str, kind: Any, path: str | None, what: str) -> OutputRequest:
    if not name.isidentifier():
        raise ArgumentError(
            f"{what}: the name must be like a Python name, got {name!r}."
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArgumentError(
            f"{what}: the kind must be one of {', '.join(KINDS)}, got {kind}."
        )
    return OutputRequest(name, kind, path)


def _with_keys(request: OutputRequest, said: Any, layout: str | None) -> OutputRequest:
    """The request with what the spec says of it."""
    name = request.name
    _require(isinstance(said, dict), f"outputs.{name} must be an object.")
    if said.get("kind", request.kind) != request.kind:
        _require(False, f"outputs.{name}.kind must be --output's {request.kind}.")
    for key in _FIXED:
        _require(
            key not in said,
            f"outputs.{name} must not hold {key!r}, which is found in the graph.",
        )
    masks = said.get("masks")
    if masks is not None:
        _require(
            type(masks) in (int, str),
            f"outputs.{name}.masks must be a key or an index, got {masks!r}.",
        )
        _require(
            request.kind == "segmentation",
            f"outputs.{name}.masks needs an output of kind segmentation, got "
            f"{request.kind}.",
        )
        masks = str(masks)
    what = f"--spec: outputs.{name}.layout"
    return replace(
        request,
        settings={key: said[key] for key in said if key not in _OF_SOURCE},
        layout=_layout(what, said.get("layout", layout)),
        masks=masks,
    )


def _layout(what: str, word: Any) -> str:
    if word is not None and word not in LAYOUTS:
        raise ArgumentError(f"{what} must be {', '.join(LAYOUTS)}, got {word}.")
    return word or LAYOUTS[0]


def _require(fact: bool, sentence: str) -> None:
    if not fact:
        raise ArgumentError(f"--spec: {sentence}")
