"""What a run of each variant costs on this machine, backend by backend."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.backends import create, installed

__all__ = ["median_ms"]

_ROUNDS = 15


def median_ms(
    networks: Sequence[onnx.ModelProto], sizes: Mapping[str, int]
) -> list[dict[str, float]]:
    """Median milliseconds of a run of each network, by backend: one thread, in turns.

    Args:
        sizes: Of dimensions, by name.

    Raises:
        BackendError: A backend that is installed refuses one of them.
    """
    running = []
    for index, network in enumerate(networks):
        for name in installed():
            backend = create(name, network.SerializeToString(), threads=1)
            ends = (network.graph.input, network.graph.output)
            backend.bind(*(_zeros(values, sizes) for values in ends))
            running.append((index, name, backend))
    taken: list[list[float]] = [[] for _ in running]
    for _ in range(_ROUNDS):
        for own, (_, _, backend) in zip(taken, running, strict=True):
            start = time.perf_counter()
            backend.run()
            own.append((time.perf_counter() - start) * 1e3)
    found: list[dict[str, float]] = [{} for _ in networks]
    for own, (index, name, _) in zip(taken, running, strict=True):
        found[index][name] = float(np.median(own))
    return found


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
