"""Texts on a GPU: int64 words, whose graph runs when they change; a CPU's results."""

from __future__ import annotations

import importlib.machinery
import sys
from collections import deque
from dataclasses import replace

import doubles
import doubles.onnxruntime_cuda
import doubles.tensorrt
import numpy as np
import pytest
from runtime.gpu.graph_backends import backends_of
from runtime.gpu.test_interrupted import interrupted
from runtime.prompted import counts, prompted
from runtime.test_tokens import captioned, expected

import fuseg
from fuseg import bundle, manifest
from fuseg.backends import registry
from fuseg.backends.program_gpu import GpuProgramBackend
from fuseg.backends.tensorrt.backend import INFO
from fuseg.backends.tensors import GpuTensor, decode, encode, require_integers
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.errors import BackendError, BundleError
from fuseg.runtime.executor import make

TEXTS = ("a chair", "the red table", "window", "walker")


@pytest.fixture(params=[None, "none", "l2"])
def path(request, make_bundle, color_input, tmp_path):
    """Graphs of texts, of images and one that compares them; or an embedding."""
    made, files = prompted(make_bundle, color_input, compared=request.param)
    bundle.write(tmp_path / "prompted.fuseg", made, files)
    return tmp_path / "prompted.fuseg"


@pytest.fixture
def load(path, machine):  # noqa: ARG001
    """``load(kind)``: the program, each graph on this backend."""
    return lambda kind="tensorrt": loaded(path, kind)


def loaded(path, kind="tensorrt"):
    opened = Bundle.open(path)
    made = backends_of(opened, kind, open_device())
    whole = opened.manifest.is_program
    backend = GpuProgramBackend(opened.manifest, made) if whole else made["net"]
    return fuseg.load(opened, backend=backend)


@pytest.fixture
def cpu(path):
    """A Segmenter on the CPU, made before a double takes ONNX Runtime's place."""
    return fuseg.load(path, backend="onnxruntime")


def frame(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)


def same(found, wanted):
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-5)


def test_a_text_stays_and_its_graph_runs_once(cpu, kind, load, machine):
    segmenter = load(kind)
    text, maps = {}, set()
    for number in range(100):
        changed = {40: "the red table", 70: "A Chair", 71: "window"}.get(number)
        text = {} if changed is None else {"prompt": changed}
        given = {"rgb": frame(number), "confidence": True, **text}
        found = segmenter(**given)
        same(found, cpu(**given))
        maps.add(found.labels.tobytes())
    ran = counts(segmenter)
    assert ran.pop("text") == 4
    assert {*ran.values()} == {100}
    assert len(maps) > 10
    if kind == "tensorrt":
        assert segmenter.cuda_graph_disabled_reason is None
        assert machine.counts["launch_graph"] > 80
    machine.check()


def test_texts_that_change_while_frames_are_on_the_way(cpu, load):
    """Every other frame, so that those with a new text are CUDA graphs, too."""
    segmenter, waiting = load(), []
    for number in range(40):
        if len(waiting) == 2:
            ticket, wanted = waiting.pop(0)
            same(segmenter.result(ticket), wanted)
        given = {"rgb": frame(number), "confidence": True}
        if number % 2:
            given["prompt"] = TEXTS[number % 4]
            given["prompt"] += f" {number}"
        waiting.append((segmenter.submit(**given), cpu(**given)))
    assert counts(segmenter)["text"] == 21
    assert segmenter.cuda_graph_disabled_reason is None


CALLS = ("upload", "synchronize", "execute_async_v3", "launch_graph", "download")


@pytest.mark.parametrize("path", ["l2"], indirect=True)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_failed_leaves_the_text_that_was(cpu, load, machine, call):
    for nth in (1, 2):
        segmenter = load()
        for number in range(6):
            same(
                segmenter(rgb=frame(number), confidence=True, prompt=TEXTS[number % 2]),
                cpu(rgb=frame(number), confidence=True, prompt=TEXTS[number % 2]),
            )

        def give(number, one=segmenter):
            one(rgb=frame(number), confidence=True, prompt="walker")

        machine.fail(call, nth)
        with pytest.raises(BackendError):  # the text is another one, then the same
            deque(map(give, range(8)), maxlen=0)
        machine.mend()
        for text in ({}, {"prompt": "walker"}, {"prompt": TEXTS[1]}, {}):
            known = {"prompt": segmenter.texts["prompt"][0], **text}
            found = segmenter(rgb=frame(7), confidence=True, **text)
            same(found, cpu(rgb=frame(7), confidence=True, **known))


@pytest.mark.parametrize("path", ["l2"], indirect=True)
@pytest.mark.parametrize("call", ["upload", "execute_async_v3", "synchronize"])
def test_a_text_that_stays_is_brought_again_after_a_failure(cpu, load, machine, call):
    """Nobody knows whether it came: here it did not."""
    segmenter = load()
    segmenter(rgb=frame(0))
    segmenter.set_prompts("walker")
    machine.fail(call)
    with pytest.raises(BackendError):
        segmenter(rgb=frame(1))
    machine.mend()
    (slot,) = segmenter._session.loop.executor._slots
    slot.write(slot.inputs["words"], np.zeros(12, np.int64))
    wanted = cpu(rgb=frame(1), confidence=True, prompt="walker")
    same(segmenter(rgb=frame(1), confidence=True), wanted)


