"""A small program: a slow sensor's encoder, a network with a state, a stand-in."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

import fuseg
from fuseg import bundle, manifest

SIZE = (6, 8)
CLASSES = 4
SIBLING = manifest.Missing("hold", 100.0, then="sibling")
MS = 10**6
CAMERAS = (SIZE, (12, 16))


def model(nodes, inputs, outputs, stored):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in stored.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return made.SerializeToString()


RNG = np.random.default_rng(5)
DEEPER = RNG.standard_normal((2, 1, 1, 1))
OF_BOTH = RNG.standard_normal((CLASSES, 5, 1, 1))
OF_COLOR = RNG.standard_normal((CLASSES, 3, 1, 1))
MEMORY = (1, CLASSES, *SIZE)
RGB, D, D0 = (1, 3, *SIZE), (1, 1, *SIZE), (1, 2, *SIZE)

NETWORKS = {
    "depth-encoder": model(
        [helper.make_node("Conv", ["d", "w"], ["d0"])],
        [("d", D)],
        [("d0", D0)],
        {"w": DEEPER},
    ),
    # memory.next = (memory + scores of now) / 2, and that is what is labelled.
    "net": model(
        [
            helper.make_node("Concat", ["rgb", "d0"], ["x"], axis=1),
            helper.make_node("Conv", ["x", "w"], ["now"]),
            helper.make_node("Add", ["memory", "now"], ["sum"]),
            helper.make_node("Mul", ["sum", "half"], ["memory.next"]),
            helper.make_node("Identity", ["memory.next"], ["scores"]),
        ],
        [("rgb", RGB), ("d0", D0), ("memory", MEMORY)],
        [("scores", MEMORY), ("memory.next", MEMORY)],
        {"w": OF_BOTH, "half": np.array(0.5)},
    ),
    "net-without-depth": model(
        [helper.make_node("Conv", ["rgb", "w"], ["scores"])],
        [("rgb", RGB)],
        [("scores", MEMORY)],
        {"w": OF_COLOR},
    ),
}


def halved(network):
    """The same in float16 between float32 ends."""
    made = load_model_from_string(network)
    graph = made.graph
    for stored in graph.initializer:
        half = numpy_helper.to_array(stored).astype(np.float16)
        stored.CopyFrom(numpy_helper.from_array(half, stored.name))
    ends = {i.name for i in (*graph.input, *graph.output)}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [f"{name}_half" if name in ends else name for name in names]
    casts = [
        helper.make_node("Cast", [i.name], [f"{i.name}_half"], to=TensorProto.FLOAT16)
        for i in graph.input
    ]
    nodes = [*casts, *graph.node]
    nodes += [
        helper.make_node("Cast", [f"{o.name}_half"], [o.name], to=TensorProto.FLOAT)
        for o in graph.output
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    return made.SerializeToString()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_samples(path, made):
    """The program with two samples, each the first frame of a sequence, and an fp16
    variant in front, in which the stand-in is fp32."""
    opened = bundle.Bundle.open(path)
    members = {name: opened.read(name) for name in opened.manifest.files}
    samples = []
    for index in range(2):
        given = frame(np.random.default_rng(index), 0, depth=True)
        labels = fuseg.load(path, backend="onnxruntime")(**given).labels
        names = {name: f"samples/{index}_{name}.npy" for name in given}
        results = {"labels": f"samples/{index}_labels.npy"}
        members |= {names[name]: npy(given[name].array) for name in given}
        members[results["labels"]] = npy(labels)
        samples.append(manifest.Sample(names, results))
    graphs = []
    for graph in opened.manifest.graphs:
        files = dict(graph.networks)
        if graph.stands_in_for is None:
            file = f"{graph.name}.fp16.onnx"
            files["fp16"] = manifest.Network(file, 17, 8)
            members[file] = halved(members[f"{graph.name}.onnx"])
        graphs.append(replace(graph, networks=files))
    found = manifest.Verification("fp16", "fp32", 2, 0.9971, 0.5, 0.951)
    precision = {"kind": "fp16", "float32_nodes": "0"}
    half = manifest.Variant("fp16", ("any",), precision, (found,))
    whole = replace(
        opened.manifest,
        graphs=tuple(graphs),
        variants=(half, *opened.manifest.variants),
        samples=tuple(samples),
        files={},
    )
    bundle.write(made, whole, members)
    return made


def write_program(make_bundle, color_input, plane_input, path, missing, **state):
    """A bundle of an encoder for depth, a network with a state (its keys changed), and
    one that stands in for it without depth."""
    rgb, depth = color_input(), plane_input(tensor="d")
    whole = bundle.Bundle.open(make_bundle(rgb, depth).path).manifest
    shapes = {"rgb": RGB, "d": D, "d0": D0, "memory": MEMORY, "scores": MEMORY}
    graphs = tuple(
        manifest.Graph(
            name,
            reads,
            writes,
            {"fp32": manifest.Network(f"{name}.onnx", 17, 8)},
            stands_in_for=original,
        )
        for name, reads, writes, original in (
            ("depth-encoder", ("d",), ("d0",), None),
            ("net", ("rgb", "d0", "memory"), ("scores", "memory.next"), None),
            ("net-without-depth", ("rgb",), ("scores",), "net"),
        )
    )
    keys = {"initial": 0.0, "steps_with": "rgb", **state}
    whole = replace(
        whole,
        tensors={name: manifest.Tensor(shape=shape) for name, shape in shapes.items()},
        inputs=(rgb, replace(depth, missing=missing)),
        graphs=graphs,
        states=(manifest.State("memory", "memory.next", **keys),),
        files={},
    )
    files = {f"{name}.onnx": data for name, data in NETWORKS.items()}
    bundle.write(path, whole, files)
    return path


def add_stand_in(path):
    """To a bundle of one graph of colour and depth: one for colour alone."""
    opened = bundle.Bundle.open(path)
    (net,) = opened.manifest.graphs
    files = {name: opened.read(name) for name in opened.manifest.files}
    files["alone.onnx"] = NETWORKS["net-without-depth"]
    networks = {"fp32": manifest.Network("alone.onnx", 17, 8)}
    alone = manifest.Graph("alone", ("rgb",), net.writes, networks, net.name)
    graphs = (net, alone)
    bundle.write(path, replace(opened.manifest, graphs=graphs, files={}), files)
    return path


class Reference:
    """What the bundle must give, in float64."""

    def __init__(self):
        self.memory = np.zeros(MEMORY[1:])

    def label(self, tensors, *, depth=True):
        rgb = tensors["rgb"][0].astype(np.float64)
        if not depth:
            self.memory = np.zeros(MEMORY[1:])
            return np.einsum("cp,phw->chw", OF_COLOR[..., 0, 0], rgb)
        d0 = np.einsum("cp,phw->chw", DEEPER[..., 0, 0], tensors["d"][0])
        both = np.concatenate([rgb, d0])
        now = np.einsum("cp,phw->chw", OF_BOTH[..., 0, 0], both)
        self.memory = (self.memory + now) / 2
        return self.memory


def frame(rng, at_ms, *, depth, size=SIZE):
    rgb = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    given = {"rgb": fuseg.Frame(rgb, at_ms * MS)}
    if depth:
        plane = rng.integers(500, 5000, size).astype(np.uint16)
        given["depth"] = fuseg.Frame(plane, at_ms * MS)
    return given


def counts(segmenter):
    names = [graph.name for graph in segmenter.manifest.graphs]
    return dict(zip(names, segmenter.backend.ran, strict=True))


def labels_of(scores):
    return scores.argmax(0).astype(np.uint8)
