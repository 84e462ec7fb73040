"""Half a minute of training shows what a second sensor is for.

The zoo's own rows and task, with fewer steps and scenes.
"""

from __future__ import annotations

from dataclasses import replace

from fuseg_export.scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from fuseg_export.zoo import run
from fuseg_export.zoo.rows import ROWS, rooms


def test_colour_and_depth_together_see_more_than_either(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "_TRAIN", TRAIN_SEEDS[:600])
    monkeypatch.setattr(rooms, "_TEST", HELD_OUT_SEEDS[:60])
    names = "small-rgb", "small-depth", "gated-middle"
    rows = {name: replace(ROWS[name], steps=120, exported=False) for name in names}
    color, depth, both = (
        run.run(row, rows, tmp_path, lambda _: None)["test"] for row in rows.values()
    )
    assert both["miou"] > max(color["miou"], depth["miou"]) + 0.05
    assert both["majority"] < 0.1
