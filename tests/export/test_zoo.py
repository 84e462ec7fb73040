"""Rows of the table of reference models: run to the end, kept, and drawn."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fuseg.errors import ArgumentError
from fuseg_export.frames import frame_set
from fuseg_export.models import REFERENCE
from fuseg_export.network.target import NetworkOptions
from fuseg_export.pipeline import export_bundle
from fuseg_export.scenes import render_many
from fuseg_export.training import fit
from fuseg_export.training.compress import two_of_four
from fuseg_export.training.data import RenderedFrames
from fuseg_export.training.tasks.rooms import Rooms
from fuseg_export.zoo import key, measure, picture, run
from fuseg_export.zoo.row import Row, take_alike
from fuseg_export.zoo.rows import ROWS

sys.path.append(str(Path(__file__).parents[2] / "tools" / "docs"))
import zoo_tables


def rooms(model, _folder):
    found = REFERENCE[model]
    frames = RenderedFrames(*render_many(range(2), 96, 128))
    learned = found.inputs, found.classes, found.ignore
    return Rooms(*learned, frames, frames, size=2)


def row(name, model, **fields):
    return Row(name, model, partial(rooms, model), 2, **fields)


SMALL = {
    r.name: r
    for r in (
        row("first", "small-rgb", exported=False),
        row(
            "second",
            "small-rgb",
            start="first",
            beats={"first": 5.0, "majority": -1, "first:pixel_accuracy": -1},
            also=("pixel_accuracy",),
        ),
    )
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Both rows, run once."""
    folder = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_set, "STAGE_FRAMES", 2)
        patch.setattr(measure, "PRECISION", replace(measure.PRECISION, kinds=("fp32",)))
        run.run(SMALL["second"], SMALL, folder, lambda _: None)
    return folder


def test_a_row_is_trained_exported_and_timed_and_so_is_what_it_starts_from(work):
    record = json.loads((work / "second" / "record.json").read_text())
    assert record["export"] == {"labels": 1.0}
    assert (work / "second" / "small-rgb.fuseg").stat().st_size == record["bytes"]
    assert record["p50_ms"] > 0
    assert record["parameters"] == 186_354
    assert record["multiply_adds"] > 1e7
    assert (work / "first" / "weights.safetensors").exists()
    assert not (work / "first" / "record.json").exists()


def test_a_finished_row_is_kept_until_something_that_it_comes_from_changes(
    work, monkeypatch
):
    second = SMALL["second"]
    done = run.finished(second, SMALL, work)
    assert done == run.run(second, SMALL, work, pytest.fail)
    others = SMALL | {"first": replace(SMALL["first"], steps=3)}
    assert run.finished(second, others, work) is None
    monkeypatch.setattr(run, "code_of", lambda _: "edited")
    assert run.finished(second, SMALL, work) is None


def test_a_row_is_drawn_with_what_it_saw_and_said(work):
    drawn = picture.draw(SMALL["second"], work / "second")
    assert drawn.stat().st_size < 40_000
    pixels = np.array(Image.open(drawn).convert("RGB"))
    assert pixels.shape[1] == 3 * 128  # rgb, truth, labels
    assert (pixels == REFERENCE["small-rgb"].classes[1].color).all(-1).any()
    once = drawn.read_bytes()
    assert picture.draw(SMALL["second"], work / "second").read_bytes() == once


@pytest.mark.parametrize("name", ["multitask", "video"])
def test_a_picture_has_a_pane_for_each_output_and_the_last_frames_of_a_clip(
    name, tmp_path
):
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    run.save_file(REFERENCE[name].network().state_dict(), weights)
    export_bundle(
        NetworkOptions(name, weights), tmp_path / f"{name}.fuseg", robustness=0
    )
    pixels = np.array(
        Image.open(picture.draw(ROWS[name], tmp_path)).convert("RGB")
    ).astype(int)
    panes = {"multitask": 5, "video": 3}[name]
    assert pixels.shape[1] == panes * 128
    frames = REFERENCE[name].scenes(REFERENCE[name].inputs, range(8))
    first = frames[{"multitask": 0, "video": 6}[name]].arrays["rgb"]
    seen = pixels[27:123, :128]
    assert np.abs(seen - first).mean() < 12


def test_a_margin_that_was_edited_is_shown_without_a_new_run(work):
    edited = SMALL | {"second": replace(SMALL["second"], beats={"majority": 0.1})}
    assert run.finished(edited["second"], edited, work)["beats"] == {"majority": 0.1}


