"""A small good bundle, and its zip file rebuilt by hand so that it can be forged."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuseg import manifest
from fuseg.bundle import Bundle
from fuseg.errors import BundleError


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def small_onnx() -> bytes:
    """scores = depth * w, a float32 tensor (1, 2, 4, 4)."""
    shapes = {"depth": (1, 1, 4, 4), "scores": (1, 2, 4, 4)}
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    weights = numpy_helper.from_array(np.ones((1, 2, 1, 1), np.float32), "w")
    node = helper.make_node("Mul", ["depth", "w"], ["scores"])
    graph = helper.make_graph([node], "small", [given], [made], [weights])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        graph, opset_imports=opset, ir_version=8
    ).SerializeToString()


def small_manifest() -> manifest.Manifest:
    depth = manifest.DepthInput(
        name="depth",
        kind="depth",
        tensor="depth",
        dtype="uint16",
        resize=manifest.Resize(4, 4, "nearest"),
        scale=0.001,
        mean=(2.0,),
        std=(1.0,),
        fill=0.0,
        missing=manifest.Missing("refuse"),
        unit="mm",
        invalid=(0,),
    )
    output = manifest.SegmentationOutput(
        "labels",
        "scores",
        manifest.Upsample(align_corners=False),
        ignore=255,
        classes=(manifest.Class("near", (1, 2, 3)), manifest.Class("far", (4, 5, 6))),
        tail=manifest.Tail(("ArgMax",), (4, 4)),
    )
    network = manifest.Network("f.onnx", 17, 8)
    return manifest.Manifest(
        name="small",
        created_by="tests",
        tensors={
            "depth": manifest.Tensor((1, 1, 4, 4)),
            "scores": manifest.Tensor((1, 2, 4, 4)),
        },
        inputs=(depth,),
        graphs=(manifest.Graph("net", ("depth",), ("scores",), {"fp32": network}),),
        outputs=(output,),
        variants=(manifest.Variant("fp32", ("any",), {"kind": "fp32"}, ()),),
        samples=(
            manifest.Sample({"depth": "s/depth.npy"}, {"labels": "s/labels.npy"}),
        ),
    )


LOCAL = {"version": 20, "flags": 0, "method": 0, "time": 0, "date": 33}
LOCAL |= {"crc": 0, "stored": 0, "size": 0}
CENTRAL = {"made_by": 788, **LOCAL, "length": 0, "extra": 0, "note": 0, "disk": 0}
CENTRAL |= {"internal": 0, "attributes": 0o100644 << 16, "at": 0}
END = {"disk": 0, "first_disk": 0, "here": 0, "count": 0, "size": 0, "at": 0, "note": 0}


def forge(entries: list[dict[str, Any]], *, end: dict[str, int] | None = None) -> bytes:
    """Write a zip file by hand, as fuseg lays it out except where asked otherwise.

    An entry has ``name`` and ``data`` and may have ``local`` and ``central``, header
    fields to overwrite; ``local_name``; ``before``, bytes in front of it; ``extra``,
    bytes after its central header. ``end`` overwrites fields of the end record.
    """
    body, directory = b"", b""
    for entry in entries:
        name, data = entry["name"], entry["data"]
        body += entry.get("before", b"")
        facts = {"crc": zlib.crc32(data), "stored": len(data), "size": len(data)}
        central = CENTRAL | facts | {"length": len(name), "at": len(body)}
        central |= entry.get("central", {})
        directory += b"PK\1\2" + struct.pack("<6H3L5H2L", *central.values())
        directory += name + entry.get("extra", b"")
        local = LOCAL | facts | entry.get("local", {})
        local_name = entry.get("local_name", name)
        filler = -(len(body) + 30 + len(local_name) + 6) % 64
        lengths = struct.pack("<2H", len(local_name), 6 + filler)
        body += b"PK\3\4" + struct.pack("<5H3L", *local.values()) + lengths + local_name
        body += struct.pack("<3H", 0xD935, 2 + filler, 64) + bytes(filler) + data
    count = {"here": len(entries), "count": len(entries)}
    fields = END | count | {"size": len(directory), "at": len(body)} | (end or {})
    return body + directory + b"PK\5\6" + struct.pack("<4H2LH", *fields.values())


def entries(text: bytes, members: dict[str, bytes]) -> list[dict[str, Any]]:
    """The entries of a good bundle, for `forge`."""
    whole = [("manifest.json", text), *sorted(members.items())]
    return [{"name": name.encode(), "data": data} for name, data in whole]


def listing(members: dict[str, bytes], text: str) -> bytes:
    """The manifest's text with ``files`` filled from these members."""
    value = json.loads(text)
    value["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in members.items()
    }
    return json.dumps(value).encode()


@pytest.fixture
def good() -> SimpleNamespace:
    """A good bundle's ``manifest`` and ``members``, and what can be forged of it:
    ``listing(members=)`` its manifest's bytes, ``entries(members=, text=)``."""
    whole = small_manifest()
    members = {
        "f.onnx": small_onnx(),
        "s/depth.npy": npy(np.arange(20, dtype=np.uint16).reshape(4, 5)),
        "s/labels.npy": npy(np.ones((4, 5), np.uint8)),
    }

    def listed(members: dict[str, bytes] = members) -> bytes:
        return listing(members, whole.dump())

    def rows(
        members: dict[str, bytes] = members, text: bytes | None = None
    ) -> list[dict[str, Any]]:
        return entries(listed(members) if text is None else text, members)

    return SimpleNamespace(
        manifest=whole, members=members, listing=listed, entries=rows, forge=forge
    )


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes], str]:
    """``refusal(data)``: why a file of these bytes is no bundle, in one sentence
    without the file's name; fails if it is one."""
    path = tmp_path / "hostile.fuseg"

    def refuse(data: bytes) -> str:
        path.unlink(
            missing_ok=True
        )  # writing over a file can be a hundred times slower
        path.write_bytes(data)
        with pytest.raises(BundleError) as refused:
            Bundle.open(path)
        text = str(refused.value)
        assert text.startswith(f"{path}: ")
        assert text.endswith(".")
        assert text.isprintable()
        return text.removeprefix(f"{path}: ")

    return refuse
