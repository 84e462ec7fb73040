"""Parts tried on one frame set, beside the whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError
from fuseg.manifest.graphs import runnable

from ..errors import first_sentence
from ..outputs import KINDS, ExportedOutput, OutputRequest
from ..passes.split import Piece
from .apart import Apart, as_list, key_of
from .records import Part
from .rules import losses

__all__ = ["StandIn", "Trial"]

_MOST = 1e-4  # of the largest value, that parts may be apart from the whole
_TINY = float(np.finfo(np.float32).tiny)
_TYPES = (torch.float32, torch.int64)


@dataclass(frozen=True)
class StandIn:
    """An output as a stand-in makes it, verified by itself.

    Attributes:
        output: It, with a name of its own.
        of: The name of the bundle's output.
        key: See `apart.key_of`.
        lost: The inputs' tensors without which it runs.
        network: Makes it of all inputs, in torch.
    """

    output: ExportedOutput
    of: str
    key: str
    lost: tuple[str, ...]
    network: nn.Module


class _WithoutInputs(nn.Module):
    """One tensor that is written while some inputs are lost, of all inputs."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        parts: Mapping[str, Part],
        inputs: Sequence[str],
        result: str,
    ) -> None:
        super().__init__()
        self.pieces, self.inputs, self.result = pieces, tuple(inputs), result
        self.parts = nn.ModuleList(parts[piece.name].module for piece in pieces)
        self.eval()

    def forward(self, *given: Tensor) -> tuple[Tensor]:
        known = dict(zip(self.inputs, given, strict=True))
        for piece, module in zip(self.pieces, self.parts, strict=True):
            found = as_list(module(*(known[name].clone() for name in piece.reads)))
            known |= dict(zip(piece.writes, found, strict=True))
        return (known[self.result],)