@pytest.mark.parametrize(
    ("edited", "changed", "kept"),
    [
        ("models/video.py", {"video", "stateless"}, {"text", "sound", "gated-late"}),
        ("models/fusion/multiply.py", {"multiply-early"}, {"add-early", "small-rgb"}),
        ("models/thin.py", {"thinned-30"}, {"gated-middle", "student"}),
        ("training/tasks/sound.py", {"sound", "deaf"}, {"multitask", "hot-rgb"}),
        ("training/tasks/multitask.py", {"multitask", "sound", "text"}, {"fcn"}),
        ("training/compress.py", {"two-of-four", "distilled"}, {"control", "student"}),
        ("training/fit.py", {*ROWS}, set()),
        ("scenes/senses/sound.py", {"sound", "deaf"}, {"video", "text", "hot-rgb"}),
        ("scenes/things/tokenizer.json", {"text", "caption"}, {"add-late"}),
        ("scenes/things/world.py", {"text", "video", "kinds-range"}, {"add-late"}),
        ("scenes/furniture.py", {"fcn", "add-late", "efficientnet-tuned"}, set()),
        ("zoo/measure.py", {"fcn", "sound", "hot-rgb"}, set()),
    ],
)
def test_an_edit_runs_those_rows_again_whose_numbers_come_from_it(
    edited, changed, kept, monkeypatch
):
    names = changed | kept
    before = {name: run.key_of(ROWS[name], ROWS) for name in names}
    read, path = key._text, key._ROOT / edited
    monkeypatch.setattr(key, "_text", lambda p: read(p) + "\n" * (p == path))
    assert path.is_file()
    assert {n for n in names if run.key_of(ROWS[n], ROWS) != before[n]} == changed


def test_a_row_changes_with_what_its_own_functions_name(monkeypatch):
    before = {name: run.key_of(ROWS[name], ROWS) for name in ("sound", "video")}
    monkeypatch.setattr("fuseg_export.zoo.rows.senses._TEST_CLIPS", range(3))
    after = {name: run.key_of(ROWS[name], ROWS) for name in before}
    assert [before[n] == after[n] for n in ("sound", "video")] == [True, False]


def test_it_starts_with_the_weights_of_the_other_row(tmp_path):
    still = {name: replace(r, rate=1e-30) for name, r in SMALL.items()}
    run._trained(still["second"], still, tmp_path, lambda _: None)
    first, second = (
        run.load_file(tmp_path / name / "weights.safetensors")
        for name in ("first", "second")
    )
    torch.testing.assert_close(
        first["head.weight"], second["head.weight"], rtol=0, atol=1e-6
    )


def test_a_start_that_shares_no_weight_is_refused():
    with pytest.raises(ArgumentError, match=r"has no weight of this one's names"):
        take_alike(REFERENCE["fcn"].network(), {"strange": torch.zeros(1)})


def test_a_run_that_was_stopped_before_an_edit_begins_anew(tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    one = row("one", "small-rgb", exported=False)
    monkeypatch.setattr(fit, "SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Rooms, "evaluate", stop)
        with pytest.raises(Stopped):
            run.run(one, {"one": one}, tmp_path, lambda _: None)
    assert [*tmp_path.rglob("state.pt")]
    monkeypatch.setattr(run, "code_of", lambda _: "edited")
    record = run.run(one, {"one": one}, tmp_path, lambda _: None)
    assert record["curve"][-1][0] == 2


def test_smaller_networks_begin_with_what_is_left_of_the_whole(tmp_path):
    names = ("two-of-four", "thinned-50", "distilled")
    rows = {"gated-middle": row("gated-middle", "gated-middle")}
    for name in names:
        task = partial(rooms, ROWS[name].model)
        rows[name] = replace(ROWS[name], steps=2, task=task)
    sizes = {}
    for name in names:
        weights, record = run._trained(rows[name], rows, tmp_path, lambda _: None)
        sizes[name] = record["parameters"]
        assert ("before" in record) == (name != "distilled")
        if name == "two-of-four":
            network = REFERENCE["gated-middle"].network()
            network.load_state_dict(run.load_file(weights))
            zeros = [
                float((network.get_parameter(key) == 0).float().mean())
                for key in two_of_four(network)
            ]
            assert min(zeros) >= 0.5
    assert sizes["distilled"] < sizes["thinned-50"] < sizes["two-of-four"]


def test_rows_start_from_rows_and_beat_rows_or_numbers_of_their_own():
    assert len({run.key_of(one, ROWS) for one in ROWS.values()}) == len(ROWS)
    for name, one in ROWS.items():
        assert one.model in REFERENCE
        assert one.start is None or one.start in ROWS
        for beaten in one.beats:
            other, colon, _ = beaten.partition(":")
            assert not colon or other in ROWS
            if beaten in ROWS:
                assert ROWS[other].metric == one.metric, name


def test_a_run_row_has_all_that_the_tables_show(work, tmp_path):
    first = json.loads((work / "first" / "trained.json").read_text())
    rows = [first | run._shown(SMALL["first"])]
    rows.append(run.finished(SMALL["second"], SMALL, work))
    (tmp_path / "zoo.json").write_text(json.dumps({"rows": rows}))
    assert zoo_tables.zoo(tmp_path, Path("models.md")).count("`second`") == 1
    assert "`second`" in zoo_tables.family(tmp_path, Path("fusion.md"))


def test_every_family_has_a_page_and_every_picture_is_of_a_bundle():
    families = [f for page in zoo_tables.PAGES.values() for f in page.families]
    assert len({*families}) == len(families)
    assert {*families} == {REFERENCE[one.model].family for one in ROWS.values()}
    for page in zoo_tables.PAGES.values():
        assert page.pictures
        for name in page.pictures:
            assert ROWS[name].exported
            assert REFERENCE[ROWS[name].model].family in page.families
