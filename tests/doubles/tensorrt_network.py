"""The network of the TensorRT doubles: what the parser makes of an ONNX file."""

from __future__ import annotations

from typing import Any

from . import tensorrt_faults as faults
from . import tensorrt_plan as plans
from .tensorrt_api import State, expect, since, versioned

FORMATS = {"FLOAT": {"LINEAR"}, "HALF": {"LINEAR", "CHW4", "HWC8"}} | {
    "INT8": {"LINEAR", "CHW4"}
}


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
    def __init__(self, mode: str, info: Any) -> None:
        tensor = info.type.tensor_type
        self.mode, self.name = mode, info.name
        self.dtype = plans.OF_ONNX.get(tensor.elem_type, "?")
        self.shape = tuple(d.dim_value for d in tensor.shape.dim)
        self.formats = 0  # none was set


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
        return "" if self._node is None else str(self._node.name)

    @since(10)
    def node_operator(self) -> str:
        return "" if self._node is None else str(self._node.op_type)


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
            return self._fail("the network must have an explicit batch dimension")
        data = bytes(memoryview(model))
        try:
            found = onnx.load_from_string(data)
        except DecodeError as err:
            return self._fail(f"Failed to parse ONNX model: {err}")
        try:
            onnx.checker.check_model(found)
        except onnx.checker.ValidationError as err:
            return self._fail(str(err), *_first_wrong(found))
        opset = max(o.version for o in found.opset_import if o.domain == "")
        if state.number[0] < 10 and opset > 17:
            return self._fail(f"opset {opset} is not supported, 17 is the last one")
        network._model, network._onnx = found, data
        ends = {"INPUT": found.graph.input, "OUTPUT": found.graph.output}
        for mode, infos in ends.items():
            made = [state.module.ITensor(Io(mode, info)) for info in infos]
            network._tensors[mode] = made
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def _fail(self, sentence: str, index: int = -1, node: Any = None) -> bool:
        error = self._state.module.ParserError(sentence, index, node)
        self._errors.append(error)
        said = [f"ModelImporter.cpp:151: ERROR: f.cpp:1 In function f:\n[6] {sentence}"]
        if node is not None:  # as the real one logs it
            makes = f'{node.op_type} -> "{node.output[0]}"'
            said[:0] = [
                f"ModelImporter.cpp:140: While parsing node number {index} [{makes}]:",
                f"ModelImporter.cpp:142: --- Begin node ---\nNode name: {node.name}",
                "ModelImporter.cpp:143: --- End node ---",
            ]
        for line in said:
            self._state.error(self._logger, line)
        return False


def _first_wrong(model: Any) -> tuple[Any, ...]:
    """Index of the first node that the checker refuses, and the node."""
    import onnx

    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {o.domain: o.version for o in model.opset_import}
    for index, node in enumerate(model.graph.node):
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError:
            return index, node
    return ()


def ios(network: Any) -> list[Any]:
    return [t._io for mode in ("INPUT", "OUTPUT") for t in network._tensors[mode]]


def allowed_formats(network: Any, io: Any) -> set[str]:
    members = network._state.module.TensorFormat.__members__
    wanted = {name for name, f in members.items() if io.formats >> int(f) & 1}
    return wanted or {"LINEAR"}


def layout_of(network: Any, io: Any) -> str:
    """The vectorised one where it is allowed, as TensorRT for RTX chooses."""
    allowed = allowed_formats(network, io) & FORMATS[io.dtype]
    vectors = sorted(allowed - {"LINEAR"})
    return "LINEAR" if faults.is_on("linear") or not vectors else vectors[0]


def classes(state: State) -> dict[str, type]:
    made = (ITensor, INetworkDefinition, ParserError, OnnxParser)
    return {template.__name__: versioned(template, state) for template in made}
