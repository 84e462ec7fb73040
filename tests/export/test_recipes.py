"""Losses, augmentation, resampling, and weights to begin with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from fuseg.errors import ArgumentError, CheckpointError
from fuseg_export.models import REFERENCE
from fuseg_export.training.__main__ import main
from fuseg_export.training.augment import Augmentation, frame_chances
from fuseg_export.training.data import RenderedFrames
from fuseg_export.training.fit import fit
from fuseg_export.training.losses import class_weights, cross_entropy, focal, mae, mse
from fuseg_export.training.tasks.rooms import Rooms
from fuseg_export.training.transfer import begin_with, freeze

IGNORE = 255


@pytest.fixture
def scored():
    """Logits of three classes, labels some of which are of none, and weights."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 4, 5, generator=generator)
    labels = torch.randint(3, (2, 4, 5), generator=generator)
    labels[0, :2] = IGNORE
    return scores, labels, torch.tensor([0.5, 1.0, 3.0])


def test_focal_is_its_definition_pixel_by_pixel(scored):
    scores, labels, weights = scored
    probabilities = scores.softmax(1)
    total = count = 0.0
    for n, y, x in np.ndindex(*labels.shape):
        label = int(labels[n, y, x])
        if label != IGNORE:
            p, weight = float(probabilities[n, label, y, x]), float(weights[label])
            total -= weight * (1 - p) ** 3 * np.log(p)
            count += weight
    found = focal(scores, labels, weights, IGNORE, gamma=3.0)
    assert float(found) == pytest.approx(total / count, rel=1e-5)


def test_focal_without_its_focus_is_cross_entropy(scored):
    for weights in (scored[2], None):
        said = (*scored[:2], weights, IGNORE)
        torch.testing.assert_close(focal(*said, gamma=0.0), cross_entropy(*said))


def test_errors_count_where_the_truth_is_known():
    predicted, truth = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([2.0, 4.0, 0.0])
    known = torch.tensor([True, True, False])
    assert float(mae(predicted, truth, known)) == 1.5
    assert float(mse(predicted, truth, known)) == 2.5


def test_a_class_a_quarter_as_frequent_weighs_twice_as_much():
    labels = np.repeat([0, 1, IGNORE], (80, 20, 28)).astype(np.uint8).reshape(2, 8, 8)
    weights = class_weights(labels, 2)
    assert float(weights[1] / weights[0]) == pytest.approx(2.0)
    assert float(weights.mean()) == pytest.approx(1.0)


def scene():
    """A picture whose every pixel says where it was, to every sensor alike."""
    where = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) + 1
    color = np.dstack([where >> 8, where & 255, where % 7]).astype(np.uint8)
    return {"rgb": color, "depth": where}, (where % 251).astype(np.uint8)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(crop=0.5), Augmentation(rotate=30.0)]
)
def test_what_moves_pixels_moves_those_of_all_sensors_and_labels_alike(augmentation):
    frames, labels = scene()
    rng = np.random.default_rng(4)
    changed, truth = augmentation(frames, labels, ignore=IGNORE, rng=rng)
    rgb, depth = (changed[name].astype(np.uint16) for name in ("rgb", "depth"))
    assert rgb.shape[:2] == depth.shape == truth.shape
    inside = depth > 0
    assert np.count_nonzero(inside) > depth.size / 2
    np.testing.assert_array_equal((rgb[..., 0] << 8) + rgb[..., 1], depth)
    np.testing.assert_array_equal(truth[inside], depth[inside] % 251)
    assert (truth[~inside] == IGNORE).all()
    assert not np.array_equal(depth, frames["depth"])


class Largest:
    """Draws the largest angle."""

    def uniform(self, _low, high):
        return high

    def random(self):
        return 1.0


def test_a_quarter_turn_is_a_quarter_turn():
    square = np.arange(25, dtype=np.uint16).reshape(5, 5) + 1
    labels = square.astype(np.uint8)
    changed, truth = Augmentation(rotate=90.0)(
        {"depth": square}, labels, ignore=IGNORE, rng=Largest()
    )
    turned = changed["depth"]
    assert any(np.array_equal(turned, np.rot90(square, k)) for k in (1, -1))
    np.testing.assert_array_equal(truth, turned)


