"""What to export: one of fuseg's networks by name, or anybody's by its factory."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.jit import ScriptModule

from fuseg.errors import ArgumentError, ExportError
from fuseg.manifest import ImageInput, input_shapes

from ..errors import first_sentence
from ..models import REFERENCE
from ..outputs import OutputRequest
from .input_options import describe, make_inputs, override
from .output_options import make_requests
from .spec import Spec, parse_classes, read_spec
from .state_options import StateRequest, make_states
from .wrappers import unwrapped

__all__ = [
    "NetworkOptions",
    "Target",
    "TensorShape",
    "build_network",
    "resolve",
]

TensorShape = tuple[int, int, int, int]
_WEIGHTS = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class NetworkOptions:
    """The network that the user names.

    Attributes:
        target, inputs, stacks, classes, spec: See `resolve`.
        checkpoint: Its weights, see `checkpoint.load_checkpoint`.
        outputs: See `output_options.make_requests`.
        states: See `state_options.make_states`.
        opset: See `to_onnx.to_onnx`.
        split: The inputs' tensors that get a graph of their own, see `split.find_cut`.
    """

    target: str
    checkpoint: Path
    inputs: Sequence[str] = ()
    stacks: Sequence[str] = ()
    classes: str | None = None
    spec: Path | None = None
    outputs: Sequence[str] = ()
    states: Sequence[str] = ()
    opset: int = 17
    split: Sequence[str] = ()


@dataclass(frozen=True)
class Target:
    """A network, and what its manifest says of frames and labels.

    Attributes:
        word: What the user wrote.
        name: The bundle's name.
        network: With the factory's weights. Its forward takes one tensor for each
            entry of ``input_shapes(inputs)``, then for each state, positionally.
        outputs: What the user wants of what the network returns.
        is_reference: Whether fuseg's synthetic scenes are what it was trained for.
        notes: What was assumed of its inputs and classes, a sentence each.
        adapted: What was taken off the network, a sentence each.
        split: The inputs that the spec file gives a graph of their own.
        states: What the network hands on to itself.
    """

    word: str
    name: str
    network: nn.Module
    inputs: tuple[ImageInput, ...]
    outputs: tuple[OutputRequest, ...]
    is_reference: bool
    notes: tuple[str, ...]
    adapted: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    states: tuple[StateRequest, ...] = ()


def resolve(
    word: str,
    *,
    inputs: Sequence[str] = (),
    stacks: Sequence[str] = (),
    outputs: Sequence[str] = (),
    states: Sequence[str] = (),
    classes: str | None = None,
    spec: Path | None = None,
) -> Target:
    """Find and build what the command line names.

    Args:
        word: A reference model's name, or ``package.module:factory``; modules in the
            working directory are found as installed ones are. ``factory()`` must give
            a ``torch.nn.Module``.
        inputs, stacks: See ``make_inputs``; reference models bring their own.
        outputs: See ``make_requests``.
        states: See ``make_states``.
        classes: See ``parse_classes``.
        spec: See ``read_spec``.

    Raises:
        ArgumentError: A word is not of its form or does not fit.
        InputFileError: A file it names cannot be read.
        ExportError: The factory fails.
    """
    said = read_spec(spec) if spec else Spec()
    named = said.classes if classes is None else parse_classes(classes)
    notes = []
    if classes is not None and said.classes is not None:
        notes.append(f"took the classes of --classes, and not those of {spec}")
    if word in REFERENCE:
        model = REFERENCE[word]
        if inputs or stacks:
            raise ArgumentError(
                f"--input and --stack must be absent for {word}: it brings its own "
                f"inputs, {', '.join(i.name for i in model.inputs)}. Change them with "
                "--spec."
            )
        name = word
        sensors = override(model.inputs, said.inputs)
        named = named or model.classes
        ignore = model.ignore
    else:
        _, _, name = _split(word)
        sensors, ignore = make_inputs(inputs, stacks, said.inputs), 255
        notes += map(describe, sensors)
    network, taken_off = unwrapped(_build(word))
    return Target(
        word=word,
        name=name,
        network=_ready(network),
        inputs=sensors,
        outputs=make_requests(
            outputs,
            said.outputs,
            classes=named,
            ignore=ignore if said.ignore is None else said.ignore,
        ),
        is_reference=word in REFERENCE,
        adapted=taken_off,
        split=said.split or (),
        states=make_states(states, said.states, list(input_shapes(sensors))),
        notes=tuple(notes),
    )


def build_network(word: str) -> nn.Module:
    """Build the network that ``word`` names, ready to infer: float32, eval, CPU.

    What training put around it is taken off, see ``unwrapped``.

    Raises:
        ArgumentError: There is no such module or factory, or it needs arguments.
        ExportError: Importing or calling it fails.
    """
    return _ready(unwrapped(_build(word))[0])


def _build(word: str) -> nn.Module:
    if word in REFERENCE:
        return REFERENCE[word].build()
    with _working_directory_importable():
        factory = _find(word)
        try:
            network = factory()
        except Exception as err:  # foreign code may raise anything
            raise ExportError(f"{word}() failed: {first_sentence(err)}.") from err
    if not isinstance(network, nn.Module):
        raise ArgumentError(
            f"{word}() must return a torch.nn.Module, got {type(network).__name__}."
        )
    if isinstance(network, ScriptModule):
        raise ArgumentError(
            f"{word}() must return a torch.nn.Module as it was written, got a "
            "TorchScript one: return the module that was scripted or traced."
        )
    return network


def _ready(network: nn.Module) -> nn.Module:
    return network.cpu().float().eval().requires_grad_(False)


def _split(word: str) -> tuple[str, str, str]:
    module, colon, factory = word.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), factory)):
        hint = _hint(Path(module), factory)
        raise ArgumentError(
            f"the target must be one of {', '.join(REFERENCE)}, or "
            f"package.module:factory, got {word}{hint}."
        )
    return module, colon, factory


def _hint(path: Path, factory: str) -> str:
    """What to write instead of a file's name; nothing if it is none."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return (
            ": ONNX files are not taken; name the function that makes the PyTorch "
            "network, and its weights with --checkpoint"
        )
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


def _find(word: str) -> Callable[[], Any]:
    module_name, _, name = _split(word)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as err:
        if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
            raise ExportError(
                f"importing {module_name} failed: {first_sentence(err)}."
            ) from err
        raise ArgumentError(
            f"the target {word} names the module {module_name}, which is neither "
            f"installed nor in the working directory."
        ) from err
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"importing {module_name} failed: {first_sentence(err)}."
        ) from err
    factory = getattr(module, name, None)
    if isinstance(factory, nn.Module):  # callable, but with frames
        raise ArgumentError(
            f"the target {word} must name a function that makes the network, got the "
            f"network itself: write def build(): return {name} into {module_name}, and "
            f"give {module_name}:build."
        )
    if not callable(factory):
        raise ArgumentError(
            f"the target {word} must name a function or class of {module_name}, "
            f"which has no such {name}."
        )
    return factory  # type: ignore[no-any-return]


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)
