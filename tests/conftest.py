"""Small bundles with a network that a test can compute by itself."""

from __future__ import annotations

import io
import itertools
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fuseg
from fuseg import bundle, manifest
from fuseg.selection import first_run

FUSEG = (sys.executable, "-m", "fuseg")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children inherit it
os.environ.pop("COLUMNS", None)  # a width for the CLI: pytest-xdist sets it in workers

REFUSE = manifest.Missing("refuse")


@dataclass(frozen=True)
class Linear:
    """A bundle whose scores are ``weights @ inputs + bias`` at every pixel.

    ``weights`` is (classes, planes); planes in the order of the inputs.
    """

    path: Path
    weights: np.ndarray
    bias: np.ndarray

    def scores(self, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """The network's output, (classes, h, w) float64, from its input tensors."""
        planes = np.concatenate([t[0] for t in tensors.values()]).astype(np.float64)
        summed = np.einsum("cp,phw->chw", self.weights.astype(np.float64), planes)
        return summed + self.bias[:, None, None]


def color(name: str = "rgb", size: tuple[int, int] = (6, 8), **changes: Any) -> Any:
    """A colour input: ImageNet's numbers, policy refuse, a tensor of its own."""
    entry = manifest.ColorInput(
        name=name,
        tensor=name,
        resize=manifest.Resize(*size, filter="bilinear"),
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        fill=0.0,
        missing=REFUSE,
        channels="RGB",
    )
    return replace(entry, **changes)


def plane(name: str = "depth", size: tuple[int, int] = (6, 8), **changes: Any) -> Any:
    """A depth input: uint16 mm, 0 and 65535 are no reading, fill -1, policy refuse."""
    entry = manifest.DepthInput(
        name=name,
        kind="depth",
        tensor=name,
        dtype="uint16",
        resize=manifest.Resize(*size, filter="nearest"),
        scale=0.001,
        mean=(2.0,),
        std=(1.5,),
        fill=-1.0,
        missing=REFUSE,
        unit="mm",
        invalid=(0, 65535),
    )
    return replace(entry, **changes)


def number_map(
    name: str = "hha", planes: int = 3, size: tuple[int, int] = (6, 8), **changes: Any
) -> Any:
    """A map of uint8 numbers, 0 is no reading, fill -2, policy refuse."""
    entry = manifest.PlaneInput(
        name=name,
        tensor=name,
        count=planes,
        dtype="uint8",
        resize=manifest.Resize(*size, filter="bilinear"),
        scale=1 / 128,
        mean=tuple(0.1 * n for n in range(planes)),
        std=tuple(1.0 + n for n in range(planes)),
        fill=-2.0,
        invalid=(0,) if changes.get("dtype") != "float32" else (),
        missing=REFUSE,
    )
    return replace(entry, **changes)


def linear_onnx(
    inputs: tuple[Any, ...], weights: np.ndarray, bias: np.ndarray, **graph: Any
) -> bytes:
    """ONNX of `Linear`. ``graph`` changes the output: stride, classes, name."""
    from onnx import TensorProto, helper, numpy_helper

    shapes = manifest.input_shapes(inputs)
    height, width = inputs[0].resize.height, inputs[0].resize.width
    stride = graph.get("stride", 1)
    out = (1, len(weights), -(-height // stride), -(-width // stride))
    kernel = weights.astype(np.float32)[:, :, None, None]
    nodes = [
        helper.make_node("Concat", list(shapes), ["planes"], axis=1),
        helper.make_node(
            "Conv", ["planes", "kernel", "bias"], ["scores"], strides=[stride, stride]
        ),
    ]
    made = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(n, 1, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, out)],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        made, opset_imports=opset, ir_version=8
    ).SerializeToString()


def write_linear(
    path: Path, *inputs: Any, classes: int = 4, stride: int = 1, **changes: Any
) -> Linear:
    """Write a bundle for these inputs with seeded weights. ``changes``: its Output,
    and ``onnx`` for other network bytes."""
    rng = np.random.default_rng(7)
    planes = sum(i.planes for i in inputs)
    weights = rng.standard_normal((classes, planes)).astype(np.float32)
    bias = rng.standard_normal(classes).astype(np.float32)
    onnx = changes.pop("onnx", None) or linear_onnx(
        inputs, weights, bias, stride=stride
    )
    height, width = inputs[0].resize.height, inputs[0].resize.width
    scores = (1, classes, -(-height // stride), -(-width // stride))
    names = 2 if classes == 1 else classes
    output = manifest.SegmentationOutput(
        "labels",
        "scores",
        manifest.Upsample(align_corners=False),
        ignore=255,
        classes=tuple(
            manifest.Class(f"class{i}", (10 * i, 255 - i, i)) for i in range(names)
        ),
        tail=manifest.Tail(("Resize", "ArgMax"), (height, width)),
    )
    shapes = manifest.input_shapes(inputs)
    whole = manifest.Manifest(
        "linear",
        "tests",
        {n: manifest.Tensor(s) for n, s in (shapes | {"scores": scores}).items()},
        inputs,
        (
            manifest.Graph(
                "net",
                tuple(shapes),
                ("scores",),
                {"fp32": manifest.Network("fp32.onnx", 17, 8)},
            ),
        ),
        (replace(output, **changes),),
        (manifest.Variant("fp32", ("any",), {"kind": "fp32"}, ()),),
    )
    bundle.write(path, whole, {"fp32.onnx": onnx})
    return Linear(path, weights, bias)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_no_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What fixtures of the whole session find out stays out of the user's cache."""
    base = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(base / "session"))
        yield base


@pytest.fixture(autouse=True)
def user_cache(_cache_of_no_user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``fuseg`` in a cache of this test's own; it is not made yet."""
    base = _cache_of_no_user / secrets.token_hex(8)
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    return base / "fuseg"


@pytest.fixture
def first_run_child() -> None:
    """For tests that want first runs in a process of their own, as users have them."""


@pytest.fixture(autouse=True)
def _first_runs_here(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that never ran here is first run in this process, without limits.

    Tests load thousands of bundles made just now, each in a cache of its own: a process
    for each would take the better part of an hour. What is computed and compared is the
    same code; `first_run_child` brings the process and its limits back.
    """
    if "first_run_child" not in request.fixturenames:
        monkeypatch.setattr(first_run, "in_child", first_run.in_process)


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """``keys("name")``: the paths of a new private key and its public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    def make(
        name: str, kind: Callable[[], Any] = ed25519.Ed25519PrivateKey.generate
    ) -> tuple[Path, Path]:
        key = kind()
        paths = tmp_path / f"{name}.key", tmp_path / f"{name}.pub"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for path, data in zip(paths, (private, public), strict=True):
            path.write_bytes(data)
        return paths

    return make


@pytest.fixture
def color_input() -> Callable[..., Any]:
    return color


@pytest.fixture
def plane_input() -> Callable[..., Any]:
    return plane


@pytest.fixture
def map_input() -> Callable[..., Any]:
    return number_map


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Linear]:
    """``make_bundle(*inputs, classes=4, stride=1, **output) -> Linear``."""
    count = itertools.count()
    return lambda *inputs, **options: write_linear(
        tmp_path / f"linear{next(count)}.fuseg", *inputs, **options
    )


@pytest.fixture
def onnx_of() -> Callable[..., bytes]:
    """``onnx_of(made, bias=made.bias)``: ONNX of a `Linear` with another bias."""

    def make(made: Linear, bias: np.ndarray | None = None) -> bytes:
        inputs = bundle.Bundle.open(made.path).manifest.inputs
        return linear_onnx(inputs, made.weights, made.bias if bias is None else bias)

    return make


@pytest.fixture
def rgbd(make_bundle: Callable[..., Linear]) -> Linear:
    """Colour and depth, 6 x 8, four classes, both refuse to be missing."""
    return make_bundle(color(), plane())


@pytest.fixture
def load(make_bundle: Callable[..., Linear]) -> Callable[..., fuseg.Segmenter]:
    """``load(rgb=policy, depth=policy) -> Segmenter``, refusing by default."""

    def make(
        rgb: manifest.Missing = REFUSE, depth: manifest.Missing = REFUSE
    ) -> fuseg.Segmenter:
        inputs = color(missing=rgb, fill=0.25), plane(missing=depth)
        return fuseg.load(make_bundle(*inputs).path)

    return make


@pytest.fixture
def frames() -> Callable[..., dict[str, np.ndarray]]:
    """``frames(seed, height, width)``: an rgb frame and a depth frame with holes."""

    def make(seed: int = 0, height: int = 6, width: int = 8) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        depth = rng.integers(300, 6000, (height, width)).astype(np.uint16)
        depth[rng.random((height, width)) < 0.2] = 0
        depth[0, 0] = 1234
        return {
            "rgb": rng.integers(0, 256, (height, width, 3)).astype(np.uint8),
            "depth": depth,
        }

    return make


@pytest.fixture
def sampled(rgbd, frames, tmp_path) -> Callable[..., Path]:
    """``sampled(wrong_pixels=0)``: the ``rgbd`` bundle with two samples, the labels of
    the second one wrong at that many pixels."""

    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    def make(wrong_pixels: int = 0) -> Path:
        opened = bundle.Bundle.open(rgbd.path)
        members = {"fp32.onnx": opened.read("fp32.onnx")}
        segmenter = fuseg.load(rgbd.path)
        samples = []
        for index in range(2):
            arrays = frames(index, 60, 80)
            labels = segmenter(**arrays).labels
            if index == 1:
                wrong = labels.ravel()[:wrong_pixels]
                wrong[:] = (wrong + 1) % 4
            named = {name: f"samples/{index}_{name}.npy" for name in arrays}
            results = {"labels": f"samples/{index}_labels.npy"}
            samples.append(manifest.Sample(named, results))
            members |= {named[name]: npy(array) for name, array in arrays.items()}
            members[f"samples/{index}_labels.npy"] = npy(labels)
        path = tmp_path / "sampled.fuseg"
        whole = replace(opened.manifest, samples=tuple(samples), files={})
        bundle.write(path, whole, members)
        return path

    return make


COUNTED = {"calibration": "minmax", "frames": "2", "float_nodes": "0"}
VARIANTS = {
    "fp32": ("any", {"kind": "fp32"}),
    "fp16": ("any", {"kind": "fp16", "float32_nodes": "0"}),
    "int8-cpu": (
        "cpu",
        {"kind": "int8", "activations": "uint8", "rest": "float32", **COUNTED},
    ),
    "int8-trt": (
        "tensorrt",
        {"kind": "int8", "activations": "int8", "rest": "float16", **COUNTED},
    ),
}


def write_variants(path: Path, made: Path, networks: dict[str, bytes | None]) -> Path:
    """Write the bundle at ``path`` to ``made`` with these variants, in this order;
    None is the fp32 network that is there."""
    opened = bundle.Bundle.open(path)
    members = {name: opened.read(name) for name in opened.manifest.files}
    fp32 = members.pop("fp32.onnx")
    (graph,) = opened.manifest.main_graphs
    stand_ins = [g for g in opened.manifest.graphs if g is not graph]
    variants, files = [], {}
    for name, network in networks.items():
        target, precision = VARIANTS[name]
        members[f"{name}.onnx"] = network or fp32
        files[name] = manifest.Network(f"{name}.onnx", 17, 8)
        found = manifest.Verification(name, "fp32", 2, 0.9971, 0.5, 0.951)
        variants.append(manifest.Variant(name, (target,), precision, (found,)))
    whole = replace(
        opened.manifest,
        graphs=(replace(graph, networks=files), *stand_ins),
        variants=tuple(variants),
        files={},
    )
    bundle.write(made, whole, members)
    return made


@pytest.fixture
def with_variants(tmp_path: Path) -> Callable[[Path, dict[str, bytes | None]], Path]:
    """``with_variants(path, networks)``: see `write_variants`."""
    count = itertools.count()
    return lambda path, networks: write_variants(
        path, tmp_path / f"variants{next(count)}.fuseg", networks
    )


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``fuseg demo`` makes, by the command that a user types. Read only."""
    folder = tmp_path_factory.mktemp("demo") / "fuseg-demo"
    subprocess.run([*FUSEG, "demo", "--out", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def rgbd_bundle(demo_folder: Path) -> Path:
    """The shipped checkpoint, exported once. Read only."""
    return demo_folder / "rgbd.fuseg"


@pytest.fixture(scope="session")
def int8_bundle(rgbd_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That bundle with an ``int8-cpu`` by ONNX Runtime's own quantizer, calibrated on
    its two samples, in front of fp32."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    folder = tmp_path_factory.mktemp("int8")
    opened = bundle.Bundle.open(rgbd_bundle)
    (folder / "fp32.onnx").write_bytes(opened.read("fp32.onnx"))
    segmenter = fuseg.load(rgbd_bundle)

    class Samples:
        def __init__(self) -> None:
            given = opened.samples()
            self._left = iter([segmenter.preprocess(**frames) for frames, _ in given])

        def get_next(self) -> Any:
            return next(self._left, None)

    quantize_static(
        folder / "fp32.onnx",
        folder / "int8.onnx",
        Samples(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    networks = {"int8-cpu": (folder / "int8.onnx").read_bytes(), "fp32": None}
    return write_variants(rgbd_bundle, folder / "int8.fuseg", networks)


@pytest.fixture(scope="session")
def rtx_site() -> Path:
    """A folder with NVIDIA's builder that needs no GPU, downloaded once."""
    from conformance import wheels

    try:
        return wheels.unpacked("TensorRT for RTX rtx-1.7.1", wheels.RTX)
    except wheels.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def check_network(
    rtx_site: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """fuseg's own, whose child finds that builder."""
    from fuseg.backends.tensorrt.network_check import check_network

    monkeypatch.setenv("PYTHONPATH", str(rtx_site))
    monkeypatch.syspath_prepend(rtx_site)
    return check_network
