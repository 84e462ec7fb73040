"""Graphs without the bytes of their weights, so that few copies of these are made.

Reading, inferring and opening a graph each copy all of it, some of them several times,
and weights are nearly all of it.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx

__all__ = ["StoredGraphs", "hull", "read_together", "without_weights", "write_apart"]

_SMALL = 2**16  # bytes: sizes, scales and the like stay, which inference reads
_PAGE = 4096
_GRAPH, _WEIGHTS = "graph.onnx", "weights.bin"


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large stored tensors have their type and shape, and no values."""
    made = hull(model)
    for tensor in model.graph.initializer:
        own = made.graph.initializer.add()
        if not _is_large(tensor):
            own.CopyFrom(tensor)
            continue
        own.name, own.data_type = tensor.name, tensor.data_type
        own.dims.extend(tensor.dims)
        own.data_location = onnx.TensorProto.EXTERNAL
    return made


def write_apart(model: onnx.ModelProto, folder: Path) -> Path:
    """Write a graph, and its large tensors into a file beside it, which ONNX Runtime
    maps instead of copying it."""
    made = without_weights(model)
    place = 0
    with open(folder / _WEIGHTS, "wb") as file:
        for tensor, own in zip(
            model.graph.initializer, made.graph.initializer, strict=True
        ):
            if not _is_large(tensor):
                continue
            size = len(tensor.raw_data)
            said = {"location": _WEIGHTS, "offset": place, "length": size}
            for key, value in said.items():
                entry = own.external_data.add()
                entry.key, entry.value = key, str(value)
            place += file.write(tensor.raw_data)
            place += file.write(bytes(-place % _PAGE))
    path = folder / _GRAPH
    path.write_bytes(made.SerializeToString())
    return path


def read_together(path: Path) -> onnx.ModelProto:
    """What `write_apart` wrote, the same to the byte."""
    model = onnx.load(path, load_external_data=False)
    with open(path.with_name(_WEIGHTS), "rb") as file:
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                said = {entry.key: entry.value for entry in tensor.external_data}
                file.seek(int(said["offset"]))
                tensor.raw_data = file.read(int(said["length"]))
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
    return model


class StoredGraphs(Mapping[str, onnx.ModelProto]):
    """Graphs in files of a folder of their own, read anew each time."""

    def __init__(self, graphs: Mapping[str, onnx.ModelProto]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fuseg-"))
        weakref.finalize(self, shutil.rmtree, folder)
        self._paths = {}
        for name, model in graphs.items():
            (folder / name).mkdir()
            self._paths[name] = write_apart(model, folder / name)

    def __getitem__(self, name: str) -> onnx.ModelProto:
        return read_together(self._paths[name])

    def light(self, name: str) -> onnx.ModelProto:
        """A graph whose large tensors are in a file of `folder`."""
        return onnx.load(self._paths[name], load_external_data=False)

    def folder(self, name: str) -> Path:
        """Where the large tensors of a graph are."""
        return self._paths[name].parent

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _is_large(tensor: onnx.TensorProto) -> bool:
    return len(tensor.raw_data) > _SMALL


def hull(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without any stored tensor."""
    made = onnx.ModelProto()
    _copy(model, made, but="graph")
    _copy(model.graph, made.graph, but="initializer")
    return made


def _copy(message: Any, made: Any, but: str) -> None:
    """Copy all fields but one."""
    for field, value in message.ListFields():
        if field.name == but:
            continue
        if isinstance(value, int | float | str | bytes):
            setattr(made, field.name, value)
        elif hasattr(value, "ListFields"):
            getattr(made, field.name).CopyFrom(value)
        else:
            getattr(made, field.name).extend(value)
