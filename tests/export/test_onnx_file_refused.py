"""An ONNX file that cannot be used gives one sentence and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_nets import (
    BOTH,
    RGB,
    SCORES,
    SIZE,
    branched,
    custom,
    huge,
    huge_weights,
    info,
    inputs,
    model,
    no_nodes,
    node,
    of_type,
    outside,
    quantized,
    random,
    scores,
    sequence,
    short,
    text,
    truncated,
)

from fuseg.errors import ArgumentError, ExportError, InputFileError

# What the file is, what is wrong, and what else is said.
REFUSED = {
    "none there": (lambda _: None, InputFileError, "net.onnx cannot be read: No such"),
    "a folder": (
        lambda home: (home / "net.onnx").mkdir(),
        InputFileError,
        "cannot be read: Is a directory",
    ),
    "empty": (text(b""), InputFileError, "with a graph, but has no nodes"),
    "a text": (text(b"hello"), InputFileError, "but is damaged or something else"),
    "cut off": (truncated, InputFileError, "but is damaged or something else"),
    "a pointer": (
        text(b"version https://git-lfs.github.com/spec/v1\n"),
        InputFileError,
        "the pointer .*: run git lfs pull",
    ),
    "ORT's format": (text(b"\x20\0\0\0ORTM" + bytes(40)), InputFileError, "own format"),
    "no nodes": (no_nodes(), InputFileError, "has no nodes"),
    "invalid": (
        model([node("Identity", ["nothing"], ["scores"])], SCORES),
        InputFileError,
        "is not valid ONNX: ValidationError: .*nothing",
    ),
    "an opset of the future": (
        scores(opset=99),
        ExportError,
        "is of opset 99, and onnx .* knows none after .*: export it again",
    ),
    "too large": (huge, ExportError, "must be at most 2 GB with its data, .* 2.1 GB"),
    "weights too large": (huge_weights, ExportError, "must be at most 2 GB"),
    "weights missing": (
        outside("weights"),
        InputFileError,
        "keeps weights in weights, which cannot be read: No such file.*Put it beside",
    ),
    "weights elsewhere": (
        outside("../weights"),
        InputFileError,
        "must keep its data in its own folder, got ../weights",
    ),
    "weights cut off": (short, InputFileError, "net.onnx .*"),
    "a custom operator": (
        custom("mmdeploy"),
        ExportError,
        r"needs the operator mmdeploy::Swish \(/Swish\), which is none of ONNX's own",
    ),
    "ORT's operator": (
        custom("com.microsoft"),
        ExportError,
        "com.microsoft::Swish .* give the file as it was first exported",
    ),
    "a branch": (
        branched(),
        ExportError,
        "cannot be put into a bundle: its node '/If' has the operator 'If'",
    ),
    "a sequence": (sequence(), ExportError, "tensors, but scores is a sequence"),
    "half": (
        of_type(TensorProto.FLOAT16, np.float16),
        ExportError,
        "must be a float32 network, but w is float16: .*--precision fp16 converts it",
    ),
    "double": (
        of_type(TensorProto.DOUBLE, np.float64),
        ExportError,
        r"takes rgb float64 \(1, 3, 48, 64\) where --input rgb gives .*takes float32",
    ),
    "quantized": (
        quantized(),
        ExportError,
        r"is quantized \(QuantizeLinear, node /QuantizeLinear\): give the one",
    ),
    "random": (random(), ExportError, "two results for one input"),
    "too few inputs": (
        inputs([1, 3, *SIZE], ["N", 1, "H", "W"]),
        ArgumentError,
        r"each input of net.onnx, .*: in0 float32 \(1, 3, 48, 64\), in1 .*; got rgb\.$",
    ),
    "too many inputs": (
        scores(),
        ArgumentError,
        "each input of net.onnx, .* got rgb, depth",
        {"inputs": BOTH},
    ),
    "names in another order": (
        model(
            [node("Mul", ["x", "far"], ["scores"])],
            SCORES,
            inputs=[info("far", [1, 1, 12, 16]), info("rgb", [1, 3, *SIZE])],
        ),
        ArgumentError,
        "must have all of the names of the inputs of net.onnx, .*, or none of them",
        {"inputs": BOTH},
    ),
    "another size": (
        inputs([1, 3, 96, 128]),
        ExportError,
        r"takes in0 .*\(1, 3, 96, 128\) where --input rgb .*: give its size, as in 96x",
    ),
    "channels last": (
        inputs([1, *SIZE, 3]),
        ExportError,
        "export it channels first .tf2onnx: --inputs-as-nchw",
    ),
    "another number of channels": (
        inputs([1, 4, *SIZE]),
        ExportError,
        "must get 4 channels, by the input's kind, its planes in --spec, or --stack",
    ),
    "a batch": (inputs([8, 3, *SIZE]), ExportError, "with a batch of 1 or a dynamic"),
    "another rank": (inputs([3, *SIZE]), ExportError, "export it with 4 axes"),
    "one name of two sizes": (
        inputs(["N", 3, "H", "W"], ["N", 1, "H", "W"]),
        ArgumentError,
        "give rgb and depth one size where net.onnx has one, H, got 48 and 24",
        {"inputs": [*RGB, "depth=depth:24x32"]},
    ),
    "no such output": (
        scores(),
        ArgumentError,
        r"outputs of net.onnx, scores, or another .* score: did you mean scores\?$",
        {"outputs": ["score"]},
    ),
    "scores of the whole picture": (
        model(
            [node("GlobalAveragePool", ["x"], ["scores"])],
            [info("scores", [1, 5, 1, 1])],
        ),
        ExportError,
        "return scores of the whole picture",
    ),
    "no such constant": (
        scores(),
        ArgumentError,
        "--constant must name an input of net.onnx, rgb, got gain",
        {"constants": ["gain=2"]},
    ),
    "no such state": (
        scores(),
        ArgumentError,
        "--state memory=PATH:CxHxW must say the state's shape",
        {"states": ["memory=scores"]},
    ),
    "a checkpoint": (
        scores(),
        ArgumentError,
        "--checkpoint must be absent for net.onnx: an ONNX file holds the network and",
        {"checkpoint": "two.pth"},
    ),
    "a call": (
        scores(),
        ArgumentError,
        "--arg, --call must be absent for net.onnx",
        {"arguments": ["n=2"], "call": "dict"},
    ),
    "an exporter": (
        scores(),
        ArgumentError,
        "--exporter must be absent for net.onnx",
        {"exporter": "dynamo"},
    ),
    "its own file": (
        scores(),
        ArgumentError,
        "--out must be another file than the target, got net.onnx",
        {"out": "net.onnx"},
    ),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_left(
    case, home, export_two
):
    content, error, sentence, *said = REFUSED[case]
    if callable(content):
        content(home)
    else:
        onnx.save(content, home / "net.onnx")
    before = sorted(home.rglob("*"))
    options = {"inputs": RGB, "checkpoint": None, **dict(*said)}
    for name in {"out", "checkpoint"} & set(dict(*said)):
        options[name] = Path(options[name])
    with pytest.raises(error, match=sentence) as refused:
        export_two(target="net.onnx", **options)
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).endswith((".", "?"))
    assert sorted(home.rglob("*")) == before
