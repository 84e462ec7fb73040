"""The network of the TensorRT doubles: what the parser makes of an ONNX file."""

from __future__ import annotations

from typing import Any

from . import tensorrt_faults as faults
from . import tensorrt_plan as plans
from .tensorrt_api import State, expect, since, versioned
from .tensorrt_refusals import Refusal, first_refusal

# Of a type the formats, of those that the doubles can run.
_FORMATS = {"HALF": {"LINEAR", "CHW4", "HWC8"}, "INT8": {"LINEAR", "CHW4"}}
_EVERY_FORMAT = (1 << 13) - 1


class ITensor:
    def __init__(self, found: Io) -> None:
        self._io = expect(found, Io, "ITensor")

    @property
    def name(self) -> str:
        return self._io.name

    @property
    def dtype(self) -> Any:
        return getattr(self._state.module.DataType, self._io.dtype)

    @property
    def allowed_formats(self) -> int:
        return self._io.formats

    @allowed_formats.setter
    def allowed_formats(self, formats: int) -> None:
        self._io.formats = expect(formats, int, "allowed_formats")


class Io:
    def __init__(self, mode: str, info: Any, *, has_int64: bool) -> None:
        tensor = info.type.tensor_type
        self.mode, self.name = mode, info.name
        self.dtype = plans.OF_ONNX.get(tensor.elem_type, "?")
        if self.dtype == "INT64" and not has_int64:
            self.dtype = "INT32"
        # 1 or more, or -1 of a dimension.
        self.shape = tuple(d.dim_value or -1 for d in tensor.shape.dim)
        self.formats = _EVERY_FORMAT


class INetworkDefinition:
    def __init__(self, flags: int) -> None:
        self._flags, self._model, self._onnx = flags, None, b""
        self._tensors: dict[str, list[Any]] = {"INPUT": [], "OUTPUT": []}

    @property
    def num_inputs(self) -> int:
        return len(self._tensors["INPUT"])

    @property
    def num_outputs(self) -> int:
        return len(self._tensors["OUTPUT"])

    def get_input(self, index: int) -> Any:
        return self._tensors["INPUT"][index]

    def get_output(self, index: int) -> Any:
        return self._tensors["OUTPUT"][index]

    def _has(self, flag: str) -> bool:
        kind = self._state.module.NetworkDefinitionCreationFlag
        known = kind.__members__.get(flag)
        return known is not None and bool(self._flags >> int(known) & 1)

    def _typed(self) -> bool:
        return self._state.number[0] >= 11 or self._has("STRONGLY_TYPED")


class ParserError:
    def __init__(self, sentence: str, index: int = -1, node: Any = None) -> None:
        self._sentence, self._index, self._node = sentence, index, node

    def desc(self) -> str:
        return self._sentence

    def node(self) -> int:
        return self._index

    @since(10)
    def node_name(self) -> str:
        return getattr(self._node, "name", "")

    @since(10)
    def node_operator(self) -> str:
        return getattr(self._node, "op_type", "")


class OnnxParser:
    def __init__(self, network: Any, logger: Any) -> None:
        module = self._state.module
        self._network = expect(network, module.INetworkDefinition, "OnnxParser")
        self._logger = expect(logger, module.ILogger, "OnnxParser")
        self._errors: list[Any] = []

    def parse(self, model: Any, path: str | None = None) -> bool:
        import onnx
        from google.protobuf.message import DecodeError

        del path  # where external data would be, which no bundle has
        network, state = self._network, self._state
        if state.number[0] < 10 and not network._has("EXPLICIT_BATCH"):
            return self._fail(Refusal("the network must have an explicit batch"))
        data = bytes(memoryview(model))
        try:
            found = onnx.load_from_string(data)
        except DecodeError as err:
            return self._fail(Refusal(f"Failed to parse ONNX model: {err}"))
        opset = max(o.version for o in found.opset_import if o.domain == "")
        if state.number[0] < 10 and opset > 17:
            return self._fail(Refusal(f"opset {opset} is not supported, only to 17"))
        if refusal := first_refusal(found, rtx=state.is_rtx):
            return self._fail(refusal)
        network._model, network._onnx = found, data
        ends = {"INPUT": found.graph.input, "OUTPUT": found.graph.output}
        for mode, infos in ends.items():
            made = [
                state.module.ITensor(Io(mode, info, has_int64=state.number >= (10,)))
                for info in infos
            ]
            network._tensors[mode] = made
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def _fail(self, refusal: Refusal) -> bool:
        self._errors.append(self._state.module.ParserError(*refusal))
        self._state.error(self._logger, f"While parsing: {refusal.sentence}")
        return False


def ios(network: Any) -> list[Any]:
    return [t._io for mode in ("INPUT", "OUTPUT") for t in network._tensors[mode]]


def layout_of(network: Any, io: Any) -> str:
    """What the engine has of the allowed formats; ValueError if one is not the type's.

    TensorRT for RTX takes the vectorised one where it is allowed.
    """
    members = network._state.module.TensorFormat.__members__
    asked = {name for name, f in members.items() if io.formats >> int(f) & 1}
    if len(asked) == len(members):
        return "LINEAR"
    if not asked:
        raise ValueError(f"Error Code 4: No TensorFormats available for {io.name}")
    if asked - _FORMATS.get(io.dtype, {"LINEAR"}):
        raise ValueError(
            f"Error Code 3: {io.name}: has dataType {io.dtype.title()} unsupported by "
            "tensor's allowed TensorFormats"
        )
    return "LINEAR" if faults.is_on("linear") else min(asked)  # CHW4, HWC8, LINEAR


def classes(state: State) -> dict[str, type]:
    made = (ITensor, INetworkDefinition, ParserError, OnnxParser)
    return {template.__name__: versioned(template, state) for template in made}
