"""Closing, pickling, opening from bytes, and exceptions of the user's own."""

from __future__ import annotations

import copy
import io
import pickle
import signal

import numpy as np
import pytest

import fuseg
from fuseg import ops
from fuseg.backends.replay import ReplayBackend
from fuseg.bundle import Bundle
from fuseg.errors import ArgumentError, BundleError, DTypeError, ShapeError


@pytest.fixture
def segmenter(rgbd):
    return fuseg.load(rgbd.path, threads=1)


# Closing


def test_use_after_close_is_one_clear_error(segmenter, frames):
    ticket = segmenter.submit(**frames())
    segmenter.close()
    segmenter.close()
    uses = [
        lambda: segmenter(**frames()),
        lambda: segmenter.submit(**frames()),
        lambda: segmenter.result(ticket),
        lambda: segmenter.preprocess(**frames()),
        segmenter.clone,
    ]
    for use in uses:
        with pytest.raises(ArgumentError, match=r"was closed: load its bundle again"):
            use()
    assert repr(segmenter).endswith("closed>")


def test_with_closes_and_clones_go_on(rgbd, frames):
    with fuseg.load(rgbd.path) as segmenter:
        clone, wanted = segmenter.clone(), segmenter(**frames()).labels
    with pytest.raises(ArgumentError, match="closed"):
        segmenter(**frames())
    np.testing.assert_array_equal(clone(**frames()).labels, wanted)


def test_the_repr_says_what_runs(segmenter):
    named = f"of {segmenter.bundle.path.name} (rgb, depth): fp32 on onnxruntime>"
    assert repr(segmenter) == f"<fuseg.Segmenter {named}"


def test_a_call_inside_a_call_is_refused_and_does_not_hang(
    segmenter, frames, monkeypatch
):
    refused, run = [], segmenter.backend.run

    def handler() -> None:
        with pytest.raises(ArgumentError, match=r"use segmenter.clone\(\) there"):
            segmenter(**frames())
        refused.append(True)
        run()

    with monkeypatch.context() as patch:
        patch.setattr(segmenter.backend, "run", handler)
        segmenter(**frames())
    segmenter(**frames())
    assert refused == [True]


# Pickling


def test_a_segmenter_is_pickled_as_what_it_was_loaded_from(rgbd, frames):
    words = {"channels": {"rgb": "BGR"}, "threads": 1}
    segmenter = fuseg.load(rgbd.path, **words)
    for original in (segmenter, segmenter.clone()):
        data = pickle.dumps(original)
        assert len(data) < 2000  # a path, and no weights
        again = pickle.loads(data)
        np.testing.assert_array_equal(
            again(**frames()).labels, segmenter(**frames()).labels
        )


def test_one_of_bytes_carries_them(rgbd, frames):
    data = rgbd.path.read_bytes()
    wanted = fuseg.load(rgbd.path)(**frames()).labels
    rgbd.path.unlink()
    for source in (data, io.BytesIO(data), bytearray(data)):
        again = pickle.loads(pickle.dumps(fuseg.load(source)))
        np.testing.assert_array_equal(again(**frames()).labels, wanted)


def test_a_changed_file_is_refused(segmenter, rgbd, sampled):
    data = pickle.dumps(segmenter)
    rgbd.path.write_bytes(sampled().read_bytes())
    with pytest.raises(BundleError, match="must be the bundle that the Segmenter was"):
        pickle.loads(data)


def test_a_backend_object_is_not_pickled(rgbd):
    backend = ReplayBackend([np.zeros((1, 4, 6, 8), np.float32)])
    segmenter = fuseg.load(Bundle.open(rgbd.path), backend=backend)
    with pytest.raises(ArgumentError, match="backend must be a name for a Segmenter"):
        pickle.dumps(segmenter)


def test_a_result_leaves_the_camera_frame_behind_unless_asked(segmenter, frames):
    result = segmenter(**frames())
    painted = result.overlay()
    sent = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(sent.labels, result.labels)
    with pytest.raises(ArgumentError, match="frame must be given"):
        sent.overlay()
    whole = pickle.loads(pickle.dumps(result.with_frame()))
    for one in (whole, copy.copy(result), copy.deepcopy(result)):
        np.testing.assert_array_equal(one.overlay(), painted)


