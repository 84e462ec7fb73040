"""Training goes on where it was stopped, and batches are what the runtime packs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fuseg.errors import ArgumentError
from fuseg_export.frames.rendered import SMALL_CAMERA
from fuseg_export.models import REFERENCE
from fuseg_export.models.compose import compose
from fuseg_export.network.spec import default_classes
from fuseg_export.reference import preprocess
from fuseg_export.scenes import frame_cache, render_many
from fuseg_export.training import data
from fuseg_export.training import fit as training
from fuseg_export.training.data import RenderedFrames, pack, random_batch
from fuseg_export.training.evaluate import held_out_confusion
from fuseg_export.training.tasks import rooms
from fuseg_export.training.tasks.rooms import Rooms

MODEL = REFERENCE["rgbd"]
CLASSES = default_classes(3)
SETTINGS = {
    "steps": 4,
    "batch": 2,
    "frames": 2,
    "rate": 1e-3,
    "dropout": {"depth": 0.1},
    "seed": 1,
}


@pytest.fixture(scope="module")
def frames():
    return RenderedFrames(*render_many(range(2), 240, 320))


def train(frames, work, **changes):
    settings = SETTINGS | changes
    model = REFERENCE["gated-middle"]
    learned = model.inputs, model.classes, model.ignore
    dropout = settings["dropout"]
    task = Rooms(*learned, frames, frames, size=settings["batch"], dropout=dropout)
    torch.manual_seed(settings["seed"])
    network = model.network()
    return network, training.fit(network, task, settings, work)


@pytest.mark.parametrize("index", [0, 1])
def test_a_packed_frame_is_the_definition(frames, index):
    spec = MODEL.inputs[index]
    frame = (frames.color, frames.depth)[index][0]
    wanted = preprocess([spec], {spec.name: frame})[spec.tensor][0]
    np.testing.assert_allclose(pack(spec, frame), wanted, atol=1e-5)


def test_a_batch_is_the_same_for_the_same_seed_and_mirrors_frames_with_labels(frames):
    def batch(seed):
        rng = np.random.default_rng(seed)
        return random_batch(frames, MODEL.inputs, 4, rng=rng, dropout={})

    (rgb, _), labels = batch(3)
    (again, _), labels_again = batch(3)
    torch.testing.assert_close(rgb, again, rtol=0, atol=0)
    assert torch.equal(labels, labels_again)
    for image, truth in zip(rgb, labels, strict=True):
        matches = [
            (index, step)
            for index in range(2)
            for step in (1, -1)
            if np.array_equal(truth, frames.labels[index][:, ::step])
        ]
        [(index, step)] = matches
        wanted = pack(
            MODEL.inputs[0], np.ascontiguousarray(frames.color[index][:, ::step])
        )
        np.testing.assert_array_equal(image, wanted)


def test_dropped_depth_is_the_fill_everywhere(frames):
    rng = np.random.default_rng(0)
    (_, depth), _ = random_batch(
        frames, MODEL.inputs, 2, rng=rng, dropout={"depth": 1.0}
    )
    assert (depth == MODEL.inputs[1].fill).all()


class Oracle(torch.nn.Module):
    """Answers class 1 wherever depth is farther than 2 m, else class 0."""

    def forward(self, _rgb, depth):
        far = (depth[:, 0] > 0).float()
        return torch.stack([0.5 - far, far - 0.5], dim=1)


def test_held_out_counts_compare_truth_at_the_centre_of_each_pixel():
    depth = np.full((1, 480, 640), 1000, np.uint16)
    depth[:, :, 320:] = 3000
    labels = (depth > 2000).astype(np.uint8)
    frames = RenderedFrames(np.zeros((1, 480, 640, 3), np.uint8), depth, labels)
    counts = held_out_confusion(Oracle(), MODEL.inputs, frames, classes=2, ignore=255)
    assert counts.tolist() == [[240 * 160, 0], [0, 240 * 160]]
    blind = held_out_confusion(
        Oracle(), MODEL.inputs, frames, classes=2, ignore=255, without="depth"
    )
    assert blind.tolist() == [[240 * 160, 0], [240 * 160, 0]]


def test_a_stopped_run_goes_on_to_the_same_weights(frames, tmp_path, monkeypatch):
    whole, record = train(frames, tmp_path / "whole")

    monkeypatch.setattr(training, "SAVE_EVERY_S", 0.0)
    drawn = []

    def stop_at_the_third(*args, **kwargs):
        drawn.append(None)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return random_batch(*args, **kwargs)

    monkeypatch.setattr(rooms, "random_batch", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(frames, tmp_path / "stopped")
    resumed, again = train(frames, tmp_path / "stopped")
    assert len(drawn) == 3 + 2  # two steps were not done twice
    assert again["curve"][-1][0] == record["curve"][-1][0] == 4
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_a_state_of_other_settings_is_not_taken_up(frames, tmp_path):
    train(frames, tmp_path)
    with pytest.raises(SystemExit, match="give the same settings, or delete"):
        train(frames, tmp_path, seed=2)


def test_of_the_inputs_at_most_one_fails_and_each_as_often_as_is_said():
    small = compose("three", ("rgb", "depth", "thermal"), CLASSES, "add", "middle")
    shape = (4, *SMALL_CAMERA)
    frames = RenderedFrames(
        np.full((*shape, 3), 99, np.uint8),
        np.full(shape, 2500, np.uint16),
        np.zeros(shape, np.uint8),
        thermal=np.full(shape, 30000, np.uint16),
    )
    failed = dict.fromkeys(("rgb", "depth", "thermal"), 0)
    rng = np.random.default_rng(0)
    tensors, _ = random_batch(
        frames, small.inputs, 400, rng=rng, dropout={"rgb": 0.25, "thermal": 0.5}
    )
    for pictures in zip(*tensors, strict=True):
        gone = [
            spec.name
            for spec, picture in zip(small.inputs, pictures, strict=True)
            if (picture == spec.fill).all()
        ]
        assert len(gone) <= 1
        for name in gone:
            failed[name] += 1
    assert failed["depth"] == 0
    assert 70 < failed["rgb"] < 130
    assert 160 < failed["thermal"] < 240


def test_a_sensor_that_was_not_rendered_is_asked_for(frames):
    inputs = compose("warm", ("thermal",), CLASSES).inputs
    with pytest.raises(ArgumentError, match="a thermal sensor for the input thermal"):
        random_batch(frames, inputs, 1, rng=np.random.default_rng(0), dropout={})


def test_rooms_are_rendered_once_for_a_renderer_and_anew_for_another(
    tmp_path, monkeypatch
):
    rendered = []

    def render(seeds, height, width, **_):
        rendered.append(seeds)
        return render_many(seeds, height, width)

    monkeypatch.setattr(data, "render_many", render)

    def made():
        return data.frames_of(range(2), 24, 32, tmp_path).color

    first = made()
    np.testing.assert_array_equal(made(), first)
    assert len(rendered) == 1
    monkeypatch.setattr(frame_cache, "sources_digest", lambda: "another renderer's")
    made()
    assert len(rendered) == 2
