"""What a run of each variant costs on this machine, backend by backend."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.backends import create, installed
from fuseg.manifest import Manifest

from ..dimensions import with_names
from ..graphs import NetworkGraphs
from ..passes.split import Piece, cut_out

__all__ = ["Timer", "median_ms"]

_ROUNDS = 15


class Timer:
    """Times what runs for each frame of a network, whatever its precision.

    Args:
        graphs: The network's.
        piece: Of it that runs, but for its stand-ins, which never run beside it.
        manifest: Of the bundle.
    """

    def __init__(self, graphs: NetworkGraphs, piece: Piece, manifest: Manifest) -> None:
        others = {stand_in.output.record.tensor for stand_in in graphs.stand_ins}
        writes = tuple(name for name in piece.writes if name not in others)
        self._piece, self._sizes = replace(piece, writes=writes), graphs.sizes
        self._shapes = {}
        if manifest.dimensions:
            self._shapes = {name: t.shape for name, t in manifest.tensors.items()}

    def __call__(self, models: Sequence[onnx.ModelProto]) -> list[dict[str, float]]:
        """See `median_ms`."""
        networks = [cut_out(model, [self._piece])[0] for model in models]
        for network in networks:
            if self._shapes:
                with_names(network, self._shapes)  # onnx does not infer all of them
        return median_ms(networks, self._sizes)

    def share(self, model: onnx.ModelProto, others: Sequence[onnx.ModelProto]) -> float:
        """What a model takes of the time of the fastest of these, each on the backend
        that runs it fastest."""
        own, *rest = (min(found.values()) for found in self([model, *others]))
        return own / min(rest)


def median_ms(
    networks: Sequence[onnx.ModelProto], sizes: Mapping[str, int]
) -> list[dict[str, float]]:
    """Median milliseconds of a run of each network, by backend: one thread, in turns.

    They are of the processor's time, which other programs on the machine disturb less.

    Args:
        sizes: Of dimensions, by name.

    Raises:
        BackendError: A backend that is installed refuses one of them.
    """
    found: list[dict[str, float]] = [{} for _ in networks]
    for name in installed():  # one after the other: each holds all the weights
        for own, ms in zip(found, _medians(name, networks, sizes), strict=True):
            own[name] = ms
    return found


def _medians(
    name: str, networks: Sequence[onnx.ModelProto], sizes: Mapping[str, int]
) -> list[float]:
    running = []
    for network in networks:
        backend = create(name, network.SerializeToString(), threads=1)
        ends = (network.graph.input, network.graph.output)
        backend.bind(*(_zeros(values, sizes) for values in ends))
        running.append(backend)
    taken: list[list[float]] = [[] for _ in running]
    for _ in range(_ROUNDS):
        for own, backend in zip(taken, running, strict=True):
            start = time.process_time()
            backend.run()
            own.append((time.process_time() - start) * 1e3)
    return [float(np.median(own)) for own in taken]


def _zeros(
    values: Iterable[onnx.ValueInfoProto], sizes: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    found = {}
    for value in values:
        dims = value.type.tensor_type.shape.dim
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in dims]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        found[value.name] = np.zeros(shape, dtype)
    return found
