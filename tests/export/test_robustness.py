"""The robustness card of an export: of which frames, and when there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import fuseg
from fuseg.errors import ArgumentError
from fuseg.robustness import LabelledFrame, measure

FRAMES = 3


@pytest.fixture
def scored(home, export_two, quick):  # noqa: ARG001
    """``scored(**changes)``: exported with three labelled frames in ``home``."""
    random = np.random.default_rng(6)
    for number in range(FRAMES):
        arrays = {
            "rgb": random.integers(0, 256, (64, 96, 3)).astype(np.uint8),
            "depth": random.integers(500, 5000, (64, 96)).astype(np.uint16),
            "truth": random.integers(0, 5, (64, 96)).astype(np.uint8),
        }
        for name, array in arrays.items():
            (home / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(home / name / f"{number}.png")

    def export(**changes):
        frames = {name: str(home / name) for name in ("rgb", "depth")}
        known = {"truth": str(home / "truth/*.png"), "check_tensorrt": False}
        return export_two(frames=frames, **{**known, **changes})

    return export


def read(home, number):
    names = ("rgb", "depth", "truth")
    arrays = {n: np.array(Image.open(home / n / f"{number}.png")) for n in names}
    return LabelledFrame(arrays, arrays.pop("truth"))


def test_true_labels_give_a_card_with_every_sensor_gone_that_is_left_out(home, scored):
    missing = {"policy": "hold", "max_age_ms": 200, "then": "substitute"}
    spec = {"inputs": {"depth": {"missing": missing}}}
    (home / "spec.json").write_text(json.dumps(spec))
    made = scored(spec=home / "spec.json")
    card = made.manifest.robustness
    assert fuseg.bundle.Bundle.open(made.bundle).manifest.robustness == card
    gone = fuseg.load(
        made.bundle, missing={"depth": {"policy": "substitute"}}, threads=1
    )
    assert gone.manifest.inputs[1].missing.policy == "substitute"
    assert card == measure(gone, [read(home, number) for number in range(card.frames)])
    assert card.frames == FRAMES  # of eight, if there are as many
    assert card.subsets[2].refused_without == ("rgb",)
    assert scored(spec=home / "spec.json").digest == made.digest
    few = scored(robustness=2).manifest.robustness
    assert few == measure(
        fuseg.load(made.bundle, missing={"depth": {"policy": "refuse"}}, threads=1),
        [read(home, number) for number in range(2)],
    )


def test_a_card_may_be_left_out_and_needs_true_labels(scored):
    assert scored(robustness=0).manifest.robustness is None
    assert scored(truth=None).manifest.robustness is None
    with pytest.raises(ArgumentError) as refused:
        scored(truth=None, robustness=4)
    assert str(refused.value) == (
        "--robustness needs true labels of known classes: --frames NAME=PATH and "
        "--truth PATH."
    )
