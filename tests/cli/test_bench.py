from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from runtime.programs import SIBLING, SIZE, add_stand_in, write_program

import fuseg as library
from fuseg.cli import bench_peers, training_half
from fuseg.dataset.images import write_png

RECIPE = "opencv+numpy+onnxruntime"


@dataclass
class Peer:
    """As the entry point ``bench-peers`` makes them."""

    name: str
    call: Any
    pre: Any = None
    unavailable: str | None = None


@pytest.fixture
def peers(monkeypatch):
    """``peers(peer, ...)`` are what the training half offers; returns the options of
    the request."""
    request = {}

    def offer(*made):
        def make_peers(bundle, **options):
            request.update(options, bundle=bundle)
            return list(made)

        monkeypatch.setattr(
            training_half, "load", {"bench-peers": make_peers}.__getitem__
        )
        return request

    return offer


@pytest.fixture
def honest(sampled):
    """Another Segmenter of the same bundle as a peer's call: the right labels."""
    segmenter = library.load(sampled())
    return lambda frames: segmenter(**frames).labels


def timed(fuseg, path, *words):
    done = fuseg("bench", path, "--rounds", "6", "--json", *words)
    assert done.code == 0
    return done.json


def test_json_has_the_promised_keys(fuseg, sampled, peers, honest):
    peers(Peer(RECIPE, honest, pre=lambda frames: None))  # noqa: ARG005
    report = timed(fuseg, sampled())
    assert list(report) == [
        *("bundle", "digest", "model", "variant", "backend", "machine", "versions"),
        *("settings", "total_ms", "stages_ms", "peers", "pre_post", "program", "noise"),
    ]
    assert set(report["machine"]) == {"cpu", "cores", "system"}
    assert set(report["total_ms"]) == {"p50", "p90", "p99"}
    assert list(report["stages_ms"]) == ["pack", "network", "label", "overhead"]
    assert report["settings"]["frames"] == 2
    assert report["settings"]["rounds"] == 6
    assert report["settings"]["pause_ms"] == 60
    assert report["settings"]["frame_shapes"] == {"rgb": [60, 80, 3], "depth": [60, 80]}
    assert report["settings"]["threads"] == report["machine"]["cores"]
    peer = report["peers"][RECIPE]
    assert set(peer) == {"p50", "p90", "p99", "ratio", "label_agreement"}
    assert peer["label_agreement"] == 1.0
    assert peer["ratio"] == pytest.approx(peer["p50"] / report["total_ms"]["p50"])


def test_what_the_recipe_does_around_the_engine_is_compared(
    fuseg, sampled, peers, honest
):
    def slow(frames):
        time.sleep(0.02)
        return honest(frames)

    peers(Peer(RECIPE, slow, pre=lambda frames: time.sleep(0.005)))  # noqa: ARG005
    report = timed(fuseg, sampled())
    row, total = report["pre_post"], report["peers"][RECIPE]["p50"]
    assert 20 <= row["recipe_ms"] < total
    assert row["recipe_share"] == pytest.approx(row["recipe_ms"] / total)
    assert 5 <= row["recipe_pre_ms"] < row["recipe_ms"]
    assert row["recipe_post_ms"] == pytest.approx(
        row["recipe_ms"] - row["recipe_pre_ms"]
    )
    assert row["fuseg_share"] == pytest.approx(
        row["fuseg_ms"] / report["total_ms"]["p50"]
    )
    assert row["ratio"] == pytest.approx(row["recipe_ms"] / row["fuseg_ms"])


def test_the_recipe_is_compared_round_by_round():
    """Both slow down at times; the medians of each alone would be 10 ms apart."""
    network = [10.0, 30.0, 10.0, 10.0, 30.0]
    parts = {"pack": [1.0] * 5, "network": network, "label": [0.5] * 5}
    whole = [e + 1.5 for e in network]
    recipe = [e + 6.0 for e in network]
    recipe[0] = 99.0
    times = {"fuseg": whole, RECIPE: recipe, f"{RECIPE}: pre": [2.0] * 5}
    assert bench_peers.pre_post(parts, times) == pytest.approx(
        {
            "fuseg_ms": 1.5,
            "fuseg_share": 1.5 / 11.5,
            "recipe_ms": 6.0,
            "recipe_pre_ms": 2.0,
            "recipe_post_ms": 4.0,
            "recipe_share": 6.0 / 36.0,
            "ratio": 4.0,
        }
    )


