"""What to export: one of fuseg's networks by name, anybody's by its factory, a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from fuseg.errors import ArgumentError
from fuseg.manifest import Dimension, ImageInput, Input, TextInput

from ..frames.rendered import Scenes, rooms
from ..inputs import ExportedInput
from ..models import REFERENCE, ReferenceModel
from ..outputs import OutputRequest
from ..parts.records import Part, Parts
from ..parts.rules import (
    make_pieces,
    require_one_size,
    require_weights,
    with_siblings,
)
from ..passes.split import Piece
from ..sources.archive import Archive, is_archive
from ..sources.factory import build, name_of
from ..sources.hf_folder import HfFolder, is_folder, read_folder
from ..sources.onnx_file.read import is_onnx_file, read_onnx
from ..sources.onnx_file.target import make_network, require_absent, with_shapes
from .call import CALLS, Call, make_call, parse_values
from .input_options import describe
from .inputs import read_inputs, shapes_of
from .output_options import make_requests
from .spec import Spec, merged, parse_classes, read_spec
from .state_options import StateRequest, make_states

__all__ = [
    "NetworkOptions",
    "Target",
    "TensorShape",
    "resolve",
]

TensorShape = tuple[int, int, int, int]


@dataclass(frozen=True)
class NetworkOptions:
    """The network that the user names.

    Attributes:
        target: A reference model's name, or ``package.module:factory``; modules in the
            working directory are found as installed ones are. ``factory`` must give a
            ``torch.nn.Module``, or `Parts`. Or an ONNX file's path, see ``read_onnx``,
            a library's network, see ``of_library``, a folder, see ``read_folder``, or
            an `Archive`.
        inputs, stacks: See `read_inputs`; reference models bring their own.
        classes: See `parse_classes`.
        spec: See `read_spec`.
        checkpoint: Its weights, see `weights.load_weights`.
        outputs: See `output_options.make_requests`.
        states: See `state_options.make_states`.
        opset, exporter: See `to_onnx.to_onnx`.
        split: The inputs' tensors that get a graph of their own, see `split.find_cut`.
        arguments: Of the factory, see `call.parse_values`.
        call, constants: See `call.make_call` and `call.parse_values`.
        weights_key, ignore_weights, own_load: See `checkpoint.load_checkpoint`.
        layout: See `output_options.make_requests`.
        freeze_random: The seed of `call.Call`.
    """

    target: str
    checkpoint: Path | None = None
    inputs: Sequence[str] = ()
    stacks: Sequence[str] = ()
    classes: str | None = None
    spec: Path | None = None
    outputs: Sequence[str] = ()
    states: Sequence[str] = ()
    opset: int = 17
    exporter: str | None = None
    split: Sequence[str] = ()
    arguments: Sequence[str] = ()
    call: str | None = None
    constants: Sequence[str] = ()
    weights_key: str | None = None
    ignore_weights: Sequence[str] = ()
    own_load: bool = False
    layout: str | None = None
    freeze_random: int | None = None


@dataclass(frozen=True)
class Target:
    """A network, and what its manifest says of frames and labels.

    Attributes:
        word: What the user wrote; of a file or folder its name, without where it is.
        name: The bundle's name.
        network: With the factory's weights. Its forward takes one tensor for each
            entry of ``shapes``, then for each state, as ``call`` says.
        inputs: Those that are pictures.
        outputs: What the user wants of what the network returns.
        is_reference: Whether its scenes are what it was trained for.
        notes: What was assumed of its inputs and classes, a sentence each.
        adapted: What was taken off the network, a sentence each.
        split: The inputs that the spec file gives a graph of their own.
        states: What the network hands on to itself.
        parts: By name, those that the factory gave; none of a network that is one.
        pieces: The graphs that they become, in the same order.
        others: Inputs that are no pictures.
        order: Names of the inputs' tensors in the order of forward's arguments; empty
            for that of ``inputs``.
        scenes: Frames for whom gives none.
        arguments: That the factory was called with.
        call: How forward takes its tensors.
        weights_key, ignore_weights, own_load: See `checkpoint.load_checkpoint`.
        assumed_invalid: The names of ``inputs`` whose ``invalid`` nobody said.
        origin: The folder or archive that it comes from, with its weights.
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
    parts: Mapping[str, Part] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    others: tuple[ExportedInput, ...] = ()
    order: tuple[str, ...] = ()
    scenes: Scenes = rooms
    arguments: Mapping[str, Any] = field(default_factory=dict)
    call: Call = field(default_factory=Call)
    weights_key: str | None = None
    ignore_weights: tuple[str, ...] = ()
    assumed_invalid: tuple[str, ...] = ()
    own_load: bool = False
    origin: HfFolder | Archive | None = None

    @property
    def records(self) -> tuple[Input, ...]:
        """The manifest's inputs."""
        return (*self.inputs, *(other.record for other in self.others))

    @property
    def shapes(self) -> dict[str, tuple[int | str, ...]]:
        """Of the inputs' tensors, in the order of forward's arguments."""
        return shapes_of(self.inputs, self.others, self.order)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The tensors of the inputs that give frames."""
        sensors = (r for r in self.records if not isinstance(r, TextInput))
        return tuple(dict.fromkeys(record.tensor for record in sensors))

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Sizes in these shapes that may change, by name."""
        return {
            str(other.shape[0]): other.dimension
            for other in self.others
            if other.dimension
        }


