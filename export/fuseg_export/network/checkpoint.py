"""Trained weights from a file into a network: as data, completely, or not at all."""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import io
import pickle
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from fuseg.cli.printing import plural
from fuseg.errors import ArgumentError, CheckpointError, InputFileError

from ..errors import first_sentence
from .weight_names import Matched, counted, foreign, match, some

__all__ = ["Loaded", "load_checkpoint"]

# Where training scripts put the weights inside their file; earlier words win.
CONTAINERS = ("state_dict", "model_state_dict", "model", "module", "net", "ema")
_CONVERT = (
    "Convert it where you trust it: "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
)


@dataclass(frozen=True)
class Loaded:
    """What became of a checkpoint.

    Attributes:
        sha256: Of the file's bytes, in hex.
        notes: What was unwrapped, renamed, converted or left out on the way, a
            sentence each.
    """

    sha256: str
    notes: tuple[str, ...]


def load_checkpoint(
    network: nn.Module,
    path: Path,
    *,
    key: str | None = None,
    ignored: Sequence[str] = (),
    own_load: bool = False,
) -> Loaded:
    """Load a checkpoint into all of a network, or change nothing.

    Nothing in the file is run. Its content decides how it is read, not its name: a zip
    or a pickle goes through ``torch.load(weights_only=True)``, all else must be
    safetensors. Of a training script's dict the weights are taken, the first of
    ``CONTAINERS`` in it or the only dict of tensors, under the names that
    ``weight_names.match`` gives them. Beside tensors there may be what scripts store of
    themselves: NumPy's numbers, an argparse Namespace. What is missing is for torch to
    say, which fills in what old files lack, such as the counters of batch
    normalisation. Where nothing is missing, tensors beside the network's and whole
    parts that it does not have (see ``weight_names.foreign``) are left out. Numbers are
    converted to the network's own precision.

    Args:
        network: Filled in place.
        path: Of the file.
        key: Where in the file the weights are: keys joined by dots.
        ignored: Patterns with stars of stored names that are left out.
        own_load: Whether to let the network's own ``load_state_dict`` rename and
            reshape what is stored, and take what it hands on to torch's.

    Raises:
        ArgumentError: ``own_load`` is set, and the network has none.
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
    stored, versions, notes = _unwrap(path, content, key)
    stored = _without(stored, ignored, path, notes)
    if own_load:
        stored = _handed_on(network, stored, path)
        notes.append("took the names that the network's load_state_dict gives")
    wanted = {n: t for n, t in network.state_dict().items() if isinstance(t, Tensor)}
    found = match(stored, wanted, versions)
    with _restored_on_error(wanted):
        load = nn.Module.load_state_dict if own_load else type(network).load_state_dict
        missing, unexpected = _fill(network, load, found, wanted, path)
        computed = _computed(network, unexpected, found.tensors)
        parts, needed = foreign(network, [n for n in unexpected if n not in computed])
        if missing:
            needed = [*unexpected, *found.beside]
        sorts = {
            "missing": missing,
            "unexpected": needed,
            "of another shape": _of_another_shape(found.tensors, wanted),
            "of another kind": _of_another_kind(found.tensors, wanted),
            "not finite": _not_finite(found.tensors, wanted),
        }
        problems = [f"{sort}: {some(names)}" for sort, names in sorts.items() if names]
        if problems:
            raise CheckpointError(
                f"the checkpoint {path} does not fit the network: "
                f"{'; '.join(problems)}. Nothing was loaded."
            )
    filled = [n for n in wanted if n not in found.tensors]
    notes += [*found.notes, *_remarks(found, wanted, filled, [*parts, *computed])]
    return Loaded(hashlib.sha256(data).hexdigest(), tuple(notes))


@contextmanager
def _restored_on_error(own: Mapping[str, Tensor]) -> Iterator[None]:
    before = {name: tensor.clone() for name, tensor in own.items()}
    try:
        yield
    except CheckpointError:
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(before[name])
        raise


def _fill(
    network: nn.Module,
    load: Callable[..., Any],
    found: Matched,
    wanted: Mapping[str, Tensor],
    path: Path,
) -> tuple[list[str], list[str]]:
    """Let torch load what fits, and say what is missing and what is not expected."""
    state: OrderedDict[str, Any] = OrderedDict(
        (n, wanted[n] if n in wanted and not _fits(t, wanted[n]) else t)
        for n, t in found.tensors.items()
    )
    if found.versions:
        state._metadata = found.versions  # type: ignore[attr-defined] # torch's own place
    try:
        missing, unexpected = load(network, state, strict=False)
    except Exception as err:  # a network may have hooks of its own
        raise CheckpointError(
            f"the checkpoint {path} does not fit the network: {first_sentence(err)}. "
            "Nothing was loaded."
        ) from err
    return missing, unexpected


def _handed_on(
    network: nn.Module, stored: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """What the network's own ``load_state_dict`` gives torch's to load."""
    kind = type(network)
    if kind.load_state_dict is nn.Module.load_state_dict:
        raise ArgumentError(
            "--own-load-state-dict must be for a network with a load_state_dict of its "
            f"own, and {kind.__name__} has none: leave it out."
        )
    handed: list[dict[str, Tensor]] = []

    def load(
        self: nn.Module, state: Mapping[str, Any], *_: Any, **__: Any
    ) -> _IncompatibleKeys:
        if self is network:
            handed.append(dict(state))
        return _IncompatibleKeys([], [])

    try:
        with mock.patch.object(nn.Module, "load_state_dict", load):
            network.load_state_dict(dict(stored))
    except Exception as err:  # foreign code may raise anything
        raise CheckpointError(
            f"{kind.__name__}.load_state_dict failed on {path}: {first_sentence(err)}."
        ) from err
    if len(handed) != 1:
        raise CheckpointError(
            f"{kind.__name__}.load_state_dict must call torch's once, got "
            f"{plural(len(handed), 'call')}: leave --own-load-state-dict out."
        )
    return handed[0]


def _computed(
    network: nn.Module, names: Iterable[str], tensors: Mapping[str, Tensor]
) -> list[str]:
    """Of these names, the buffers that the network makes itself, and makes alike."""
    own = dict(network.named_buffers())
    return [n for n in names if n in own and torch.equal(own[n], tensors[n])]


def _remarks(
    found: Matched,
    wanted: Mapping[str, Tensor],
    filled: Sequence[str],
    left_out: Sequence[str],
) -> list[str]:
    notes = []
    beside = counted(Counter(name.split(".")[0] for name in found.beside))
    if left_out or beside:
        names = some([*left_out, *beside])
        notes.append(f"left out what the network has no place for: {names}")
    if filled:
        parts = counted(Counter(name.split(".")[-1] for name in filled))
        notes.append(f"kept the network's own where the file has none: {some(parts)}")
    types = {
        str(t.dtype).removeprefix("torch.")
        for n, t in found.tensors.items()
        if n in wanted and t.dtype != wanted[n].dtype
    }
    if types:
        stored_as = ", ".join(sorted(types))
        notes.append(f"converted {stored_as} to the network's own precision")
    return notes


def _unpickle(path: Path, data: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats and deprecated storages
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(
                    io.BytesIO(data), map_location="cpu", weights_only=True
                )
    except pickle.UnpicklingError as err:
        damage = "" if "GLOBAL" in str(err) else ", or is damaged"
        raise CheckpointError(
            f"the checkpoint {path} holds Python objects besides tensors{damage}; "
            f"loading objects could run any code, so it was not loaded. {_CONVERT}"
        ) from err
    except Exception as err:  # a damaged zip or pickle raises nearly anything
        if "TorchScript" in str(err):
            raise CheckpointError(
                f"the checkpoint {path} is a TorchScript archive, which holds code, so "
                f"it was not loaded. {_CONVERT}"
            ) from err
        raise CheckpointError(_damaged(path)) from err


def _harmless() -> list[Any]:
    """What training scripts store of themselves, and what holds values alone."""
    multiarray = np.array(0).__reduce__()[0].__module__  # its name is NumPy's version's
    numpy = [
        (getattr(sys.modules[multiarray], name), f"{package}.multiarray.{name}")
        for name in ("_reconstruct", "scalar")
        for package in ("numpy._core", "numpy.core")
    ]
    kinds = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "efd?"}
    values = [argparse.Namespace, SimpleNamespace, defaultdict, Counter, PosixPath]
    return [*numpy, np.ndarray, np.dtype, *kinds, *values]


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


def _unwrap(
    path: Path, content: Any, key: str | None
) -> tuple[dict[str, Tensor], dict[str, dict[str, int]], list[str]]:
    """The weights in a training script's dict, the versions beside them, notes."""
    notes = []
    for word in [] if key is None else key.split("."):
        if not isinstance(content, Mapping) or word not in content:
            held = some(list(map(str, content))) if isinstance(content, Mapping) else ""
            raise CheckpointError(
                f"--weights-key must lead to the weights in {path}, got {key}: there "
                f"is no {word}" + f" beside {held}." * bool(held)
            )
        content = content[word]
    while isinstance(content, Mapping) and not _is_state(content):
        inside = [k for k in CONTAINERS if isinstance(content.get(k), Mapping)]
        if not inside:
            inside = [k for k, v in content.items() if isinstance(v, Mapping)]
            inside = [k for k in inside if _is_state(content[k])]
            if len(inside) > 1:
                raise CheckpointError(
                    f"the checkpoint {path} holds several dicts of tensors, "
                    f"{some(list(map(str, inside)))}: say which with --weights-key."
                )
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
            f"none: {some(strange)}. Save model.state_dict()."
        )
    versions = getattr(content, "_metadata", {})  # of a state dict of torch
    return {str(k): v for k, v in content.items()}, versions, notes