def test_people_read_the_same(fuseg, sampled, peers, honest):
    peers(
        Peer(RECIPE, honest, pre=lambda frames: None),  # noqa: ARG005
        Peer("pytorch", None, unavailable="no --torch was given"),
    )
    done = fuseg("bench", sampled(), "--rounds", "3", "--threads", "1")
    assert done.code == 0
    for words in (
        "linear (fp32, onnxruntime)",
        "3 interleaved rounds on 2 frames",
        "rgb 60x80x3",
        "1 thread for every program",
        "overhead",
        "not timed: pytorch: no --torch was given",
        "pre- and post-processing: fuseg ",
    ):
        assert words in done.stdout, words


def test_peers_are_asked_for_the_same_threads_and_network(
    fuseg, sampled, peers, tmp_path
):
    request = peers()
    path, weights = sampled(), tmp_path / "w.safetensors"
    words = "--threads", 1, "--torch", "a.b:c", "--checkpoint", weights
    assert timed(fuseg, path, *words)["settings"]["threads"] == 1
    assert request == {
        "bundle": path,
        "threads": 1,
        "torch_target": "a.b:c",
        "checkpoint": weights,
    }


def test_a_peer_that_cannot_run_is_listed_with_the_reason(fuseg, sampled, peers):
    peers(Peer(RECIPE, None, unavailable="OpenCV is not installed"))
    report = timed(fuseg, sampled())
    assert report["peers"] == {RECIPE: {"unavailable": "OpenCV is not installed"}}
    assert report["pre_post"] is None


def test_a_peer_with_other_labels_is_listed_as_wrong_and_not_timed(
    fuseg, sampled, peers, honest
):
    calls = []

    def wrong(frames):
        calls.append(1)
        labels = honest(frames)
        labels[:30] = (labels[:30] + 1) % 4
        return labels

    peers(Peer(RECIPE, wrong))
    report = timed(fuseg, sampled())
    assert report["peers"][RECIPE] == {
        "label_agreement": 0.5,
        "unavailable": (
            "wrong: only 50.00% of its labels equal fuseg's, at least 98% must."
        ),
    }
    assert len(calls) == 2


def test_a_bundle_with_a_stand_in_has_peers_on_whole_frame_sets(
    fuseg, sampled, honest, peers
):
    peers(Peer(RECIPE, honest))
    made = timed(fuseg, add_stand_in(sampled()))
    assert made["peers"][RECIPE]["label_agreement"] == 1.0
    assert made["program"]["graphs"]["alone"] == {"ran": 0, "of": 6}


@pytest.mark.parametrize("missing", ["torch", "fuseg_export"])
def test_without_the_training_half_the_recipe_is_listed_with_what_to_install(
    fuseg, sampled, monkeypatch, missing
):
    def load(name):
        raise ModuleNotFoundError(name, name=missing)

    monkeypatch.setattr(training_half, "load", load)
    report = timed(fuseg, sampled(), "--torch", "rgbd", "--checkpoint", "w")
    reason = (
        f"fuseg bench needs {missing}, which is not installed here: "
        'pip install "fuseg[export]".'
    )
    assert report["peers"] == {
        RECIPE: {"unavailable": reason},
        "pytorch": {"unavailable": reason},
    }


def test_the_users_frames_are_timed(fuseg, rgbd, pair_of_files, peers):
    peers()
    report = timed(fuseg, rgbd.path, *pair_of_files)
    assert report["settings"]["frame_shapes"] == {"rgb": [6, 8, 3], "depth": [6, 8]}


def test_save_writes_what_json_prints(fuseg, sampled, peers, tmp_path):
    peers()
    path = tmp_path / "results" / "here.json"
    report = timed(fuseg, sampled(), "--save", path)
    assert json.loads(path.read_text()) == report


def test_without_frames_it_says_what_to_give(fuseg, rgbd, pair_of_files):
    done = fuseg("bench", rgbd.path)
    assert done.code == 2
    assert done.stderr.startswith("error: --input must be given: the bundle holds no")
    done = fuseg("bench", rgbd.path, *pair_of_files[:2])
    assert done.code == 2
    assert "error: --input must be given for depth" in done.stderr


