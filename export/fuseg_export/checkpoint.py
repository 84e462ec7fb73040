"""Trained weights from a file into a network: as data, completely, or not at all."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from fuseg.errors import CheckpointError, InputFileError

__all__ = ["Loaded", "load_checkpoint"]

# Where training scripts put the weights inside their file; earlier words win.
CONTAINERS = ("state_dict", "model_state_dict", "model", "module", "net", "ema")
# What wrappers (DataParallel, Lightning, torch.compile) put before every name.
PREFIXES = ("module.", "model.", "_orig_mod.")
NAMED_AT_MOST = 10
_CONVERT = (
    "Convert it where you trust it: "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
)


@dataclass(frozen=True)
class Loaded:
    """What became of a checkpoint.

    Attributes:
        sha256: Of the file's bytes, in hex.
        notes: What was unwrapped, renamed or converted on the way, a sentence each.
    """

    sha256: str
    notes: tuple[str, ...]


def load_checkpoint(network: nn.Module, path: Path) -> Loaded:
    """Load all of a checkpoint into all of a network, or change nothing.

    Nothing in the file is run. Its content decides how it is read, not its name: a
    zip or a pickle goes through ``torch.load(weights_only=True)``, all else must be
    safetensors. Of a training script's dict the weights are taken, the first of
    ``CONTAINERS`` in it. A prefix that every name has is dropped if no name fits the
    network without that. Numbers are converted to the network's own precision.

    Raises:
        InputFileError: The file cannot be read.
        CheckpointError: It is damaged, is no checkpoint, or is a pickle with code; or
            a tensor is missing, unexpected, of another shape or kind, or not finite
            (each is named, up to ten of a sort).
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    # A safetensors begins with the length of its JSON, 8 bytes that may be 0x80...
    pickled = data.startswith((b"PK\x03\x04", b"\x80")) and data[8:9] != b"{"
    content = _unpickle(path, data) if pickled else _parse_safetensors(path, data)
    stored, notes = _unwrap(path, content)
    wanted = network.state_dict()
    tensors = _drop_prefixes(stored, wanted, notes)
    problems = [*_misfits(tensors, wanted), *_damage(tensors)]
    if problems:
        raise CheckpointError(
            f"the checkpoint {path} does not fit the network: {'; '.join(problems)}. "
            "Nothing was loaded."
        )
    types = {str(t.dtype) for n, t in tensors.items() if t.dtype != wanted[n].dtype}
    if types:
        stored_as = ", ".join(sorted(t.removeprefix("torch.") for t in types))
        notes.append(f"converted {stored_as} to the network's own precision")
    network.load_state_dict(tensors, strict=True)
    return Loaded(hashlib.sha256(data).hexdigest(), tuple(notes))


def _unpickle(path: Path, data: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats and deprecated storages
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as err:
        doubt = "" if "GLOBAL" in str(err) else ", or is damaged"
        raise CheckpointError(
            f"the checkpoint {path} holds Python objects beside tensors{doubt}; "
            f"loading objects could run any code, so it was not loaded. {_CONVERT}"
        ) from err
    except Exception as err:  # a damaged zip or pickle raises nearly anything
        if "TorchScript" in str(err):
            raise CheckpointError(
                f"the checkpoint {path} is a TorchScript archive, which holds code, so "
                f"it was not loaded. {_CONVERT}"
            ) from err
        raise CheckpointError(_damaged(path)) from err


def _parse_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError) as err:
        raise CheckpointError(_damaged(path)) from err


def _damaged(path: Path) -> str:
    return (
        f"the checkpoint {path} is damaged, or is neither safetensors nor a file of "
        "torch.save."
    )


def _unwrap(path: Path, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    notes = []
    while isinstance(content, Mapping) and not _is_state(content):
        inside = [k for k in CONTAINERS if isinstance(content.get(k), Mapping)]
        if not inside:
            break
        content = content[inside[0]]
        others = f" and not {', '.join(map(repr, inside[1:]))}" if inside[1:] else ""
        notes.append(f"took the weights under {inside[0]!r}{others}")
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f"the checkpoint {path} must hold a dict of tensors, got "
            f"{'an empty dict' if content == {} else type(content).__name__}."
        )
    strange = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
    if strange:
        raise CheckpointError(
            f"the checkpoint {path} must hold a dict of tensors, but these entries are "
            f"none: {_some(strange)}. Save model.state_dict()."
        )
    return {str(k): v for k, v in content.items()}, notes


def _is_state(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _drop_prefixes(
    stored: Mapping[str, Tensor], wanted: Mapping[str, Tensor], notes: list[str]
) -> dict[str, Tensor]:
    named, dropped = dict(stored), ""
    while not named.keys() & wanted.keys():
        shared = [p for p in PREFIXES if all(name.startswith(p) for name in named)]
        if not shared:
            return dict(stored)
        named = {name.removeprefix(shared[0]): t for name, t in named.items()}
        dropped += shared[0]
    if dropped:
        notes.append(f"dropped the prefix {dropped!r} of every name")
    return named


def _misfits(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    both = [name for name in wanted if name in tensors]
    shapes = [
        f"{n} {tuple(tensors[n].shape)} instead of {tuple(wanted[n].shape)}"
        for n in both
        if tensors[n].shape != wanted[n].shape
    ]
    kinds = [
        f"{n} {tensors[n].dtype} instead of {wanted[n].dtype}"
        for n in both
        if tensors[n].is_floating_point() != wanted[n].is_floating_point()
    ]
    sorts = {
        "missing": [name for name in wanted if name not in tensors],
        "unexpected": [name for name in tensors if name not in wanted],
        "of another shape": shapes,
        "of another kind": kinds,
    }
    return [f"{sort}: {_some(names)}" for sort, names in sorts.items() if names]


def _damage(tensors: Mapping[str, Tensor]) -> list[str]:
    names = [
        name
        for name, t in tensors.items()
        if t.is_floating_point() and not bool(torch.isfinite(t).all())
    ]
    return [f"not finite: {_some(names)}"] if names else []


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    rest = f" and {more} more ({len(names)} in all)" if more > 0 else ""
    return ", ".join(names[:NAMED_AT_MOST]) + rest