def resolve(options: NetworkOptions) -> Target:
    """Find and build what the command line names.

    Raises:
        ArgumentError: A word is not of its form or does not fit.
        InputFileError: A file it names cannot be read.
        ExportError: The factory fails.
    """
    word, model = options.target, REFERENCE.get(options.target)
    said = read_spec(options.spec) if options.spec else Spec()
    named = said.classes
    notes = []
    if options.classes is not None:
        named = parse_classes(options.classes)
        if said.classes is not None:
            notes.append(
                f"took the classes of --classes, and not those of {options.spec}"
            )
    inputs = options.inputs
    if model is not None:
        _require_its_own_inputs(word, model, options, said)
        inputs, said = model.words, _changed(model.said, said, options.outputs)
        named = named or said.classes
    file = read_onnx(Path(word)) if is_onnx_file(word) else None
    archive = Archive(Path(word)) if is_archive(word) else None
    ours = model or file or archive
    folder = read_folder(Path(word)) if ours is None and is_folder(word) else None
    if folder is not None:
        said = merged(folder.spec(inputs, options.outputs, said.outputs), said)
        named = named or said.classes
        notes += folder.notes
    given = read_inputs(inputs, options.stacks, said.inputs)
    arguments = parse_values("--arg", options.arguments, said.arguments)
    states = make_states(options.states, said.states, given.tensors, given.clocks)
    seed = options.freeze_random
    call = make_call(
        options.call or said.call,
        parse_values("--constant", options.constants, said.constants),
        [*given.tensors, *(state.state.tensor for state in states)],
        said.freeze_random if seed is None else seed,
    )
    requests = make_requests(
        options.outputs,
        said.outputs,
        classes=named,
        ignore=255 if said.ignore is None else said.ignore,
        texts=given.texts,
        layout=options.layout,
    )
    if file is None:
        built, taken_off = build(word, arguments)
    else:
        needless = {"--arg": arguments, "--call": options.call or said.call}
        require_absent(file, {**needless, "--freeze-random": call.seed is not None})
        states, taken_off = with_shapes(states, file), file.notes
        shapes = shapes_of(given.pictures, given.others, given.tensors)
        network = make_network(file, shapes, states, requests, call.constants)
        built = Parts(network, {})
    if built.parts:
        _require_plain(states, call)
    pieces = make_pieces(built.parts, given.tensors, given.clocks)
    if built.parts:
        require_weights(built.parts, built.whole)
        require_one_size(given.others)
        given = with_siblings(given, pieces, said.inputs)
    if model is None:
        notes += map(describe, given.pictures)
        notes += [note for other in given.others for note in other.notes]
    return Target(
        word=Path(word).resolve().name if file or archive or folder else word,
        origin=archive or folder,
        name=file.path.stem if file else word if model else name_of(word),
        network=built.whole,
        inputs=given.pictures,
        outputs=requests,
        is_reference=model is not None,
        adapted=taken_off,
        split=said.split or (),
        states=states,
        scenes=model.scenes if model else rooms,
        notes=tuple(notes),
        parts=built.parts,
        pieces=pieces,
        others=given.others,
        order=given.tensors,
        arguments=arguments,
        call=call,
        weights_key=options.weights_key or said.weights_key,
        ignore_weights=(*options.ignore_weights, *said.ignore_weights),
        assumed_invalid=tuple(
            entry.name
            for entry in (given.pictures if model is None else ())
            if "invalid" not in said.inputs.get(entry.name, {})
        ),
        own_load=options.own_load or said.own_load_state_dict,
    )


def _require_its_own_inputs(
    word: str, model: ReferenceModel, options: NetworkOptions, said: Spec
) -> None:
    """Refuse words about how a reference model is built or called."""
    words = (
        *(options.inputs, options.stacks, options.arguments, options.call),
        *(options.constants, options.layout, options.freeze_random is not None),
    )
    if any(words) or said.is_called:
        raise ArgumentError(
            "--input, --stack, --arg, --call, --constant, --layout and --freeze-random "
            f"must be absent for {word}: it brings its own inputs, "
            f"{', '.join(model.given.order)}. Change them with --spec, by inputs."
        )


def _require_plain(states: Sequence[StateRequest], call: Call) -> None:
    """Refuse what a network of parts cannot have."""
    if states:
        raise ArgumentError(
            "--state must be absent for a network of parts: export it as one network, "
            "or without the state."
        )
    if call.style != CALLS[0] or call.constants or call.seed is not None:
        raise ArgumentError(
            "--call, --constant and --freeze-random must be absent for a network of "
            "parts, whose forward takes its tensors one by one: put the rest into its "
            "parts."
        )


def _changed(own: Spec, said: Spec, outputs: Sequence[str]) -> Spec:
    """A reference model's own spec, as the user changes it."""
    if outputs:
        named = {word.partition("=")[0] for word in outputs}
        kept = {name: entry for name, entry in own.outputs.items() if name in named}
        own = replace(own, outputs=kept)
    return merged(own, said)
