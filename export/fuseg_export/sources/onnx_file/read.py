"""An ONNX file of the user's, read and refused in one sentence if it cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_model,
    uses_external_data,
)

from fuseg.errors import ExportError, InputFileError

from ...errors import first_sentence
from ...passes.tidy import all_nodes

__all__ = ["OnnxFile", "is_onnx_file", "read_onnx"]

_LARGEST = (1 << 31) - 1  # bytes of a protobuf message
_HALF = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_QUANTIZED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
}


@dataclass(frozen=True)
class OnnxFile:
    """A file that ONNX Runtime may be given.

    Attributes:
        path: Of the file.
        model: Its data all in it, its functions in the graph, and without inputs that
            are stored or read by nothing.
        sha256: Of the file's bytes, and of those of the files that hold its data.
        notes: What was left out, a sentence each.
    """

    path: Path
    model: onnx.ModelProto
    sha256: str
    notes: tuple[str, ...]


def is_onnx_file(word: str) -> bool:
    """Whether a target is an ONNX file."""
    return word.lower().endswith(".onnx")


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file and the files beside it that hold its data.

    Raises:
        InputFileError: It cannot be read, is damaged, or is none.
        ExportError: It is larger than 2 GB, computes in half precision or integers, or
            needs operators beyond ONNX's own.
    """
    data = _read(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as err:
        raise InputFileError(
            f"{path} must be an ONNX file, but is {_what(data)}."
        ) from err
    if not model.graph.node or not model.graph.output:
        raise InputFileError(
            f"{path} must be an ONNX file with a graph, but has no "
            f"{'outputs' if model.graph.node else 'nodes'}."
        )
    digest = hashlib.sha256(data)
    for outside in _outside(path, model):
        digest.update(outside.read_bytes())
    _load_outside(path, model)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _require_own_operators(path, model)
    _require_float(path, model)
    _require_valid(path, model)
    notes = _drop_inputs(model)
    return OnnxFile(path, model, digest.hexdigest(), notes)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise ExportError(_too_large(path, size))
        return path.read_bytes()
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err


def _too_large(path: Path, size: int) -> str:
    return (
        f"{path} must be at most 2 GB with its data, as much as a bundle's graph can "
        f"hold, got {size / 1e9:.1f} GB."
    )


def _what(data: bytes) -> str:
    if data.startswith(b"version https://git-lfs"):
        return "the pointer that Git LFS keeps in its place: run git lfs pull"
    if data[4:8] == b"ORTM":
        return "in ONNX Runtime's own format: give the ONNX file that it was made of"
    return "damaged or something else"


def _outside(path: Path, model: onnx.ModelProto) -> list[Path]:
    """The files beside it that hold its data."""
    names = {
        ExternalDataInfo(tensor).location
        for tensor in _tensors(model)
        if uses_external_data(tensor)
    }
    found, size = [], model.ByteSize()
    for name in sorted(names):
        outside = path.parent / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputFileError(
                f"{path} must keep its data in its own folder, got {name}."
            )
        try:
            size += outside.stat().st_size
        except OSError as err:
            raise InputFileError(
                f"{path} keeps weights in {outside}, which cannot be read: "
                f"{err.strerror or err}. Put it beside the file."
            ) from err
        found.append(outside)
    if size > _LARGEST:
        raise ExportError(_too_large(path, size))
    return found


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in all_nodes(model.graph):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _load_outside(path: Path, model: onnx.ModelProto) -> None:
    try:
        load_external_data_for_model(model, str(path.parent))
    except Exception as err:  # its exceptions share no narrower base
        raise InputFileError(
            f"{path} keeps weights in other files, which do not hold them: "
            f"{first_sentence(err)}."
        ) from err


def _require_own_operators(path: Path, model: onnx.ModelProto) -> None:
    for node in all_nodes(model.graph):
        if node.domain in ("", "ai.onnx"):
            continue
        why = "no other runtime has it, so replace it by ONNX's own"
        if node.domain.startswith("com.microsoft"):
            why = "ONNX Runtime puts it in, so give the file as it was first exported"
        raise ExportError(
            f"{path} needs the operator {node.domain}::{node.op_type} ({node.name}), "
            f"which is none of ONNX's own: {why}."
        )


def _require_valid(path: Path, model: onnx.ModelProto) -> None:
    opset = max((entry.version for entry in model.opset_import), default=0)
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ExportError(
            f"{path} is of opset {opset}, and onnx {onnx.__version__} knows none after "
            f"{newest}: export it again in an older one."
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as err:
        raise InputFileError(
            f"{path} is not valid ONNX: {first_sentence(err)}."
        ) from err
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            kind = value.type.WhichOneof("value") or "nothing"
            raise ExportError(
                f"{path} must take and give tensors, but {value.name} is a "
                f"{kind.removesuffix('_type')}."
            )


def _require_float(path: Path, model: onnx.ModelProto) -> None:
    for node in all_nodes(model.graph):
        if node.op_type in _QUANTIZED:
            raise ExportError(
                f"{path} must be a float32 network, but is quantized "
                f"({node.op_type}, node {node.name}): give the one that it was made "
                "of, and --precision int8 quantizes it."
            )
    kinds = {t.name: t.data_type for t in _tensors(model)}
    values = (*model.graph.input, *model.graph.output)
    kinds |= {value.name: value.type.tensor_type.elem_type for value in values}
    for name, kind in kinds.items():
        if kind in _HALF:
            raise ExportError(
                f"{path} must be a float32 network, but {name or 'a constant'} is "
                f"{onnx.TensorProto.DataType.Name(kind).lower()}: give the one that it "
                "was made of, and --precision fp16 converts it."
            )


def _drop_inputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Leave out the inputs that are stored, as in old files, or read by nothing."""
    stored = {tensor.name for tensor in model.graph.initializer}
    given = {name for node in all_nodes(model.graph) for name in node.input}
    given |= {value.name for value in model.graph.output}
    inputs = [value for value in model.graph.input if value.name not in stored]
    unread = [value.name for value in inputs if value.name not in given]
    kept = [value for value in inputs if value.name in given]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    if not unread:
        return ()
    return (f"left out the file's input {', '.join(unread)}, which nothing reads",)
