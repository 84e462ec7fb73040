"""A network tried on one frame set, and wrapped so that it has the outputs wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fuseg.errors import ArgumentError, ExportError, FusegError
from fuseg.manifest import input_shapes

from ..dimensions import OtherSize, Shape, Tensors, named_shape
from ..errors import first_sentence
from ..frames.frame_set import FrameSet
from ..outputs import KINDS, ExportedOutput, OutputRequest, further_paths
from ..parts.trial import StandIn, Trial
from ..recurrent import NextState
from ..reference import preprocess
from .call import Call
from .outputs import Path, SelectedOutputs, Source, choose, find
from .target import Target

__all__ = ["Tried", "try_network"]


@dataclass(frozen=True)
class Tried:
    """A network as a graph needs it.

    Attributes:
        network: Returns the outputs, then the states' next values.
        example: A tensor for each input, then for each state, in forward's order.
        outputs, states: What it returns.
        paths: Of the outputs, in what the user's network returns.
        notes: What was chosen without the user, a sentence each.
        trial: The network's parts; None if it has none.
        stand_ins: The outputs as stand-ins among them make them.
        given: The shapes of the inputs' tensors, with names of dimensions.
        returned: Those of the tensors that it returns.
        others: The example with another size of each dimension.
    """

    network: SelectedOutputs
    example: dict[str, Tensor]
    outputs: tuple[ExportedOutput, ...]
    states: tuple[NextState, ...]
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    trial: Trial | None = None
    stand_ins: tuple[StandIn, ...] = ()
    given: Mapping[str, Shape] = field(default_factory=dict)
    returned: tuple[Shape, ...] = ()
    others: tuple[OtherSize, ...] = ()


def try_network(target: Target, frame: FrameSet) -> Tried:
    """Run a network twice on one frame set.

    Raises:
        ArgumentError: See `outputs.choose` and `outputs.find`; or the shape of a state
            is not known.
        ExportError: It fails, gives an output that is none of its kind or not finite, a
            state of another shape, or two results for one input; a shape changes with
            a dimension, and is not as long as that; or its parts fail or compute
            something else.
    """
    tensors = {
        name: tensor.astype(np.float32)
        for name, tensor in preprocess(target.inputs, frame.arrays).items()
    }
    tensors |= frame.tensors
    example = {name: torch.from_numpy(tensors[name]) for name in target.shapes}
    for kept, shape in zip(target.states, _shapes(target, example), strict=True):
        initial = kept.state.initial
        example[kept.state.tensor] = torch.full((1, *shape), initial)
    with _failures_named(example), torch.inference_mode():
        call, denied = target.call.fitted(target.network, [*example.values()])
    returned, again = (_run(call, target, example.values(), example) for _ in range(2))
    nexts = [
        Source(find(returned, kept.path, f"the output of state {kept.state.tensor}"))
        for kept in target.states
    ]
    sources, notes = _sources(returned, target.outputs, nexts)
    trial = None
    if target.parts:
        trial = Trial(target.pieces, target.parts, example)
    pictures = input_shapes(target.inputs)
    outputs: list[ExportedOutput] = []
    for request, own in zip(target.outputs, sources, strict=True):
        one, two = ([source(r) for source in own] for r in (returned, again))
        if trial is not None:
            request = trial.take(request, *one)
        outputs.append(KINDS[request.kind](request, one[0], pictures, *one[1:]))
        for pair in zip(one, two, strict=True):
            _require_usable(request.name if request.named else "", *pair)
    every = [*(source for own in sources for source in own), *nexts]
    arrays = {name: tensor.numpy() for name, tensor in example.items()}
    others = tuple(_other_sizes(target, arrays))
    shapes = tuple(_named_shapes(call, target, returned, every, others))
    for kept, source, found in zip(
        target.states, nexts, shapes[len(shapes) - len(nexts) :], strict=True
    ):
        former, later = source(returned), source(again)
        wanted = tuple(example[kept.state.tensor].shape)
        if found != wanted:
            raise ExportError(
                f"state {kept.state.tensor} must keep its shape {wanted}, but forward "
                f"returns ({', '.join(map(str, found))}) for it."
            )
        _require_usable(kept.state.next, former, later)
    return Tried(
        SelectedOutputs(target.network, every, call),
        example,
        tuple(outputs),
        tuple(NextState(kept.state) for kept in target.states),
        tuple(own[0].path for own in sources),
        (*denied, *notes),
        trial,
        () if trial is None else trial.stand_ins(pictures, target.sensors),
        target.shapes,
        shapes,
        others,
    )


def _other_sizes(target: Target, example: Tensors) -> Iterator[OtherSize]:
    for entry in target.others:
        if entry.dimension is not None:
            name, other = entry.record.tensor, entry.tensor(entry.example(1))
            sizes = len(example[name]), len(other)
            yield OtherSize(str(entry.shape[0]), sizes, {**example, name: other})


def _named_shapes(
    call: Call,
    target: Target,
    returned: Any,
    sources: Sequence[Source],
    others: Sequence[OtherSize],
) -> Iterator[Shape]:
    """Of these outputs."""
    results = []
    for size in others:
        given = {name: torch.from_numpy(a) for name, a in size.tensors.items()}
        results.append((size, _run(call, target, given.values(), given)))
    for source in sources:
        yield named_shape(
            f"what forward returns at {'.'.join(map(str, source.path)) or 'its end'}",
            tuple(source(returned).shape),
            [(size, tuple(source(result).shape)) for size, result in results],
        )


def _run(call: Call, target: Target, given: Any, example: Mapping[str, Tensor]) -> Any:
    with _failures_named(example), torch.inference_mode():
        return call(target.network, [*given])


@contextmanager
def _failures_named(example: Mapping[str, Tensor]) -> Iterator[None]:
    spelled = ", ".join(f"{name} {tuple(t.shape)}" for name, t in example.items())
    try:
        yield
    except FusegError:
        raise
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"the network's forward failed on {spelled}: {first_sentence(err)}."
        ) from err


def _shapes(target: Target, example: Mapping[str, Tensor]) -> list[tuple[int, ...]]:
    """Of the states, without the batch."""
    shapes = [request.shape for request in target.states]
    if None not in shapes:
        return [shape for shape in shapes if shape is not None]
    try:
        call = replace(target.call, copies=True, on_cpu=True)
        blank = [*example.values(), *[None] * len(shapes)]
        returned = _run(call, target, blank, example)
    except ExportError as err:
        names = [r.state.tensor for r in target.states if r.shape is None]
        raise ArgumentError(
            f"--state {names[0]}=PATH:CxHxW must say the state's shape, as forward "
            f"does not run with None in its place: {err}"
        ) from err
    found = [
        Source(find(returned, r.path, f"the output of state {r.state.tensor}"))(
            returned
        )
        for r in target.states
    ]
    return [
        tuple(tensor.shape[1:]) if shape is None else shape
        for shape, tensor in zip(shapes, found, strict=True)
    ]


def _sources(
    returned: Any, requests: Sequence[OutputRequest], nexts: Sequence[Source]
) -> tuple[list[list[Source]], list[str]]:
    """Where each output's tensors are, its own first, and what was chosen or done."""
    paths, notes = _paths(returned, requests, [source.path for source in nexts])
    found: list[list[Source]] = []
    for request, (first, *more) in zip(requests, paths, strict=True):
        what = f"--spec: outputs.{request.name}.masks"
        masks = request.masks
        path = None if masks is None else find(returned, masks, what)
        source = Source(first, request.layout, path)
        source.require_fits(request.name, returned)
        dtype = source.dtype(returned)
        if dtype.is_floating_point and dtype != torch.float32:
            spelled = str(dtype).removeprefix("torch.")
            notes.append(f"made float32 of output {request.name}, which is {spelled}")
        found.append([source, *map(Source, more)])
    return found, notes


