"""Several prompts on a GPU, from one to eight, and a background: the CPU's labels."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from onnx import compose, load_model_from_string
from runtime.gpu.graph_backends import backends_of
from runtime.gpu.test_gpu_texts import loaded, same
from runtime.gpu.test_interrupted import interrupted
from runtime.prompted import LENGTH, MOST, NAMES, SIZE, counting, counts, prompted

import fuseg
from fuseg import bundle, manifest
from fuseg.backends import registry
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.errors import ArgumentError, BackendError

TEXTS = ("a chair", "the red table", "window", "12 345", "walker", "red", "a", "b")
CAMERA = (13, 17)


@pytest.fixture
def write(make_bundle, color_input, tmp_path):
    """``write(name, dimension=, **keys)``: a bundle for several texts; `prompted`."""

    def make(name="prompts", dimension=None, **keys):
        made, files = prompted(make_bundle, color_input, several=True, **keys)
        if dimension is not None:
            made = replace(made, dimensions={"prompts": dimension})
        bundle.write(tmp_path / f"{name}.fuseg", made, files)
        return tmp_path / f"{name}.fuseg"

    return make


@pytest.fixture(params=[None, "l2"])
def path(request, write):
    """Of a graph that compares, or of an embedding."""
    return write(compared=request.param)


@pytest.fixture
def cpu(path):
    """A Segmenter on the CPU, made before a double takes ONNX Runtime's place."""
    return fuseg.load(path, backend="onnxruntime")


def frame(seed, size=CAMERA):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, 3)).astype(np.uint8)


def test_labels_are_a_cpu_s_however_many_prompts_there_are(cpu, path, kind, machine):
    """From 1 to 8 and back, in mid-stream; frames of a number become a CUDA graph, and
    those of the next one another."""
    segmenter = loaded(path, kind)
    number = 0
    for count in (3, *range(1, 9), 2, 8, 3):
        for turn in range(4):
            text = {} if turn else {"prompt": TEXTS[:count]}
            given = {"rgb": frame(number), "confidence": True, **text}
            found, wanted = segmenter(**given), cpu(**given)
            same(found, wanted)
            assert found.classes == wanted.classes
            number += 1
    assert segmenter.backend.inputs["words"].shape == (3, LENGTH)
    ran = counts(segmenter)
    assert ran.pop("text") == 12
    assert {*ran.values()} == {number}
    if kind == "tensorrt":
        assert segmenter.cuda_graph_disabled_reason is None
        assert machine.counts["launch_graph"] == 12  # the fourth frame of each number
    with pytest.raises(ArgumentError, match=r"^prompt must be 1 to 8 texts, got 9\.$"):
        segmenter(rgb=frame(0), prompt=["red"] * 9)
    same(segmenter(rgb=frame(0), confidence=True), cpu(rgb=frame(0), confidence=True))
    machine.check()


def test_a_changed_number_of_prompts_steps_no_state(
    make_bundle, color_input, tmp_path, kind
):
    made, files = counting(make_bundle, color_input)
    path = tmp_path / "counting.fuseg"
    bundle.write(path, made, files)
    cpu, segmenter = fuseg.load(path, backend="onnxruntime"), loaded(path, kind)
    for number, count in enumerate((1, 1, 1, 3, 3, 3, 2, 8, 1)):
        given = {"rgb": frame(number), "confidence": True, "prompt": TEXTS[:count]}
        same(segmenter(**given), cpu(**given))


@pytest.mark.usefixtures("machine")
def test_prompts_that_change_while_frames_are_on_the_way(cpu, path):
    segmenter, waiting = loaded(path), []
    for number in range(12):
        if len(waiting) == 2:
            ticket, wanted = waiting.pop(0)
            same(segmenter.result(ticket), wanted)
        given = {"rgb": frame(number), "confidence": True}
        if number % 3:
            given["prompt"] = TEXTS[: 1 + number % 8]
        waiting.append((segmenter.submit(**given), cpu(**given)))
    waiting.clear()
    twin = segmenter.clone()
    twin.set_prompts(TEXTS[:7])
    given = {"rgb": frame(0), "confidence": True}
    same(segmenter(**given), cpu(**given))
    same(twin(**given), cpu(**given, prompt=TEXTS[:7]))


@pytest.mark.parametrize("path", [None], indirect=True)
def test_nothing_is_computed_of_prompts_that_there_are_not(cpu, path, kind):
    segmenter = loaded(path, kind)
    (slot,) = segmenter._session.loop.executor._slots
    for count in (5, 2):
        scores = segmenter.backend.outputs["scores"]._replace(shape=(1, MOST, *SIZE))
        slot.write(scores, np.full(scores.shape, 77, np.float32))
        given = {"rgb": frame(count), "confidence": True, "prompt": TEXTS[:count]}
        same(segmenter(**given), cpu(**given))
        assert (slot.read(scores)[0, count:] == 77).all()