def _without(
    stored: dict[str, Tensor], patterns: Sequence[str], path: Path, notes: list[str]
) -> dict[str, Tensor]:
    """Without the names that one of the patterns fits."""
    gone: set[str] = set()
    for pattern in patterns:
        fitting = fnmatch.filter(stored, pattern)
        if not fitting:
            raise CheckpointError(
                f"--ignore-weights must fit a name in {path}, as in criterion.*, got "
                f"{pattern}: it holds {some(list(stored))}."
            )
        notes.append(f"left out {plural(len(fitting), 'tensor')} named {pattern}")
        gone.update(fitting)
    return {name: tensor for name, tensor in stored.items() if name not in gone}


def _is_state(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _fits(tensor: Tensor, own: Tensor) -> bool:
    # Of torch before 0.4, which torch itself still reads: numbers as lists of one.
    return tensor.shape == own.shape or (own.ndim == 0 and tensor.shape == (1,))


def _of_another_shape(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> list[str]:
    return [
        f"{n} {tuple(t.shape)} instead of {tuple(wanted[n].shape)}"
        for n, t in tensors.items()
        if n in wanted and not _fits(t, wanted[n])
    ]


def _of_another_kind(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> list[str]:
    return [
        f"{n} {t.dtype} instead of {wanted[n].dtype}"
        for n, t in tensors.items()
        if n in wanted and t.is_floating_point() != wanted[n].is_floating_point()
    ]


def _not_finite(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> list[str]:
    return [
        n
        for n, t in tensors.items()
        if n in wanted and t.is_floating_point() and not bool(torch.isfinite(t).all())
    ]