class Trial:
    """All parts, run on the network's example tensors.

    Args:
        pieces, parts: Of the network, in the same order.
        example: A tensor for each input, in forward's order.

    Attributes:
        apart: The parts, for an ONNX graph.

    Raises:
        ArgumentError: A part returns another number of tensors than it has names for.
        ExportError: A part fails, or returns what cannot pass between graphs.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        parts: Mapping[str, Part],
        example: Mapping[str, Tensor],
    ) -> None:
        self.pieces, self._parts = tuple(pieces), parts
        self._inputs = list(example)
        self._read = {name for piece in pieces for name in piece.reads}
        self._results: dict[str, Tensor] = {}  # by key
        self._taken: dict[str, OutputRequest] = {}  # by the tensor that it takes
        known = dict(example)
        for piece in pieces:
            given = {name: known[name] for name in piece.reads}
            one, two = (_run(piece, parts[piece.name], given) for _ in range(2))
            for name, tensor, again in zip(piece.writes, one, two, strict=True):
                _require_usable(piece, name, tensor, again, passed=name in self._read)
                self._results[key_of(piece, name)] = tensor
                if piece.stands_in_for is None:
                    known[name] = tensor
                elif tensor.shape != known[name].shape:
                    raise ArgumentError(
                        f"part {piece.name} must write {name} of shape "
                        f"{tuple(known[name].shape)}, as {piece.stands_in_for} does, "
                        f"got {tuple(tensor.shape)}."
                    )
        self.apart = Apart(pieces, parts, known)

    def take(
        self, request: OutputRequest, whole: Tensor, *further: Tensor
    ) -> OutputRequest:
        """The request, with the name of the tensor that is this output of the whole.

        Raises:
            ArgumentError: It is made of several tensors.
            ExportError: No part writes it.
        """
        if further:
            raise ArgumentError(
                f"output {request.name} of kind {request.kind} must be of a network "
                "that is no set of parts: export it as one network, or let a part "
                "make scores."
            )
        best: tuple[float, Piece, str] | None = None
        for piece in self.pieces:
            for name in piece.writes if piece.stands_in_for is None else ():
                made = self._results[key_of(piece, name)]
                if made.shape == whole.shape and name not in self._taken:
                    apart = _difference(whole, made)
                    if best is None or apart < best[0]:
                        best = apart, piece, name
        if best is None:
            raise ExportError(
                f"no part writes the network's output {request.name}, a tensor of "
                f"shape {tuple(whole.shape)}, by itself."
            )
        apart, piece, name = best
        if not apart <= _MOST:
            raise ExportError(
                f"the parts must compute what the whole network does, but {name} of "
                f"part {piece.name} differs from its output {request.name} by "
                f"{apart:.2g} of the largest value, more than {_MOST:g}: look at the "
                "order of what parts read and write."
            )
        self._taken[name] = replace(request, tensor=name)
        return self._taken[name]

    def stand_ins(
        self, shapes: Mapping[str, tuple[int, ...]], sensors: Sequence[str]
    ) -> tuple[StandIn, ...]:
        """The outputs that were taken, as stand-ins make them.

        Args:
            shapes: Of the pictures' tensors, by name.
            sensors: See `rules.losses`.

        Raises:
            ArgumentError: Something is written for nobody.
        """
        lost, found = losses(self.pieces, sensors), []
        for piece in self.pieces:
            for name in piece.writes:
                request, key = self._taken.get(name), key_of(piece, name)
                if request is None and name not in self._read:
                    raise ArgumentError(
                        f"part {piece.name} writes {name}, which no part reads and "
                        "which is no output: leave it out, or name it with --output."
                    )
                if piece.stands_in_for is None or request is None:
                    continue
                own_name = f"{request.name}-by-{piece.name}"
                own = replace(request, name=own_name, tensor=None)
                chosen, _ = runnable(self.pieces, lost[piece.name])
                network = _WithoutInputs(
                    [self.pieces[i] for i in chosen], self._parts, self._inputs, name
                )
                output = KINDS[own.kind](own, self._results[key], shapes)
                made = StandIn(output, request.name, key, lost[piece.name], network)
                found.append(made)
        return tuple(found)

    def keys(self, outputs: Sequence[ExportedOutput]) -> list[str]:
        """What parts call these outputs, which were taken, see `apart.key_of`."""
        owners = {
            name: key_of(piece, name)
            for piece in reversed(self.pieces)
            for name in piece.writes
        }
        tensors = {request.name: name for name, request in self._taken.items()}
        return [owners[tensors[output.name]] for output in outputs]

    def finished(self, tensors: Mapping[str, tuple[str, str]]) -> tuple[Piece, ...]:
        """The pieces, once the outputs' tails are cut off.

        Args:
            tensors: By key the bundle's name of an output's tensor, and its name in
                the network's graph.
        """
        made = []
        for piece in self.pieces:
            own = [(n, n) for n in piece.writes if n in self._read]
            keys = (key_of(piece, name) for name in piece.writes)
            own += [tensors[key] for key in keys if key in tensors]
            writes, inside = zip(*own, strict=True)
            made.append(replace(piece, writes=writes, inside=inside))
        return tuple(made)


def _run(piece: Piece, part: Part, given: Mapping[str, Tensor]) -> list[Tensor]:
    spelled = ", ".join(f"{name} {tuple(t.shape)}" for name, t in given.items())
    try:
        with torch.inference_mode():
            # Copies, as no graph changes what others read.
            returned = part.module(*(tensor.clone() for tensor in given.values()))
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"part {piece.name} failed on {spelled}: {first_sentence(err)}."
        ) from err
    found = as_list(returned)
    if not isinstance(found, (list, tuple)):
        raise ArgumentError(
            f"part {piece.name} must return a tensor, or a tuple or list of them, got "
            f"{type(returned).__name__}."
        )
    if len(found) != len(piece.writes):
        raise ArgumentError(
            f"part {piece.name} returns {len(found)} tensors, but writes names "
            f"{len(piece.writes)}: {', '.join(piece.writes)}."
        )
    return list(found)


def _require_usable(
    piece: Piece, name: str, one: Tensor, two: Tensor, *, passed: bool
) -> None:
    """Refuse what no graph could give, or ``passed`` on to another one."""
    if not isinstance(one, Tensor):
        raise ArgumentError(
            f"part {piece.name} must return a tensor as {name}, got "
            f"{type(one).__name__}."
        )
    if passed and (one.dtype not in _TYPES or one.shape[:1] != (1,)):
        kind = str(one.dtype).removeprefix("torch.")
        raise ExportError(
            f"part {piece.name} must return {name} as float32 or int64 with a first "
            f"axis of 1, the batch, as it becomes a tensor of the bundle, got {kind} "
            f"{tuple(one.shape)}."
        )
    if not one.isfinite().all() or not torch.equal(one, two):
        raise ExportError(
            f"part {piece.name} gives NaN, infinity or two results for one input as "
            f"{name}: look at its weights."
        )


def _difference(expected: Tensor, got: Tensor) -> float:
    """The largest one, as a share of the largest value; of labels how many differ."""
    if not expected.is_floating_point():
        return float((expected != got).double().mean())
    apart = float((expected - got).abs().max())
    return apart / max(float(expected.abs().max()), _TINY)