@pytest.mark.parametrize("path", [3, None, io.StringIO("text")])
def test_what_is_no_bundle_is_refused(path):
    with pytest.raises(ArgumentError, match="path must be a file's path, its bytes"):
        fuseg.load(path)


def test_a_path_is_no_bundle(rgbd):
    with pytest.raises(ArgumentError, match=r"got str: fuseg.load\(path\) opens one"):
        fuseg.Segmenter(str(rgbd.path))


# Exceptions of the user's own


class Timeout(Exception):
    pass


@pytest.mark.parametrize("kind", [Timeout, TimeoutError, RuntimeError, ValueError])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_signal_handlers_exception_comes_out_of_the_engine_as_it_is(
    rgbd, frames, backend, kind, monkeypatch
):
    pytest.importorskip(backend)
    segmenter = fuseg.load(rgbd.path, backend=backend, threads=1)
    owner = segmenter.backend
    name = {"onnxruntime": "session", "openvino": "request"}[backend]
    real = getattr(owner, name)

    def handler(*_: object) -> None:
        raise kind("too late")

    class Slow:
        """The backend's run, in the middle of which the alarm goes off."""

        def run(self, *_: object, **__: object) -> None:
            signal.raise_signal(signal.SIGALRM)

        run_with_iobinding = infer = run

    before = signal.signal(signal.SIGALRM, handler)
    try:
        monkeypatch.setattr(owner, name, Slow())
        with pytest.raises(kind, match="too late") as caught:
            segmenter(**frames())
        assert caught.type is kind
        monkeypatch.setattr(owner, name, real)
        segmenter(**frames())
    finally:
        signal.signal(signal.SIGALRM, before)


# Sizes and types that nothing can have


BEYOND = [(2**62, 4), (2**64, 1), (10**400, 1), (2**31, 2**31), (1, 2**33), (10**20, 1)]


@pytest.mark.parametrize("size", BEYOND)
def test_a_size_beyond_memory_is_refused(size, segmenter, frames):
    scores = np.zeros((2, 4, 4), np.float32)
    calls = [
        lambda: segmenter(**frames(), size=size),
        lambda: ops.upsample_argmax(scores, size=size),
        lambda: ops.fuse_argmax([scores, scores], size=size),
        lambda: ops.UpsampleArgmax((2, 4, 4), np.float32, size=size),
    ]
    for call in calls:
        with pytest.raises(ArgumentError, match="size must be at most 65536 pixels"):
            call()
    with pytest.raises(ArgumentError, match="input_size must be at most 65536"):
        ops.upsample_argmax(scores, size=(8, 8), crop=(0, 0, 1, 1), input_size=size)


def test_scores_beyond_memory_are_refused():
    with pytest.raises(ShapeError, match="shape must be of at most"):
        ops.UpsampleArgmax((2, 2**31, 2**31), np.float32, size=(8, 8))
    with pytest.raises(ShapeError, match=r"shape must be \(C, h, w\)"):
        ops.UpsampleArgmax((2.5, 4, 4), np.float32, size=(8, 8))


@pytest.mark.parametrize("dtype", ["nonsense", None, "V", object])
def test_a_type_that_is_none_is_refused(dtype):
    with pytest.raises(DTypeError, match="dtype must be float32 or float16"):
        ops.UpsampleArgmax((2, 4, 4), dtype, size=(8, 8))
    with pytest.raises(DTypeError, match="dtype must be uint8 or uint16"):
        ops.ConfusionMatrix(dtype, classes=3)


def test_an_array_of_dlpack_alone_may_be_the_first_input(segmenter, frames):
    class Alone:
        def __init__(self, array: np.ndarray) -> None:
            self.__dlpack__ = array.__dlpack__
            self.__dlpack_device__ = array.__dlpack_device__

    given = frames()
    wanted = segmenter(**given).labels
    found = segmenter(rgb=Alone(given["rgb"]), depth=given["depth"]).labels
    np.testing.assert_array_equal(found, wanted)