def _paths(
    returned: Any, requests: Sequence[OutputRequest], nexts: Sequence[Path]
) -> tuple[list[list[Path]], list[str]]:
    if len(requests) == 1 and not requests[0].named:
        if nexts and not requests[0].path:
            taken = {path[0] for path in nexts if len(path) == 1}
            pairs = (
                returned.items()
                if isinstance(returned, Mapping)
                else enumerate(returned)
            )
            returned = {key: value for key, value in pairs if key not in taken}
        path, note = choose(returned, requests[0].path)
        return [[path]], [note] if note else []
    found = []
    for request in requests:
        first = find(returned, request.path or "", f"--output {request.name}")
        more = (
            find(returned, word, f"--spec: outputs.{request.name}.{key}")
            for key, word in further_paths(request)
        )
        found.append([first, *more])
    return found, []


def _require_usable(name: str, one: Tensor, two: Tensor) -> None:
    which = f" as {name}" if name else ""
    if not one.isfinite().all():
        raise ExportError(
            f"the network gives scores that are NaN or infinite{which}: look at its "
            "weights, and at the inputs' scale, mean and std."
        )
    if not torch.equal(one, two):
        raise ExportError(
            f"the network gives two results for one input{which}, so no graph can be "
            "verified against it: draw random numbers once, when it is built."
        )
