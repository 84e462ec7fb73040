"""A program of a text graph, an image graph and one that compares what they give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from text.trained import file_of

from fuseg import bundle, manifest
from fuseg.text import Tokenizer

SIZE, LENGTH, WIDE = (6, 8), 12, 5
MOST = 8
RNG = np.random.default_rng(3)
TABLE = RNG.standard_normal((420, WIDE)).astype(np.float32)
IMAGE = RNG.standard_normal((WIDE, 3, 1, 1)).astype(np.float32)
NAMES = ["text", "image", "net"]
TOKENIZER = file_of("bert")  # of LENGTH tokens, padded with 0


def model(nodes, inputs, outputs, stored):
    """ONNX of nodes; ``inputs`` and ``outputs`` are (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return made.SerializeToString()


def networks(prompts):
    """The mean of the words' vectors; its product with the colours' features.

    Args:
        prompts: How many texts there are, or the name of a dimension.
    """
    text, image = TensorProto.INT64, TensorProto.FLOAT
    features = (1, WIDE, *SIZE)
    return {
        "text": model(
            [
                helper.make_node("Gather", ["table", "words"], ["vectors"]),
                helper.make_node(
                    "ReduceMean", ["vectors"], ["phrase"], axes=[1], keepdims=0
                ),
            ],
            [("words", text, (prompts, LENGTH))],
            [("phrase", image, (prompts, WIDE))],
            {"table": TABLE},
        ),
        "image": model(
            [helper.make_node("Conv", ["rgb", "w"], ["features"])],
            [("rgb", image, (1, 3, *SIZE))],
            [("features", image, features)],
            {"w": IMAGE},
        ),
        "net": model(
            [
                helper.make_node(
                    "Einsum",
                    ["phrase", "features"],
                    ["scores"],
                    equation="pd,ndhw->nphw",
                )
            ],
            [("phrase", image, (prompts, WIDE)), ("features", image, features)],
            [("scores", image, (1, prompts, *SIZE))],
            {},
        ),
    }


def prompted(
    make_bundle, color_input, *, several=False, compared=None, score=0.0, **text
):
    """The manifest of a bundle and its files.

    Args:
        several: Whether there may be several texts, up to `MOST`.
        compared: ``normalize`` of an embedding, in place of the graph that compares.
        score: Of the background.
        text: Keys of the input that differ.
    """
    prompts = "prompts" if several else 1
    rgb = color_input()
    whole = bundle.Bundle.open(make_bundle(rgb, classes=2).path).manifest
    shapes = {
        "rgb": (1, 3, *SIZE),
        "words": (prompts, LENGTH),
        "phrase": (prompts, WIDE),
        "features": (1, WIDE, *SIZE),
        "scores": (1, prompts, *SIZE),
    }
    keys = {"default": "a chair", **text}
    prompt = manifest.TextInput(
        name="prompt", tensor="words", tokenizer="tokens.json", **keys
    )
    (output,) = whole.outputs
    if several:
        background = manifest.Background(score)
        output = replace(
            output, classes=(), classes_from="prompt", background=background
        )
    if compared is not None:
        output = manifest.EmbeddingOutput(
            "labels",
            "features",
            output.upsample,
            255,
            output.tail,
            vectors="phrase",
            normalize=compared,
            classes_from="prompt",
            background=manifest.Background(score),
        )
        del shapes["scores"]
    graphs = [
        manifest.Graph(
            name, reads, writes, {"fp32": manifest.Network(f"{name}.onnx", 17, 8)}
        )
        for name, reads, writes in (
            ("text", ("words",), ("phrase",)),
            ("image", ("rgb",), ("features",)),
            ("net", ("phrase", "features"), ("scores",)),
        )
        if name != "net" or compared is None
    ]
    made = replace(
        whole,
        tensors={
            name: manifest.Tensor(
                shape, dtype="int64" if name == "words" else "float32"
            )
            for name, shape in shapes.items()
        },
        dimensions={"prompts": manifest.Dimension(1, MOST, 3)} if several else {},
        inputs=(rgb, prompt),
        graphs=tuple(graphs),
        outputs=(output,),
        files={},
    )
    models = networks(prompts)
    files = {f"{graph.name}.onnx": models[graph.name] for graph in graphs}
    return made, {**files, "tokens.json": TOKENIZER}


def counting(make_bundle, color_input):
    """As `prompted`, several; but for each frame memory.next = memory + the largest
    number of the prompts' vectors, and that is added to the scores."""
    made, files = prompted(make_bundle, color_input, several=True)
    counter = (1, 1, 1, 1)
    files["net.onnx"] = model(
        [
            helper.make_node(
                "Einsum", ["phrase", "features"], ["now"], equation="pd,ndhw->nphw"
            ),
            helper.make_node("ReduceMax", ["phrase"], ["most"], keepdims=0),
            helper.make_node("Add", ["memory", "most"], ["memory.next"]),
            helper.make_node("Add", ["now", "memory.next"], ["scores"]),
        ],
        [
            ("phrase", 1, ("prompts", WIDE)),
            ("features", 1, (1, WIDE, *SIZE)),
            ("memory", 1, counter),
        ],
        [("scores", 1, (1, "prompts", *SIZE)), ("memory.next", 1, counter)],
        {},
    )
    net = replace(
        made.graphs[2],
        reads=("phrase", "features", "memory"),
        writes=("scores", "memory.next"),
    )
    made = replace(
        made,
        tensors={**made.tensors, "memory": manifest.Tensor(counter)},
        graphs=(*made.graphs[:2], net),
        states=(manifest.State("memory", "memory.next", 0.0, "rgb"),),
    )
    return made, files


def scores_of(tensors, *texts):
    """What the network gives for texts, of the rgb tensor; float64."""
    features = np.einsum("dc,chw->dhw", IMAGE[..., 0, 0], tensors["rgb"][0])
    rows = [ids_of(text) for text in texts]
    phrases = TABLE.astype(np.float64)[rows].mean(1)
    return np.einsum("pd,dhw->phw", phrases, features)


def ids_of(text):
    tokenizer = Tokenizer(TOKENIZER)
    ids = tokenizer.truncate(tokenizer.encode(text), LENGTH)
    return ids + [0] * (LENGTH - len(ids))


def counts(segmenter):
    return dict(zip(NAMES, segmenter.backend.ran, strict=False))
