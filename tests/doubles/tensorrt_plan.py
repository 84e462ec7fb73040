"""The doubles' engine file: a header, the ONNX and a checksum; and tensors' layouts."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np

MAGIC = b"ftrt"
_HEAD = struct.Struct("<4sII52s")  # the last is the version
HEADER_SIZE = _HEAD.size

# By TensorFormat's name: components of a vector.
VECTORS = {"LINEAR": 1, "CHW4": 4, "HWC8": 8}
NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT64": np.int64,
}
OF_ONNX = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL"} | {
    10: "HALF"
}


def pack(header: dict[str, Any], onnx: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    version = header["version"].encode()
    body = _HEAD.pack(MAGIC, len(text), len(onnx), version) + text + onnx
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(plan: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the ONNX; ValueError says what is wrong."""
    if len(plan) < _HEAD.size + 4 or plan[:4] != MAGIC:
        raise ValueError("Magic tag does not match")
    if zlib.crc32(plan[:-4]) != struct.unpack("<I", plan[-4:])[0]:
        raise ValueError("Verify size/checksum in the stored engine failed")
    _, text, onnx, _ = _HEAD.unpack(plan[: _HEAD.size])
    end = _HEAD.size + text
    return json.loads(plan[_HEAD.size : end]), plan[end : end + onnx]


def version_of(header: bytes) -> str | None:
    """Of a plan's first bytes; None if they are of no plan."""
    if len(header) != _HEAD.size or header[:4] != MAGIC:
        return None
    return bytes(_HEAD.unpack(header)[3]).rstrip(b"\0").decode()


def describe(header: dict[str, Any]) -> str:
    """An engine as the log of a DETAILED build has it."""
    words = {"FLOAT": "Float", "HALF": "Half", "INT8": "Int8", "INT64": "Int64"}
    layers = [
        f"Name: {name}, LayerType: kgen, Inputs: [ {{ Name: x }}]"
        for name in header["layers"]
    ]
    tensors = [
        f" Name: {t['name']}, IOMode: {t['mode'].title()}, DataType: "
        f"{words[t['dtype']]}, Dimensions: {t['shape']}, Location: Device, "
        f"ProfileInfo: [ {{ Format: some words (k{t['format']}) }}]"
        for t in header["tensors"]
    ]
    return "\n".join(["Total Activation Memory: 4096 bytes", *layers, *tensors])


def stored_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The shape of the array that holds a (N, C, H, W) tensor in this layout."""
    vector = VECTORS[layout]
    if vector == 1:
        return shape
    n, c, h, w = shape
    blocks = -(-c // vector)
    return (n, h, w, blocks * vector) if layout == "HWC8" else (n, blocks, h, w, vector)


def store(tensor: np.ndarray, layout: str, old: np.ndarray) -> np.ndarray:
    """The tensor in its layout; the padding as it is in ``old``."""
    if layout == "LINEAR":
        return tensor
    out = old.copy()
    if layout == "HWC8":
        out[..., : tensor.shape[1]] = tensor.transpose(0, 2, 3, 1)
        return out
    for channel in range(tensor.shape[1]):
        out[:, channel // 4, :, :, channel % 4] = tensor[:, channel]
    return out


def load(stored: np.ndarray, shape: tuple[int, ...], layout: str) -> np.ndarray:
    """The (N, C, H, W) tensor of an array in its layout."""
    if layout == "LINEAR":
        return stored.reshape(shape)
    if layout == "HWC8":
        return np.ascontiguousarray(stored[..., : shape[1]].transpose(0, 3, 1, 2))
    channels = [stored[:, c // 4, :, :, c % 4] for c in range(shape[1])]
    return np.ascontiguousarray(np.stack(channels, 1))