@pytest.mark.parametrize("path", [None], indirect=True)
def test_a_backend_object_of_one_graph_takes_any_number_too(
    make_bundle, color_input, tmp_path, cpu, kind
):
    made, files = prompted(make_bundle, color_input, several=True)
    parts = [load_model_from_string(files[f"{name}.onnx"]) for name in NAMES]
    whole = parts[2]
    for part in parts[:2]:
        whole = compose.merge_models(
            part, whole, [(o.name, o.name) for o in part.graph.output]
        )
    net = manifest.Graph(
        "net",
        ("words", "rgb"),
        ("scores",),
        {"fp32": manifest.Network("net.onnx", 17, 8)},
    )
    tensors = {n: made.tensors[n] for n in ("words", "rgb", "scores")}
    made = replace(made, graphs=(net,), tensors=tensors)
    files = {"net.onnx": whole.SerializeToString(), "tokens.json": files["tokens.json"]}
    bundle.write(tmp_path / "one.fuseg", made, files)
    opened = Bundle.open(tmp_path / "one.fuseg")
    (backend,) = backends_of(opened, kind, open_device()).values()
    segmenter = fuseg.load(opened, backend=backend)
    for count in (1, 8, 2):
        given = {"rgb": frame(count), "confidence": True, "prompt": TEXTS[:count]}
        same(segmenter(**given), cpu(**given))


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_bundle_of_a_fixed_number_gives_the_same(write, kind, count):
    texts = TEXTS[:count]
    only = manifest.Dimension(count, count, count)
    fixed = loaded(write("fixed", only, default=texts), kind)
    segmenter = loaded(write(), kind)
    for others in (TEXTS[:3], texts):
        segmenter.set_prompts(others)
        found = segmenter(rgb=frame(7), confidence=True)
    wanted = fixed(rgb=frame(7), confidence=True)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.confidence, wanted.confidence)


@pytest.mark.parametrize("path", [None], indirect=True)
@pytest.mark.parametrize("call", ["set_input_shape", "upload", "execute_async_v3"])
def test_a_call_that_failed_leaves_the_prompts_that_were(cpu, path, machine, call):
    for nth, again in product((1, 2), (True, False)):
        segmenter = loaded(path)
        for number in range(4):
            segmenter(rgb=frame(number), prompt=TEXTS[:2])

        def give(number, one=segmenter):
            one(rgb=frame(number), prompt=TEXTS[2:7])

        machine.fail(call, nth)
        with pytest.raises(BackendError):  # the prompts are others, then the same
            deque(map(give, range(3)), maxlen=0)
        machine.mend()
        refused = {"prompt": TEXTS[2:7]}
        for text in (refused if again else {}, refused, {"prompt": TEXTS[:1]}, {}):
            known = {"prompt": segmenter.texts["prompt"], **text}
            given = {"rgb": frame(7), "confidence": True}
            same(segmenter(**given, **text), cpu(**given, **known))


@pytest.mark.parametrize("path", [None], indirect=True)
@pytest.mark.usefixtures("machine")
def test_an_exception_at_any_line_leaves_prompts_that_are_right(cpu, path):
    segmenter, line = loaded(path), 1
    left = set()
    while True:
        segmenter(rgb=frame(line), prompt=TEXTS[:2])
        seen, where = interrupted(
            lambda: segmenter(rgb=frame(1), prompt=TEXTS[3:6]), line
        )
        if seen < line:
            break
        left.add(segmenter.texts["prompt"])
        given = {"rgb": frame(line + 1), "confidence": True}
        wanted = cpu(**given, prompt=segmenter.texts["prompt"])
        np.testing.assert_array_equal(segmenter(**given).labels, wanted.labels, where)
        line += 13
    assert left == {TEXTS[:2], TEXTS[3:6]}


@pytest.mark.parametrize("path", [None], indirect=True)
@pytest.mark.parametrize("library", ["8.6.1", "rtx-1.7.1"], indirect=True)
def test_engines_are_built_for_the_numbers_of_the_bundle(path, write, cpu, library):
    backend, machine, builds = library
    segmenter = fuseg.load(path, backend=backend)
    before = machine.counts["compile"]
    for number, count in enumerate((1, 8, 8, 8, 5)):
        given = {"rgb": frame(number), "confidence": True, "prompt": TEXTS[:count]}
        same(segmenter(**given), cpu(**given))
    assert segmenter.cuda_graph_disabled_reason is None
    assert machine.counts["compile"] == before
    assert builds() == 3
    few = Bundle.open(write("few", manifest.Dimension(1, 2, 1)))
    assert registry.must_be_built(few, backend, few.manifest.full, 0)


@pytest.mark.parametrize("path", [None], indirect=True)
@pytest.mark.parametrize("library", ["10.3.0"], indirect=True)
def test_prompts_go_along_to_the_engines_that_were_built_meanwhile(path, cpu, library):
    backend, _, _ = library
    segmenter = fuseg.load(path, backend=backend, serve_while_building=True)
    number, after, limit = 0, 0, time.monotonic() + 120
    while after < 6:
        assert time.monotonic() < limit, "no switch"
        given = {"rgb": frame(number), "confidence": True}
        if number % 3 == 0:
            given["prompt"] = TEXTS[: 1 + number % 8]
        same(segmenter(**given), cpu(**given))
        after += segmenter.backend_name == backend
        number += 1
        time.sleep(0.005)


def test_the_cuda_provider_takes_dimensions_and_backgrounds(write):
    opened = Bundle.open(write())
    assert registry.variant_for(opened, "onnxruntime-cuda").name == "fp32"
