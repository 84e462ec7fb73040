"""An ONNX file as a torch module, run by ONNX Runtime: what an export starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError

from ...dimensions import Shape
from ...ort_session import open_cpu_session
from .read import OnnxFile

__all__ = ["OnnxNetwork"]

_REDUCE = ("ArgMax", "TopK")


class OnnxNetwork(nn.Module):
    """The graph of a file, as it is.

    Its forward takes a tensor for each of ``inputs``, and returns the file's outputs,
    and tensors inside it that are asked for, in a dict by their names.

    Args:
        file: Of the user's; its graph gets the constants.
        shapes: By tensor of the user's inputs, in their order.
        constants: Values of other inputs of the file, by their names.
        inner: Names of outputs that are asked for; those that are none of the file's
            outputs are tensors inside it.

    Attributes:
        model: The graph with the constants in it.
        inputs: The file's input for each of ``shapes``, in that order.

    Raises:
        ArgumentError: The inputs are not the file's, or it has no such tensors inside.
        ExportError: ONNX Runtime refuses the file.
    """

    def __init__(
        self,
        file: OnnxFile,
        shapes: Mapping[str, Shape],
        constants: Mapping[str, Any],
        inner: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.file = file
        self.model = file.model
        _bind(file, self.model, constants)
        graph = self.model.graph
        self.inputs = _matched(file, graph.input, shapes)
        named = {value.name for value in graph.output}
        made = [name for node in graph.node for name in node.output if name]
        for name in inner:
            if name not in (*named, *made):
                raise ArgumentError(_no_output(file, [*named], made, name))
        reduced = {
            node.input[0]
            for node in graph.node
            if node.op_type in _REDUCE and node.input[0] in made
        }
        self._outputs = [*dict.fromkeys((*(v.name for v in graph.output), *inner))]
        self._reduced = sorted(reduced)
        self._given = [*dict.fromkeys((*self._outputs, *self._reduced))]
        shown = onnx.ModelProto()
        shown.CopyFrom(self.model)
        shown.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in self._given if name not in named
        )
        self._session = open_cpu_session(shown)

    def forward(self, *tensors: Tensor, **_: Any) -> dict[str, Tensor]:
        """Constants are in the graph."""
        feed = {n: t.numpy() for n, t in zip(self.inputs, tensors, strict=True)}
        found = self._session.run(self._given, feed)
        arrays = dict(zip(self._given, map(torch.from_numpy, found), strict=True))
        for name in self._reduced:
            arrays[name].argmax()  # so that who watches torch sees what labels are of
        return {name: arrays[name] for name in self._outputs}


def _bind(file: OnnxFile, model: onnx.ModelProto, constants: Mapping[str, Any]) -> None:
    """Make stored tensors of inputs that are always the same."""
    inputs = {value.name: value for value in model.graph.input}
    for name, value in constants.items():
        if name not in inputs:
            raise ArgumentError(
                f"--constant must name an input of {file.path}, {', '.join(inputs)}, "
                f"got {name}."
            )
        kind = inputs[name].type.tensor_type.elem_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        try:
            array: NDArray[Any] = np.asarray(value).astype(dtype)
        except (TypeError, ValueError) as err:
            raise ArgumentError(
                f"--constant {name} must be numbers, as {file.path} takes {dtype}, "
                f"got {value!r}."
            ) from err
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        model.graph.input.remove(inputs[name])


def _no_output(
    file: OnnxFile, outputs: Sequence[str], inside: Sequence[str], name: str
) -> str:
    near = get_close_matches(name, [*outputs, *inside], 1)
    end = f": did you mean {near[0]}?" if near else "."
    return (
        f"--output must be one of the outputs of {file.path}, {', '.join(outputs)}, or "
        f"another tensor in it, got {name}{end}"
    )


def _matched(
    file: OnnxFile, inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Shape]
) -> list[str]:
    """The file's input for each tensor: by name if all have one, else by place."""
    values = {value.name: value for value in inputs}
    spelled = ", ".join(map(_spelled, inputs)) or "none"
    if set(shapes) == set(values):
        found = list(shapes)
    elif len(shapes) != len(values):
        raise ArgumentError(
            f"--input must be given for each input of {file.path}, in its order or by "
            f"its names: {spelled}; got {', '.join(shapes)}."
        )
    else:
        found = list(values)
    sizes: dict[str, tuple[str, Any]] = {}
    for tensor, name in zip(shapes, found, strict=True):
        if tensor in values and tensor != name:
            raise ArgumentError(
                f"--input must have all of the names of the inputs of {file.path}, "
                f"{spelled}, or none of them, got {', '.join(shapes)}."
            )
        _require_fit(file, values[name], tensor, shapes[tensor])
        for side, size in zip(
            values[name].type.tensor_type.shape.dim, shapes[tensor], strict=False
        ):
            other, before = sizes.setdefault(side.dim_param, (tensor, size))
            if side.dim_param and before != size:
                raise ArgumentError(
                    f"--input must give {other} and {tensor} one size where "
                    f"{file.path} has one, {side.dim_param}, got {before} and {size}."
                )
    return found


def _require_fit(
    file: OnnxFile, value: onnx.ValueInfoProto, tensor: str, wanted: Shape
) -> None:
    why = _why_not(value, wanted)
    if why is not None:
        raise ExportError(
            f"{file.path} takes {_spelled(value)} where --input {tensor} gives "
            f"({', '.join(map(str, wanted))}): {why}."
        )


def _why_not(value: onnx.ValueInfoProto, wanted: Shape) -> str | None:
    """What to do where an input does not fit; None if it does."""
    kind = value.type.tensor_type
    picture = len(wanted) == 4
    if picture and kind.elem_type != onnx.TensorProto.FLOAT:
        return "export it so that it takes float32 and --spec says how to normalise"
    if not kind.HasField("shape"):
        return None
    sides = [side.dim_value or side.dim_param or "?" for side in kind.shape.dim]
    if len(sides) != len(wanted):
        return f"export it with {len(wanted)} axes"
    wrong = [
        axis
        for axis, pair in enumerate(zip(sides, wanted, strict=True))
        if isinstance(pair[0], int) and pair[0] != pair[1]
    ]
    if not wrong:
        return None
    if picture and sides[3] == wanted[1] and sides[1] != wanted[1]:
        return "export it channels first (tf2onnx: --inputs-as-nchw)"
    if wrong[0] == 0:
        return "export it with a batch of 1 or a dynamic one"
    if picture and 1 in wrong:
        return (
            f"it must get {sides[1]} channels, by the input's kind, its planes in "
            "--spec, or --stack"
        )
    size = "x".join(
        str(side if isinstance(side, int) else want)
        for side, want in zip(sides[2:], wanted[2:], strict=True)
    )
    return f"give its size, as in {size}" if size else "give its size"


def _spelled(value: onnx.ValueInfoProto) -> str:
    """Its name, type and shape."""
    kind = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)
    sides = [str(side.dim_value or side.dim_param or "?") for side in kind.shape.dim]
    shape = f" ({', '.join(sides)})" if kind.HasField("shape") else ""
    return f"{value.name} {dtype}{shape}"
