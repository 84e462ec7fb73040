"""Engines whose tensors are float16 or int8, in TensorRT's own layouts."""

from __future__ import annotations

import numpy as np
import pytest

import fuseg
from fuseg.backends.tensors import GpuTensor, decode, encode

CAMERA = (61, 83)
INPUTS = {"rgb": "CHW4", "depth": "CHW4"}


@pytest.fixture
def agreement(frames):
    """``agreement(segmenter, made)``: share of labels that are the float32 CPU's."""

    def share(segmenter, made):
        cpu = fuseg.load(made.path, backend="onnxruntime")
        same = []
        for seed in range(4):
            given = frames(seed, *CAMERA)
            same.append(np.mean(segmenter(**given).labels == cpu(**given).labels))
        return min(same)

    return share


@pytest.mark.parametrize("layout", [None, {"scores": "HWC8"}, {"rgb": "CHW4"}])
def test_float16_scores_and_inputs(both, on_gpu, agreement, layout, machine):
    segmenter = on_gpu(both, inputs="float16", scores="float16", layouts=layout)
    assert agreement(segmenter, both) > 0.99
    machine.check()


@pytest.mark.parametrize("layout", [{}, INPUTS])
def test_int8_inputs_are_written_with_the_engines_scale(
    both, on_gpu, agreement, layout, machine
):
    segmenter = on_gpu(both, inputs="int8", layouts=layout, scale=1 / 40)
    assert agreement(segmenter, both) > 0.97
    other = on_gpu(both, inputs="int8", layouts=layout, scale=1 / 4)
    assert agreement(other, both) < 0.97  # so coarse a step is seen
    machine.check()


@pytest.mark.parametrize(
    "inputs", [{"inputs": "int8", "scale": 1 / 40}, {"inputs": "float16"}]
)
def test_two_sensors_in_one_chw4_tensor(stacked, on_gpu, agreement, inputs):
    layouts = {"rgbd": "CHW4", "scores": "HWC8"}
    segmenter = on_gpu(stacked, layouts=layouts, scores="float16", **inputs)
    assert agreement(segmenter, stacked) > 0.97


def test_fill_is_the_manifests_in_every_form(held, on_gpu, tensors):
    cases = [
        {},
        {"inputs": "float16"},
        {"inputs": "float16", "layouts": INPUTS},
        {"inputs": "int8", "scale": 1 / 64},
        {"inputs": "int8", "scale": 1 / 64, "layouts": INPUTS},
    ]
    for words in cases:
        segmenter = on_gpu(held, **words)
        for _ in range(3):
            segmenter(size=CAMERA)
        found = tensors(segmenter)
        np.testing.assert_array_equal(found["rgb"], np.full((1, 3, 13, 17), 0.25))
        np.testing.assert_array_equal(found["depth"], np.full((1, 1, 13, 17), -1.0))


@pytest.mark.parametrize(
    "form", [{"inputs": "int8", "scale": 1 / 40}, {"inputs": "float16"}]
)
def test_a_held_tensor_in_chw4_goes_from_slot_to_slot(
    held, on_gpu, frames, tensors, machine, form
):
    segmenter = on_gpu(held, layouts=INPUTS, **form)
    first = {n: fuseg.Frame(a, 0) for n, a in frames(0, *CAMERA).items()}
    segmenter(**first)
    wanted = tensors(segmenter)["depth"]
    rgb = fuseg.Frame(frames(1, *CAMERA)["rgb"], 1000)
    tickets = [segmenter.submit(rgb=rgb), segmenter.submit(rgb=rgb)]
    assert machine.live()["streams"] == 2
    for ticket in tickets:
        assert segmenter.result(ticket).sources["depth"].state == "held"
    np.testing.assert_array_equal(tensors(segmenter)["depth"], wanted)
    assert wanted.any()
    machine.check()


def test_planes_held_by_a_policy_of_load_stay_where_they_are(
    stacked, on_gpu, frames, tensors, machine
):
    """Depth is one channel of four that CHW4 interleaves: no slot can copy it."""
    hold = {"depth": {"policy": "hold", "then": "refuse"}}
    words = {"inputs": "int8", "layouts": {"rgbd": "CHW4"}, "scale": 1 / 40}
    segmenter = on_gpu(stacked, **words, missing=hold)
    segmenter(**frames(0, *CAMERA), stamp_ns=0)
    wanted = tensors(segmenter)["rgbd"][:, 0]
    rgb = frames(1, *CAMERA)["rgb"]
    tickets = [segmenter.submit(rgb=rgb, stamp_ns=1) for _ in range(2)]
    assert machine.live()["streams"] == 1
    first, second = (segmenter.result(ticket) for ticket in tickets)
    assert first.sources["depth"].state == second.sources["depth"].state == "held"
    np.testing.assert_array_equal(first.labels, second.labels)
    found = tensors(segmenter)["rgbd"][:, 0]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 11])
@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        *(("float32", "linear"), ("float16", "hwc8"), ("float16", "chw4")),
        *(("int8", "linear"), ("int8", "chw4")),
    ],
)
def test_what_is_stored_is_read_back(channels, dtype, layout):
    rng = np.random.default_rng(channels)
    tensor = GpuTensor(0, (1, channels, 3, 5), np.dtype(dtype), layout, 0.5)
    values = rng.integers(-100, 100, tensor.shape).astype(np.float32) / 2
    stored = encode(values, tensor)
    assert (stored.shape, stored.nbytes) == (tensor.stored, tensor.nbytes)
    np.testing.assert_array_equal(decode(stored, tensor), values)
    for _ in range(20):  # the definition, at some element
        c, y, x = (int(rng.integers(n)) for n in tensor.shape[1:])
        at = {
            "linear": (c * 3 + y) * 5 + x,
            "chw4": ((c // 4 * 3 + y) * 5 + x) * 4 + c % 4,
            "hwc8": (y * 5 + x) * (-(-channels // 8) * 8) + c,
        }[layout]
        step = 0.5 if dtype == "int8" else 1.0
        assert stored.ravel()[at] * step == values[0, c, y, x]


def test_int8_saturates():
    tensor = GpuTensor(0, (1, 1, 1, 2), np.dtype(np.int8), "linear", 0.5)
    values = np.float32([[[[1e6, -1e6]]]])
    assert encode(values, tensor).ravel().tolist() == [127, -128]
