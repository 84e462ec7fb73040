"""Named things as every sensor sees them: one scene, and who can tell what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fuseg_export.frames.senses import hot_things, scanned_things
from fuseg_export.models import REFERENCE
from fuseg_export.scenes import HELD_OUT_SEEDS
from fuseg_export.scenes.senses.render import HOT, render_sensed, sensed_of
from fuseg_export.scenes.senses.thermal import KELVIN
from fuseg_export.training.losses import class_weights
from fuseg_export.training.tasks.rooms import Rooms
from fuseg_export.training.tasks.three import hot_frames, scanned_frames


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return sensed_of(range(8), 96, 128, tmp_path_factory.mktemp("sensed"))


def test_every_sensor_sees_the_same_scene(things):
    scene = render_sensed(3, 96, 128)
    for name, array in vars(scene).items():
        np.testing.assert_array_equal(getattr(things, name)[3], array)
    measured = (things.depth > 0) & (things.range > 0)
    assert measured.mean() > 0.05
    apart = things.range[measured] - things.depth[measured] / 1000
    assert (apart > -0.3).mean() > 0.999  # depth is noisy
    assert np.median(apart) < 0.5  # a distance is longer than a depth, not by much


def test_bad_light_is_for_the_rows_of_the_scanner_alone(things):
    changed = (things.spoilt != things.color).any((1, 2, 3))
    assert changed.any()
    assert not changed.all()
    assert scanned_frames(things).color is things.spoilt
    assert hot_frames(things).color is things.color
    (rgb,) = REFERENCE["kinds-rgb"].inputs
    for number in range(2):
        scene = render_sensed(HELD_OUT_SEEDS[number], 96, 128)
        for made, color in ((scanned_things, scene.spoilt), (hot_things, scene.color)):
            given = made([rgb], range(2))[number]
            np.testing.assert_array_equal(given.arrays["rgb"], color)


def test_heat_hides_the_kind_and_only_the_thermal_camera_sees_it(things):
    hot = things.hot == HOT
    assert hot.any()
    np.testing.assert_array_equal(things.hot[~hot], things.kinds[~hot])
    assert (things.kinds[hot] > 0).all()
    celsius = things.thermal * KELVIN - 273.15
    assert np.median(celsius[hot]) > 30
    assert np.median(celsius[(things.kinds > 0) & ~hot]) < 25


@pytest.mark.parametrize(
    ("name", "frames"),
    [("hot-rgb-depth-thermal", hot_frames), ("kinds-rgb-range", scanned_frames)],
)
def test_two_steps_lower_the_loss(things, name, frames):
    model, made = REFERENCE[name], frames(things)
    weights = class_weights(made.labels, len(model.classes))
    task = Rooms(model.inputs, model.classes, 255, made, made, weights=weights)
    torch.manual_seed(0)
    network = model.network()
    batch = task.batch(np.random.default_rng(0))
    assert [t.shape[1] for t in batch[0]] == [3] + [1] * (len(model.inputs) - 1)
    assert batch[1].max() <= len(model.classes) - 1
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = task.loss(network, batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[0]
