"""The best one would write without fuseg: OpenVINO from camera bytes to labels.

Its own PrePostProcessor does what comes before the network, inside the compiled graph:
bytes in, resize, mean and scale. Resize and ArgMax are nodes of the graph, too; labels
leave it as uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.backends.openvino import import_openvino, the_core
from fuseg.manifest import DepthInput, ImageInput, Output

openvino = import_openvino()
Layout, Type, opset13 = openvino.Layout, openvino.Type, openvino.opset13
ResizeAlgorithm = openvino.preprocess.ResizeAlgorithm

Frames = dict[str, NDArray[Any]]
Call = Callable[[Frames], NDArray[np.uint8]]

_TYPES = {"uint8": Type.u8, "uint16": Type.u16, "float32": Type.f32}
_FILTERS = {
    "bilinear": ResizeAlgorithm.RESIZE_LINEAR,
    "nearest": ResizeAlgorithm.RESIZE_NEAREST,
}


def whole_pipeline(
    network: bytes,
    inputs: tuple[ImageInput, ...],
    output: Output,
    frames: Frames,
    *,
    direct: bool,
    precision: str = "f32",
) -> Call:
    """A function from frames like these to labels (H, W) of their size, one thread.

    Args:
        network: ONNX that gives scores at the size of ``output.tensor``.
        direct: Whether the scores are resized to the camera's size at once; else first
            to the network's, and the labels then by nearest, which is less work.
        precision: OpenVINO's hint for what is float: ``f32``, or ``bf16``, which is
            its own choice where the CPU computes in it.
    """
    camera = next(iter(frames.values())).shape[:2]
    stages = [camera] if direct else list(dict.fromkeys([output.tail.size, camera]))
    model = the_core().read_model(with_labels(network, output, stages))
    steps = openvino.preprocess.PrePostProcessor(model)
    if len({sensor.tensor for sensor in inputs}) != len(inputs):
        raise ValueError("this peer is written for one sensor a tensor")
    for sensor in inputs:
        _prepare(steps, sensor, frames[sensor.name].shape)
    steps.output().tensor().set_element_type(Type.u8)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = the_core().compile_model(steps.build(), "CPU", settings)
    request = compiled.create_infer_request()
    names = {sensor.name: sensor.tensor for sensor in inputs}

    def call(given: Frames) -> NDArray[np.uint8]:
        tensors = {
            names[name]: a.reshape(1, *a.shape[:2], -1) for name, a in given.items()
        }
        results = request.infer(tensors, share_inputs=True, share_outputs=True)
        return np.asarray(results[0]).reshape(camera)

    return call


def with_labels(network: bytes, output: Output, sizes: list[tuple[int, int]]) -> bytes:
    """The network with Resize to the first size, ArgMax, and Resize to the others.

    Scores are resized bilinearly, labels by nearest.
    """
    model = onnx.load_from_string(network)
    value, channels = output.tensor, len(output.classes)
    (scores,) = model.graph.output
    if (
        scores.type.tensor_type.shape.dim[1].dim_value < 2
        or output.upsample.align_corners
    ):
        raise ValueError("this peer is written for several classes on half pixels")
    for number, size in enumerate(sizes):
        planes, mode = (channels, "linear") if number == 0 else (1, "nearest")
        shape = np.array([1, planes, *size], np.int64)
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(shape, f"peer_size_{number}")
        )
        resized = f"peer_resized_{number}"
        model.graph.node.append(
            onnx.helper.make_node(
                "Resize",
                [value, "", "", f"peer_size_{number}"],
                [resized],
                mode=mode,
                coordinate_transformation_mode="half_pixel",
            )
        )
        value = resized
        if number == 0:
            value = "peer_labels"
            model.graph.node.append(
                onnx.helper.make_node("ArgMax", [resized], [value], axis=1)
            )
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(
            value, onnx.TensorProto.INT64, (1, 1, *sizes[-1])
        )
    )
    return model.SerializeToString()


def _prepare(steps: Any, sensor: ImageInput, shape: tuple[int, ...]) -> None:
    """Camera bytes to a plane tensor, in the order that the manifest means."""
    port = steps.input(sensor.tensor)
    given = [1, *shape[:2], sensor.planes]
    port.tensor().set_element_type(_TYPES[sensor.dtype]).set_shape(given)
    port.tensor().set_layout(Layout("NHWC"))
    port.model().set_layout(Layout("NCHW"))
    first = port.preprocess()
    if sensor.kind == "color" and sensor.channels == "BGR":
        raise ValueError("this peer is written for RGB")
    if sensor.dtype != "uint8":  # its resize takes no uint16
        first.convert_element_type(Type.f32)
    size = (sensor.resize.height, sensor.resize.width)
    if shape[:2] != size:
        # Of two pixels both "nearest" take the first; of more, fuseg the first and
        # this one the middle.
        if sensor.resize.filter == "nearest" and shape[:2] != (
            2 * size[0],
            2 * size[1],
        ):
            raise ValueError("this peer is written for nearest by a factor of two")
        first.resize(_FILTERS[sensor.resize.filter])
    if sensor.dtype == "uint8":
        first.convert_element_type(Type.f32)
    mean, std = (
        np.divide(sensor.mean, sensor.scale),
        np.divide(sensor.std, sensor.scale),
    )
    if sensor.kind != "color" and sensor.invalid:
        first.custom(_masked(sensor, float(mean[0]), float(std[0])))
    else:
        first.mean(mean.tolist()).scale(std.tolist())


def _masked(sensor: DepthInput, mean: float, std: float) -> Callable[[Any], Any]:
    def masked(output: Any) -> Any:
        one = lambda value: opset13.constant(np.float32(value))
        values = opset13.divide(opset13.subtract(output, one(mean)), one(std))
        for word in sensor.invalid:
            missing = opset13.equal(output, one(word))
            values = opset13.select(missing, one(sensor.fill), values)
        return values.output(0)

    return masked
