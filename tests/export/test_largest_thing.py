"""The classifier's truth, its loss, and that its encoder begins another network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fuseg_export.models import REFERENCE
from fuseg_export.scenes.things import KINDS, MAX_THINGS, ThingFrames
from fuseg_export.training.tasks.largest import LargestThing, largest_kinds
from fuseg_export.training.transfer import begin_with


@pytest.fixture
def things():
    """A ball of 30 pixels beside a post of 20; two posts of 20; an empty room."""
    instances = np.zeros((3, 96, 128), np.uint8)
    instances[0, 0, :30], instances[0, 1, :20] = 1, 2
    instances[1, 0, :30], instances[1, 1, :20], instances[1, 2, :20] = 1, 2, 3
    attributes = np.full((3, MAX_THINGS, 3), -1, np.int8)
    ball, post = KINDS.index("ball"), KINDS.index("post")
    attributes[:2, 0, 0], attributes[:2, 1:3, 0] = ball, post
    color = np.zeros((3, 96, 128, 3), np.uint8)
    depth, places = np.zeros((3, 96, 128), np.uint16), np.zeros(3, np.uint8)
    return ThingFrames(color, depth, instances, attributes, places)


def test_the_largest_kind_is_the_one_of_most_pixels_in_all(things):
    ball, post = KINDS.index("ball"), KINDS.index("post")
    assert largest_kinds(things).tolist() == [ball, post, -100]


def test_accuracy_is_over_pictures_with_things_beside_the_majority(things):
    task = LargestThing(REFERENCE["classifier"].inputs, things, things)

    class Always(torch.nn.Module):
        def forward(self, pictures):
            scores = torch.zeros(len(pictures), len(KINDS))
            scores[:, KINDS.index("post")] = 1
            return scores

    assert task.evaluate(Always()) == {"accuracy": 0.5, "majority": 0.5}
    pictures, kinds = task.batch(np.random.default_rng(0))
    assert pictures.shape == (8, 3, 96, 128)
    assert set(kinds.tolist()) <= {-100, KINDS.index("ball"), KINDS.index("post")}
    assert torch.isfinite(task.loss(Always(), (pictures, kinds)))


def test_its_encoder_is_what_fcn_begins_with(tmp_path):
    file = tmp_path / "classifier.safetensors"
    trained = REFERENCE["classifier"].network()
    save_file(trained.state_dict(), file)
    network = REFERENCE["fcn"].network()
    encoders = trained.encoder.state_dict(), network.encoder.state_dict()
    assert begin_with(network, file) == len(encoders[0]) == len(encoders[1])
