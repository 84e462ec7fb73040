"""What texts alone decide: INT8 leaves it as it is, and it is run once for each text.

It runs when a text is new, so INT8 would save no time; and a bundle holds it in float
anyway, so INT8 would only add bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import onnx

from ..frames.packing import PackedFrame, Tensors
from ..passes.split import Piece, cut_out, one_piece
from .evaluate import NetworkFunction, network_function

__all__ = ["TextsApart"]

_Key = tuple[bytes, ...]
Made = Callable[[onnx.ModelProto], NetworkFunction]


class TextsApart:
    """A network, and which of its graphs read texts alone.

    Args:
        network: Float32.
        pieces: The graphs that it is cut into.
        texts: The inputs that are texts.

    Attributes:
        piece: The network's other graphs, as one.
        rest: That as a network; the network itself if no graph reads texts alone.
        nodes: Names of those in the graphs of the texts.
    """

    def __init__(
        self, network: onnx.ModelProto, pieces: Sequence[Piece], texts: Iterable[str]
    ) -> None:
        alone = [piece for piece in pieces if {*piece.reads} <= {*texts}]
        whole = one_piece(network)
        self._texts = {name for piece in alone for name in piece.reads}
        made = {w: v for p in alone for w, v in zip(p.writes, p.values, strict=True)}
        used = {name for piece in pieces if piece not in alone for name in piece.reads}
        others = [name for name in whole.reads if name not in self._texts]
        crossing = [value for name, value in made.items() if name in used]
        self.piece = replace(
            whole,
            reads=(*others, *crossing),
            writes=tuple(n for n in whole.writes if n not in made.values()),
        )
        self._pieces = [*alone, self.piece]
        *self._graphs, self.rest = cut_out(network, self._pieces)
        self.nodes = {n.name for model in self._graphs for n in model.graph.node}

    def frames(self, frames: Iterable[PackedFrame]) -> Iterable[PackedFrame]:
        """These frames as `rest` reads them, as often as they can be gone through."""
        return _Behind(frames, self._behind(self._graphs, network_function))

    def function(self, variant: onnx.ModelProto, made: Made) -> NetworkFunction:
        """A variant as a function that runs the graphs of texts once for each text.

        Args:
            variant: Of the network.
            made: Makes a function of a graph.
        """
        *graphs, rest = cut_out(variant, self._pieces)
        behind, function = self._behind(graphs, made), made(rest)

        def whole(tensors: Tensors) -> Tensors:
            given = behind(tensors)
            return {**given, **function({n: given[n] for n in self.piece.reads})}

        return whole

    def _behind(
        self, graphs: Sequence[onnx.ModelProto], made: Made
    ) -> Callable[[Tensors], Tensors]:
        """What comes of a frame's texts in their place."""
        reads = [[value.name for value in model.graph.input] for model in graphs]
        functions, known = [made(model) for model in graphs], dict[_Key, Tensors]()

        def behind(tensors: Tensors) -> Tensors:
            texts = {name: tensors[name] for name in sorted(self._texts)}
            key = tuple(text.tobytes() for text in texts.values())
            if key not in known:
                found: Tensors = {}
                for function, names in zip(functions, reads, strict=True):
                    found = {**found, **function({n: texts[n] for n in names})}
                known[key] = found
            given = {**tensors, **known[key]}
            return {name: a for name, a in given.items() if name not in texts}

        return behind


class _Behind:
    def __init__(
        self, frames: Iterable[PackedFrame], behind: Callable[[Tensors], Tensors]
    ) -> None:
        self._frames, self._behind = frames, behind

    def __iter__(self) -> Iterator[PackedFrame]:
        for frame in self._frames:
            yield replace(frame, tensors=self._behind(frame.tensors))
