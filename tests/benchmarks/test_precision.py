"""The bench of precisions: labels first, then who is beside whom."""

from __future__ import annotations

import importlib
import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fuseg
from fuseg import bundle, manifest

if find_spec("openvino") is None:  # not imported here: it would report to its maker
    pytest.skip("OpenVINO is not installed", allow_module_level=True)
pytest.importorskip("cv2")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def bench(monkeypatch):
    """The modules by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(BENCHMARKS.parent / "tools" / "docs")
    names = (
        *("bench_precision", "precision_cases", "precision_peers"),
        *("precision_programs", "benchmark_tables"),
    )
    return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


@pytest.fixture
def both(make_bundle, color_input, plane_input, frames, tmp_path):
    """``both()``: a bundle of fp32, int8-cpu (the same graph) and a sample twice as
    large as the network, in height and width."""

    def make() -> Path:
        size = (24, 32)
        made = make_bundle(color_input(size=size), plane_input(size=size))
        opened = bundle.Bundle.open(made.path)
        arrays = {
            name: array.repeat(2, 0).repeat(2, 1)
            for name, array in frames(0, *size).items()
        }
        labels = fuseg.load(made.path)(**arrays).labels
        named = {name: f"samples/0_{name}.npy" for name in arrays}
        sample = manifest.Sample(named, {"labels": "samples/0_labels.npy"})
        members = {"fp32.onnx": opened.read("fp32.onnx")}
        members["int8-cpu.onnx"] = members["fp32.onnx"]
        members |= {named[name]: npy(array) for name, array in arrays.items()}
        members["samples/0_labels.npy"] = npy(labels)
        (full,) = opened.manifest.variants
        small = manifest.Variant(
            "int8-cpu",
            ("cpu",),
            {
                "kind": "int8",
                "activations": "uint8",
                "rest": "float32",
                "calibration": "minmax",
                "frames": "2",
                "float_nodes": "0",
            },
            (),
        )
        (graph,) = opened.manifest.graphs
        networks = dict(graph.networks)
        networks["int8-cpu"] = replace(networks["fp32"], file="int8-cpu.onnx")
        whole = replace(
            opened.manifest,
            graphs=(replace(graph, networks=networks),),
            variants=(full, small),
            samples=(sample,),
            files={},
        )
        path = tmp_path / "both.fuseg"
        bundle.write(path, whole, members)
        return path

    return make


@pytest.fixture
def network(bench, monkeypatch, tmp_path):
    """``network(**changes)``: a case whose bundle is the one of ``both``."""
    monkeypatch.setattr(bench.precision_cases, "FOLDER", tmp_path)

    def make(**changes):
        return bench.precision_cases.Network("both", "a case", "both", **changes)

    return make


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_peer_labels_as_fuseg_does_holes_and_all(bench, both, precision):
    opened = bundle.Bundle.open(both())
    frames, expected = next(iter(opened.samples()))
    assert (frames["depth"] == 0).any()
    (output,) = opened.manifest.outputs
    peer = bench.precision_peers.whole_pipeline(
        opened.read("fp32.onnx"),
        opened.manifest.inputs,
        output,
        dict(frames),
        direct=True,
        precision=precision,
    )
    labels = peer(dict(frames))
    assert labels.dtype == np.uint8
    assert len(np.unique(expected["labels"])) > 1
    assert (labels == expected["labels"]).mean() > 0.98


def test_labels_that_are_enlarged_are_those_of_the_network_s_size(bench, both):
    opened = bundle.Bundle.open(both())
    frames, _ = next(iter(opened.samples()))
    (output,) = opened.manifest.outputs
    labels = bench.precision_peers.whole_pipeline(
        opened.read("fp32.onnx"),
        opened.manifest.inputs,
        output,
        dict(frames),
        direct=False,
    )(dict(frames))
    assert labels.shape == (48, 64)
    small = labels[::2, ::2]
    np.testing.assert_array_equal(labels, small.repeat(2, 0).repeat(2, 1))


def test_every_program_is_timed_and_the_fastest_are_judged(bench, both, network):
    both()
    result = bench.bench_precision.measure(
        network(over_fp32=0.001, over_peer=1000.0), rounds=2
    )
    names = [row["name"] for row in result["programs"]]
    assert names[:4] == [
        "fuseg fp32, onnxruntime",
        "fuseg fp32, openvino",
        "fuseg int8-cpu, onnxruntime",
        "fuseg int8-cpu, openvino",
    ]
    assert sum(name.startswith("OpenVINO ") for name in names) == 8
    assert result["programs"][-1]["kind"] == "recipe"
    fp32, peer = result["bars"][:2]
    assert fp32["than"] == "fp32"
    assert fp32["theirs"] == names[0]
    assert fp32["met"] is True
    assert peer["than"] == "peer"
    assert peer["met"] is False
    json.dumps(result)


def test_trained_weights_with_wrong_labels_are_not_timed(
    bench, both, network, monkeypatch
):
    both()
    call = bench.precision_programs.fuseg_program

    def wrong(opened, variant, backend):
        program = call(opened, variant, backend)
        if (variant, backend) != ("int8-cpu", "openvino"):
            return program
        return replace(program, call=lambda given: 1 - program.call(given))

    monkeypatch.setattr(bench.precision_programs, "fuseg_program", wrong)
    with pytest.raises(SystemExit, match="fuseg int8-cpu, openvino gives"):
        bench.bench_precision.measure(network(checkpoint=Path("some")), rounds=1)


def test_labels_of_one_class_prove_nothing_and_are_not_timed(bench):
    programs = bench.precision_programs
    constant = programs.Program(
        "p", "fuseg", lambda _: np.full((9, 9), 3, np.uint8), ""
    )
    with pytest.raises(SystemExit, match=r"100.00% of all pixels are of one class"):
        bench.bench_precision.require_classes(constant, [{}])


def rows(**p50):
    """Programs "fuseg fp32, onnxruntime", ... with times; the last is a wrong peer."""
    names = {
        "base": ("fuseg fp32, onnxruntime", "fuseg", 1.0),
        "ours": ("fuseg int8-cpu, openvino", "fuseg", 1.0),
        "peer": ("OpenVINO int8-cpu, f32", "peer", 0.99),
        "wrong": ("OpenVINO int8-cpu, bf16", "peer", 0.5),
    }
    return [
        {
            "name": names[who][0],
            "kind": names[who][1],
            "label_agreement": names[who][2],
            "p50": ms,
            "p90": ms + 1,
        }
        for who, ms in p50.items()
    ]


def test_a_bar_is_set_against_the_fastest_peer_of_the_right_labels(bench, network):
    made = bench.bench_precision.bars(
        network(over_fp32=2.5, over_peer=1.2),
        rows(base=20.0, ours=10.0, peer=15.0, wrong=11.0),
    )
    assert [(b["than"], b["reached"], b["met"]) for b in made] == [
        ("fp32", 2.0, False),
        ("peer", 1.5, True),
        ("peer of other labels", 1.1, None),
    ]


def test_the_table_tells_what_was_missed_and_who_labels_otherwise(bench, network):
    found = rows(base=20.0, ours=10.0, peer=15.0, wrong=11.0)
    line = bench.benchmark_tables.precision_line(
        {
            "summary": "a case",
            "weights": "random",
            "programs": found,
            "bars": bench.bench_precision.bars(
                network(over_fp32=2.5, over_peer=1.2), found
            ),
        }
    )
    assert line == (
        "| a case; random weights | 20.0 / 21.0 | 10.0 / 11.0 (int8-cpu, openvino) | "
        "15.0 / 16.0 (int8-cpu, f32) | absent | 2.00 x fp32 (2.5, missed); 1.50 x "
        "OpenVINO's pipeline (1.2); 1.10 x OpenVINO int8-cpu, bf16, which gives 50% of "
        "the labels (no target) |"
    )


@pytest.mark.slow
def test_a_network_of_random_weights_becomes_a_bundle_with_several_labels(
    bench, monkeypatch, tmp_path
):
    bundles = importlib.import_module("precision_bundles")
    for module in (bench.precision_cases, bundles):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    (light,) = (n for n in bench.precision_cases.NETWORKS if n.name == "light")
    bundles.make(light)
    opened = bundle.Bundle.open(light.bundle)
    assert {"fp32", "int8-cpu"} <= {v.name for v in opened.manifest.variants}
    (output,) = opened.manifest.outputs
    assert opened.manifest.tensors[output.tensor].shape == (1, 19, 60, 80)
    for frames, expected in opened.samples():
        labels = expected["labels"]
        assert frames["rgb"].shape == (480, 640, 3)
        assert len(np.unique(labels)) > 2
