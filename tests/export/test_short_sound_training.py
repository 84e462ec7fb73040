"""Half a minute of training shows that a network hears.

The zoo's own rows and tasks, with fewer steps and scenes.
"""

from __future__ import annotations

from dataclasses import replace

from safetensors.torch import load_file

from fuseg_export.models import REFERENCE
from fuseg_export.scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from fuseg_export.training.things_data import frames_of_things
from fuseg_export.zoo import run
from fuseg_export.zoo.rows import ROWS, senses, things

TRAIN, TEST = 400, 60


def test_what_sounds_is_found_and_silence_lights_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(senses, "_TRAIN", TRAIN_SEEDS[:TRAIN])
    monkeypatch.setattr(senses, "_TEST", HELD_OUT_SEEDS[:TEST])
    few = {"train": TRAIN, "test": TEST}
    monkeypatch.setattr(
        things,
        "frames_of_things",
        lambda part, _, folder: frames_of_things(part, few[part], folder),
    )
    rows = {
        name: replace(ROWS[name], steps=steps, exported=False)
        for name, steps in ((things.PRETRAINED, 100), ("sound", 200))
    }
    heard = run.run(rows["sound"], rows, tmp_path, lambda _: None)["test"]
    network = REFERENCE["sound"].network()
    network.load_state_dict(load_file(tmp_path / "sound" / "weights.safetensors"))
    deaf = senses._sound(tmp_path / "frames", hears=False).evaluate(network)
    assert heard["found"] > deaf["found"] + 0.2
    assert heard["silent_area"] < 0.01