def test_torch_and_checkpoint_belong_together(fuseg, sampled):
    for words in (["--torch", "rgbd"], ["--checkpoint", "w"]):
        done = fuseg("bench", sampled(), *words)
        assert done.code == 2
        assert "error: --torch and --checkpoint must be given together" in done.stderr


def test_frames_of_another_unit_order_and_plane_are_timed_without_peers(
    fuseg, rgbd, frames, saved, peers
):
    request = peers()
    arrays = frames()
    four = np.dstack([arrays["rgb"][..., ::-1], arrays["rgb"][..., 0]])
    words = [
        *("--input", f"rgb={saved('c.png', four)}", "--plane", "rgb=RGB"),
        *("--input", f"depth={saved('d.png', arrays['depth'])}"),
        *("--channels", "rgb=BGR", "--unit", "depth=0.1mm", "--threads", "1"),
    ]
    report = timed(fuseg, rgbd.path, *words)
    assert report["settings"]["frame_shapes"] == {"rgb": [6, 8, 3], "depth": [6, 8]}
    assert "without --unit, --channels" in report["peers"][RECIPE]["unavailable"]
    assert request == {}


def test_options_of_frames_need_frames(fuseg, sampled):
    for words in (["--unit", "depth=mm"], ["--plane", "rgb=RGB"], ["--match", "stamp"]):
        done = fuseg("bench", sampled(), *words)
        assert done.code == 2
        assert f"error: {words[0]} needs frames: --input" in done.stderr


def test_a_bad_frame_is_named(fuseg, rgbd, frames, saved):
    depth = saved("d.png", frames()["rgb"][..., 0])
    words = "--input", f"rgb={saved('c.png', frames()['rgb'])}"
    done = fuseg("bench", rgbd.path, *words, "--input", f"depth={depth}")
    assert done.code == 2
    assert done.stderr.startswith(f"error: {depth} must be uint16, got uint8.")


def test_a_program_s_graphs_are_timed_at_their_own_rates(
    fuseg, make_bundle, color_input, plane_input, tmp_path
):
    makers = make_bundle, color_input, plane_input
    path = write_program(*makers, tmp_path / "program.fuseg", SIBLING)
    rng = np.random.default_rng(0)
    files = []
    for name, shape, dtype in (
        ("rgb", (*SIZE, 3), np.uint8),
        ("depth", SIZE, np.uint16),
    ):
        write_png(tmp_path / f"{name}.png", rng.integers(1, 200, shape).astype(dtype))
        files += ["--input", f"{name}={tmp_path / name}.png"]
    made = timed(fuseg, path, *files, "--every", "depth=3")
    assert made["settings"]["every"] == {"depth": 3}
    program = made["program"]
    ran = {name: (row["ran"], row["of"]) for name, row in program["graphs"].items()}
    # Of a stand-in nothing is timed: it did not run.
    assert program["graphs"].pop("net-without-depth") == {"ran": 0, "of": 6}
    assert ran.pop("net-without-depth") == (0, 6)
    assert ran == {"depth-encoder": (2, 6), "net": (6, 6)}
    for row in program["graphs"].values():
        assert 0 < row["p50"] < made["total_ms"]["p99"]
    calls = {tuple(row["graphs"]): row["calls"] for row in program["calls"]}
    assert calls == {("depth-encoder", "net"): 2, ("net",): 4}
    assert "one graph without a state" in made["peers"][RECIPE]["unavailable"]
    shown = fuseg("bench", path, *files, "--every", "depth=3", "--rounds", "3")
    assert "calls by the graphs that ran" in shown.stdout


@pytest.mark.parametrize(
    ("every", "sentence"),
    [
        ("lidar=2", "must name inputs of the bundle (rgb, depth), got 'lidar'"),
        ("depth=1", "depth must be a whole number of at least 2, got '1'"),
        ("rgb=2", "inputs whose policy is hold, but that of rgb is refuse"),
    ],
)
def test_every_names_an_input_that_is_held(
    fuseg, make_bundle, color_input, plane_input, tmp_path, every, sentence
):
    makers = make_bundle, color_input, plane_input
    path = write_program(*makers, tmp_path / "program.fuseg", SIBLING)
    done = fuseg("bench", path, "--every", every)
    assert done.code == 2
    assert sentence in " ".join(done.stderr.split())


def test_every_needs_a_program(fuseg, sampled):
    done = fuseg("bench", sampled(), "--every", "depth=2")
    assert done.code == 2
