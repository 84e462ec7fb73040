"""The factory that makes a network: found by its name, and called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.jit import ScriptModule

from fuseg.errors import (
    ArgumentError,
    CheckpointError,
    ExportError,
    FusegError,
)

from ..errors import first_sentence
from ..models import REFERENCE
from ..network.call import require_arguments
from ..network.training_machine import StayOnCpu, without_downloads
from ..network.weight_names import some
from ..parts.records import Part, Parts
from .archive import Archive, is_archive
from .hf_folder import is_folder, read_folder
from .library import LibraryWord, of_library
from .wrappers import unwrapped

__all__ = ["build", "build_network", "name_of"]

_WEIGHTS = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".safetensors")


def name_of(word: str) -> str:
    """The bundle's name: the factory's.

    Raises:
        ArgumentError: ``word`` is of none of the forms of a target.
    """
    if is_archive(word):
        return Path(word).stem
    if is_folder(word):
        return Path(word).resolve().name
    known = of_library(word)
    return _split(word if known is None else known.target)[2]


def build_network(word: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Build the network that ``word`` names, see `build`."""
    return build(word, arguments)[0].whole


def build(
    word: str, arguments: Mapping[str, Any] | None = None
) -> tuple[Parts, tuple[str, ...]]:
    """Build the network that ``word`` names, ready to infer: float32, eval, CPU.

    What training put around it is taken off, see ``unwrapped``.

    Args:
        word: See `target.resolve`.
        arguments: Of the factory, by name.

    Returns:
        The network, which has no parts if it is one, and what was taken off or denied.

    Raises:
        ArgumentError: There is no such module or factory, or it takes other arguments.
        ExportError: Importing or calling it fails.
    """
    made, notes = _call(word, arguments or {})
    whole, taken_off = unwrapped(made.whole)
    parts = {name: _ready_part(part) for name, part in made.parts.items()}
    return Parts(_ready(whole), parts), (*notes, *taken_off)


def _call(word: str, arguments: Mapping[str, Any]) -> tuple[Parts, list[str]]:
    """What the factory gives, and a sentence on each thing that it was denied.

    A network that is one has no parts.
    """
    with _working_directory_importable():
        known = of_library(word)
        factory = _find(word, known)
        if known is not None:
            arguments = known.arguments(factory, arguments)
        require_arguments(word, factory, arguments)
        given = {name: _object(value) for name, value in arguments.items()}
        addresses: list[str] = []
        try:
            with StayOnCpu() as watched, without_downloads(addresses):
                made = factory(**given)
        except CheckpointError:
            raise
        except Exception as err:  # foreign code may raise anything
            raise ExportError(f"{word}() failed: {first_sentence(err)}.") from err
    notes = []
    if watched.used:
        notes.append("the factory moves tensors to a GPU: they stayed on the CPU")
    if addresses:
        notes.append(
            f"the factory downloads pretrained weights ({some(addresses)}): they were "
            "left out, as the checkpoint has all weights"
        )
    whole = made if isinstance(made, Parts) else Parts(made, {})
    any_part = isinstance(whole.parts, Mapping) and whole.parts
    if isinstance(made, Parts) and not any_part:
        raise ArgumentError(
            f"{word}() must return Parts with a dict of one part or more, got "
            f"{whole.parts!r}."
        )
    network = whole.whole
    if not isinstance(network, nn.Module):
        raise ArgumentError(
            f"{word}() must return a torch.nn.Module, got {type(network).__name__}."
        )
    if isinstance(network, ScriptModule):
        raise ArgumentError(
            f"{word}() must return a torch.nn.Module as it was written, got a "
            "TorchScript one: return the module that was scripted or traced."
        )
    return whole, notes


def _object(value: Any) -> Any:
    """What ``@package.module:name`` names, such as a configuration; else the value.

    Raises:
        ArgumentError: There is none.
        ExportError: Importing its module fails.
    """
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    module_name, _, name = value[1:].partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise ArgumentError(
            f"--arg must name an object as @package.module:name, got {value}."
        )
    module = _imported(module_name, _no_module(f"--arg {value}", module_name))
    if not hasattr(module, name):
        raise ArgumentError(
            f"--arg {value} must name an object of {module_name}, which has no such "
            f"{name}."
        )
    return getattr(module, name)


def _ready_part(part: Part) -> Part:
    """With a module like the whole network; what is none is left for `parts.rules`."""
    module = getattr(part, "module", None)
    if not isinstance(part, Part) or not isinstance(module, nn.Module):
        return part
    return replace(part, module=_ready(unwrapped(module)[0]))


def _ready(network: nn.Module) -> nn.Module:
    return network.cpu().float().eval().requires_grad_(False)


def _split(word: str) -> tuple[str, str, str]:
    module, colon, factory = word.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), factory)):
        hint = _hint(Path(module), factory)
        near = [] if colon or hint else get_close_matches(word, REFERENCE, 1)
        end = f": did you mean {near[0]}?" if near else f"{hint}."
        raise ArgumentError(
            "the target must be a reference model, which fuseg models lists, "
            f"package.module:factory, or an ONNX file, got {word}{end}"
        )
    return module, colon, factory


def _hint(path: Path, factory: str) -> str:
    """What to write instead of a file's name; nothing if it is none."""
    suffix = path.suffix.lower()
    if suffix in _WEIGHTS:
        return (
            ": a file of weights goes to --checkpoint; the target is the function that "
            "makes the network"
        )
    if suffix != ".py" or not path.stem.isidentifier():
        return ""
    where = "" if path.parent == Path() else f", in the folder {path.parent}"
    return (
        f": a module goes by its name, {path.stem}:{factory or 'FUNCTION'}{where}"
        + f"; FUNCTION is the one in {path.name} that makes the network" * (not factory)
    )


def _find(word: str, known: LibraryWord | None = None) -> Callable[..., Any]:
    if word in REFERENCE:
        return REFERENCE[word].build
    if is_archive(word):
        return Archive(Path(word)).factory()
    if is_folder(word):
        return read_folder(Path(word)).factory()
    module_name, _, name = _split(word if known is None else known.target)
    missing = _no_module(f"the target {word}", module_name)
    module = _imported(module_name, missing if known is None else known.missing())
    factory = getattr(module, name, None)
    if isinstance(factory, nn.Module):  # callable, but with frames
        raise ArgumentError(
            f"the target {word} must name a function that makes the network, got the "
            f"network itself: write def build(): return {name} into {module_name}, and "
            f"give {module_name}:build."
        )
    if not callable(factory):
        near = get_close_matches(name, [n for n in dir(module) if n[0] != "_"], 1)
        end = f": did you mean {near[0]}?" if near else "."
        raise ArgumentError(
            f"the target {word} must name a function or class of {module_name}, "
            f"which has no such {name}{end}"
        )
    return factory  # type: ignore[no-any-return]


def _imported(module_name: str, missing: FusegError) -> ModuleType:
    """The module; ``missing`` is raised if there is none."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as err:
        if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
            raise ExportError(
                f"importing {module_name} failed: {first_sentence(err)}."
            ) from err
        raise missing from err
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"importing {module_name} failed: {first_sentence(err)}."
        ) from err


def _no_module(what: str, module_name: str) -> ArgumentError:
    return ArgumentError(
        f"{what} names the module {module_name}, which is neither installed nor in the "
        "working directory."
    )


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)