@pytest.mark.parametrize("path", ["l2"], indirect=True)
def test_an_exception_at_any_line_leaves_the_right_text(cpu, load):
    segmenter, line = load(), 1
    for number in range(4):
        segmenter(rgb=frame(number), prompt=TEXTS[number % 2])
    while True:
        seen, where = interrupted(
            lambda: segmenter(rgb=frame(3), prompt="walker window"), line
        )
        if seen < line:
            break
        for text in ({}, {"prompt": "walker window"}, {"prompt": TEXTS[0]}):
            known = {"prompt": segmenter.texts["prompt"][0], **text}
            found = segmenter(rgb=frame(line), confidence=True, **text)
            wanted = cpu(rgb=frame(line), confidence=True, **known)
            assert np.array_equal(found.labels, wanted.labels), where
        line += 5


@pytest.mark.parametrize("to", ["gpu", "cpu"])
def test_a_text_goes_along_to_another_backend(cpu, load, path, to):
    segmenter = load()
    session = segmenter._session
    for number in range(6):
        if number == 3:
            backend = segmenter.backend.clone()
            if to == "cpu":
                opened = Bundle.open(path)
                backend = registry.load(opened, "onnxruntime", opened.manifest.full)
            session.loop.switch(make(backend, session.manifest, session.preprocessor))
        given = {"rgb": frame(number), "confidence": True}
        if number == 0:
            given["prompt"] = "window"
        same(segmenter(**given), cpu(**given))
    twin = segmenter.clone()
    twin.set_prompts("walker")
    for one, text in ((twin, "walker"), (segmenter, "window")):
        given = {"rgb": frame(9), "confidence": True}
        same(one(**given), cpu(**given, prompt=text))


@pytest.mark.parametrize("path", ["l2"], indirect=True)
@pytest.mark.parametrize(
    ("library", "dtype"),
    [("8.6.1", np.int32), ("10.3.0", np.int64), ("rtx-1.7.1", np.int64)],
    indirect=["library"],
)
def test_engines_with_words_are_built_and_run(path, cpu, library, dtype):
    backend, _, _ = library
    segmenter = fuseg.load(path, backend=backend)
    for number, text in enumerate(TEXTS):
        given = {"rgb": frame(number), "confidence": True, "prompt": text}
        same(segmenter(**given), cpu(**given))
    assert segmenter.backend.inputs["words"].dtype == dtype


@pytest.mark.parametrize("path", ["l2"], indirect=True)
def test_tensorrt_before_10_has_no_int64_for_several_graphs(path, machine, monkeypatch):
    trt = doubles.tensorrt.make(machine, "8.6.1")
    trt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    doubles.in_children(monkeypatch, "8.6.1")
    made = Bundle.open(path).manifest
    assert INFO.lacks(made) is None
    text, image = made.graphs
    made = replace(
        made,
        graphs=(text, replace(text, name="other", writes=("again",)), image),
        tensors={**made.tensors, "again": made.tensors["phrase"]},
        outputs=(*made.outputs, manifest.TensorOutput("again", "again")),
    )
    assert INFO.lacks(made) == (
        "must be TensorRT 10 or later for int64 tensors that several graphs use, "
        "words, got 8.6.1: update it, or choose onnxruntime-cuda or onnxruntime"
    )


@pytest.mark.parametrize("path", ["l2"], indirect=True)
def test_a_network_of_other_types_than_the_manifest_is_refused(load, path, kind):
    opened = Bundle.open(path)
    floats = replace(opened.manifest.tensors["words"], dtype="float32")
    with pytest.raises(BundleError) as refused:
        require_integers(
            {**opened.manifest.tensors, "words": floats}, load(kind).backend.inputs
        )
    assert str(refused.value) == (
        "the network's tensor words must be float32, as the manifest says, got int64: "
        "export the bundle again."
    )


def test_tokens_are_those_of_a_cpu(make_bundle, color_input, tmp_path, kind):
    made, files = captioned(make_bundle, color_input)
    bundle.write(tmp_path / "caption.fuseg", made, files)
    segmenter = loaded(tmp_path / "caption.fuseg", kind)
    found = []
    for number in range(8):
        rgb = np.full_like(frame(0), frame(number)[0, 0])
        wanted = expected(segmenter.preprocess(rgb=rgb))
        assert segmenter(rgb=rgb)["says"].ids.tolist() == wanted
        found.append(tuple(wanted))
    assert len({*found}) > 2


@pytest.mark.parametrize(("dtype", "largest"), [("int64", 2**40), ("int32", 2**31 - 1)])
def test_words_lie_on_the_gpu_as_they_are(dtype, largest):
    ids = np.array([[1, largest, -5]])
    tensor = GpuTensor(0, (1, 3), np.dtype(dtype))
    stored = encode(ids, tensor)
    size = 3 * tensor.dtype.itemsize
    assert (stored.dtype, stored.shape, tensor.nbytes) == (dtype, (1, 3), size)
    np.testing.assert_array_equal(decode(stored, tensor), ids)
    assert decode(stored, tensor).dtype == np.int64