def test_gray_and_noise_change_colour_alone():
    frames, labels = scene()
    rng = np.random.default_rng(0)
    changed, truth = Augmentation(gray=1.0)(frames, labels, ignore=IGNORE, rng=rng)
    rgb = changed["rgb"]
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert np.ptp(rgb) > 50
    noisy, _ = Augmentation(noise=20.0)(frames, labels, ignore=IGNORE, rng=rng)
    apart = noisy["rgb"].astype(int) - frames["rgb"]
    middle = (frames["rgb"] > 80) & (frames["rgb"] < 176)
    assert 15 < apart[middle].std() < 25
    for made in (changed, noisy):
        np.testing.assert_array_equal(made["depth"], frames["depth"])
    np.testing.assert_array_equal(truth, labels)


def test_frames_of_a_rare_class_are_drawn_more_often():
    labels = np.zeros((16, 4, 4), np.uint8)
    labels[0, 0, 0] = 1  # in 1 of 16 frames: sqrt(0.25 / (1 / 16)) = 2
    labels[1] = IGNORE
    chances = frame_chances(labels, 2, 0.25)
    assert chances.sum() == pytest.approx(1.0)
    assert chances[0] / chances[2] == pytest.approx(2.0)
    assert chances[1] == chances[2]


@pytest.fixture
def task():
    """Two tiny pictures of noise, and a network for them."""
    rng = np.random.default_rng(0)
    model = REFERENCE["small-rgb"]
    labels = rng.integers(0, 10, (2, 96, 128)).astype(np.uint8)
    color = rng.integers(0, 256, (2, 96, 128, 3)).astype(np.uint8)
    frames = RenderedFrames(color, np.zeros((2, 96, 128), np.uint16), labels)
    learned = model.inputs, model.classes, model.ignore
    return model, Rooms(*learned, frames, frames, size=2)


def test_a_frozen_part_keeps_weights_and_statistics(task, tmp_path):
    model, rooms = task
    network = model.network()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    freeze(network, "encoders")
    fit(network, rooms, {"steps": 2, "rate": 1e-2, "seed": 1}, tmp_path)
    for name, value in network.state_dict().items():
        same = torch.equal(value, before[name])
        assert same == name.startswith("encoders."), name


def test_weights_to_begin_with_are_those_of_equal_names_and_shapes(task, tmp_path):
    model, _ = task
    torch.manual_seed(1)
    first, other = model.network(), model.network()
    stored = {k: v for k, v in other.state_dict().items() if k.startswith("encoders.")}
    stored["head.weight"] = torch.zeros(3, 32, 1, 1)  # of a head for other classes
    stored["fc.weight"] = torch.zeros(5)
    save_file(stored, tmp_path / "w.safetensors")
    head = first.head.weight.clone()
    assert begin_with(first, tmp_path / "w.safetensors") == len(stored) - 2
    for name, value in first.state_dict().items():
        if name.startswith("encoders."):
            assert torch.equal(value, other.state_dict()[name])
    assert torch.equal(first.head.weight, head)


def test_a_file_of_no_use_to_begin_with_is_refused(tmp_path):
    network = nn.Conv2d(1, 1, 1)
    save_file({"other": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(
        CheckpointError, match=r"names and shapes, as weight, got other"
    ):
        begin_with(network, tmp_path / "w.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="must be a file of safetensors, but"):
        begin_with(network, tmp_path / "bad.safetensors")


def test_a_part_that_there_is_not_cannot_be_frozen(task):
    with pytest.raises(ArgumentError, match=r"got 'encoder': did you mean encoders\?"):
        freeze(task[0].network(), "encoder")


def test_the_task_takes_the_loss_that_is_asked_for(task):
    _, rooms = task
    batch = rooms.batch(np.random.default_rng(0))
    scores = torch.randn(2, 10, 96, 128)

    def network(*_):
        return scores

    plain = rooms.loss(network, batch)
    torch.testing.assert_close(plain, F.cross_entropy(scores, batch[1]))
    learned = rooms.inputs, rooms.classes, 255, rooms.train, rooms.test
    focused = Rooms(*learned, gamma=2.0).loss(network, batch)
    torch.testing.assert_close(focused, focal(scores, batch[1], None, 255, gamma=2.0))


@pytest.mark.parametrize(
    ("option", "meant"),
    [("--dropout=rgbb=0.1", "rgb"), ("--augment=crup=0.7", "crop")],
)
def test_what_a_recipe_does_not_know_is_refused_before_the_work(
    option, meant, monkeypatch
):
    monkeypatch.setattr("sys.argv", ["training", "add-middle", option])
    with pytest.raises(ArgumentError, match=rf"did you mean {meant}\?$"):
        main()
