"""Engines of a bundle of several graphs: built, packed, checked, tuned, taken over."""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import sys
import time

import doubles
import doubles.tensorrt
import numpy as np
import pytest
from runtime.programs import (
    MS,
    SIBLING,
    Reference,
    frame,
    labels_of,
    with_samples,
    write_program,
)
from typer.testing import CliRunner

import fuseg
from fuseg.backends.tensorrt import cache
from fuseg.backends.tensorrt.libraries import RTX
from fuseg.bundle.container import MANIFEST, unpack
from fuseg.bundle.container import pack as container
from fuseg.cli import app

LONG = {"depth": {"policy": "hold", "max_age_ms": 3_600_000, "then": "sibling"}}
GRAPHS = ["depth-encoder", "net", "net-without-depth"]
PLAIN = {"dtype": "float32", "layout": "linear", "scale": None}


@pytest.fixture
def path(make_bundle, color_input, plane_input, tmp_path):
    makers = make_bundle, color_input, plane_input
    plain = write_program(*makers, tmp_path / "plain.fuseg", SIBLING)
    return with_samples(plain, tmp_path / "program.fuseg")


@pytest.fixture(params=["tensorrt", "tensorrt-rtx"])
def kind(request, path, monkeypatch, tmp_path):  # noqa: ARG001 - made without a GPU
    """A GPU for this library, which child processes build with, too."""
    rtx = request.param == "tensorrt-rtx"
    capability, version = ((8, 9), "rtx-1.7.1") if rtx else ((8, 7), "10.3.0")
    made = doubles.Machine(memory_bytes=1 << 30, capability=capability)
    doubles.install(monkeypatch, made)
    trt = doubles.tensorrt.make(made, version)
    module = RTX.module if rtx else "tensorrt"
    trt.__spec__ = importlib.machinery.ModuleSpec(module, None)
    monkeypatch.setitem(sys.modules, module, trt)
    doubles.in_children(monkeypatch, version, builds=tmp_path / "builds")
    return request.param


@pytest.fixture
def run(path):
    """``run("build", "--pack", ...)``: the command's JSON."""

    def call(command, *words):
        line = [str(w) for w in (command, path, *words, "--json")]
        found = CliRunner().invoke(app, line, catch_exceptions=False)
        assert found.exit_code == 0, found.stderr
        return json.loads(found.stdout)

    return call


def follow(segmenter):
    """Twelve frames, three of them without depth: the labels of the definition."""
    rng, reference = np.random.default_rng(9), Reference()
    equal = []
    for number in range(12):
        depth = number not in (5, 6, 7)
        given = frame(rng, 150 * number, depth=depth)
        wanted = reference.label(segmenter.preprocess(**given), depth=depth)
        found = segmenter(**given).labels
        equal.append(np.mean(found == labels_of(wanted)))
    return min(equal)


def test_each_graph_has_an_engine_and_one_pack_holds_them(
    kind, run, path, tmp_path, monkeypatch
):
    target = ["--target", "rtx"] if kind == "tensorrt-rtx" else []
    pack = tmp_path / "program.engines"
    made = run("build", *target, "--pack", pack)
    assert [engine["graph"] for engine in made["engines"]] == GRAPHS
    assert [e["variant"] for e in made["engines"]] == ["fp16", "fp16", "fp32"]
    assert len({engine["kept"] for engine in made["engines"]}) == 3
    encoder, net, stand_in = (engine["io_formats"] for engine in made["engines"])
    # What one graph alone reads is as that graph likes it.
    assert encoder["d"]["dtype"] == "float16"
    assert encoder["d0"] == net["d0"] == net["memory"] == net["memory.next"] == PLAIN
    assert net["rgb"] == stand_in["rgb"] == net["scores"] == PLAIN
    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    cache.clear()
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")  # nothing is built again
    taken = run("build", *target, "--from", pack, "--trust", digest)
    assert [engine["built"] for engine in taken["engines"]] == [False] * 3
    segmenter = fuseg.load(path, backend=kind)
    assert (segmenter.backend_name, segmenter.variant.name) == (kind, "fp16")
    assert follow(segmenter) > 0.95
    full = fuseg.load(path, backend="onnxruntime", variant="fp32")
    assert follow(full) == 1.0


@pytest.mark.parametrize("kind", ["tensorrt"], indirect=True)
def test_a_pack_is_refused_unless_each_engine_is_that_of_its_graph(
    kind, run, path, tmp_path, keys
):
    assert kind
    private, public = keys("ours")
    pack, alone = tmp_path / "program.engines", tmp_path / "alone.engine"
    run("build", "--pack", pack, "--sign-key", private)
    view = memoryview(pack.read_bytes())
    files = {name: bytes(view[place]) for name, place in unpack(view).items()}
    text = files.pop(MANIFEST)
    names = sorted(files)
    alone.write_bytes(files[names[0]])
    spoiled = files[names[2]].replace(b"ftrt", b"ftrT")
    assert not taken(path, alone, public)[0]
    for changed, sentence in (
        ({names[0]: files[names[1]], names[1]: files[names[0]]}, "onnx "),
        ({names[2]: spoiled}, "checksum is wrong"),
        ({"3.engine": files[names[2]]}, "it must hold the 3 engines of the bundle"),
    ):
        pack.write_bytes(container(text, {**files, **changed}))
        cache.clear()
        ok, said = taken(path, pack, public)
        assert not ok
        assert sentence in said
        assert not list(cache.folder().glob("*.engine"))
    pack.write_bytes(container(text, files))
    assert taken(path, pack, public)[0]
    others = keys("theirs")[1]
    assert "not by the key" in taken(path, pack, others)[1]


def taken(path, pack, trust):
    line = ["build", str(path), "--from", str(pack), "--trust", str(trust)]
    found = CliRunner().invoke(app, line)
    return found.exit_code == 0, found.stderr


@pytest.mark.parametrize("kind", ["tensorrt"], indirect=True)
def test_programs_are_tuned_and_verified_on_a_gpu_too(kind, run, path, monkeypatch):
    monkeypatch.setattr("fuseg.bench.frames.PAUSE_S", 0.0)
    report = run("tune", "--rounds", "2")
    rows = {(row["backend"], row["variant"]): row for row in report["rows"]}
    for variant in ("fp16", "fp32"):
        assert rows[kind, variant]["agreement"] > 0.99
        assert rows[kind, variant]["p50_ms"] > 0
    replayed = run("verify", "--backend", kind)
    assert {s["variant"] for s in replayed["samples"]} == {"fp16", "fp32"}
    (chosen,) = [row for row in report["rows"] if row["chosen"]]
    segmenter = fuseg.load(path)
    assert segmenter.backend_name == chosen["backend"]
    assert segmenter.variant.name == chosen["variant"]


@pytest.mark.parametrize("kind", ["tensorrt"], indirect=True)
def test_states_and_held_sensors_go_on_with_the_engines_that_were_built_meanwhile(
    kind, path, monkeypatch
):
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_SECONDS", "0.2")
    path = path.with_name("plain.fuseg")  # of fp32 alone
    segmenter = fuseg.load(path, backend=kind, serve_while_building=True, missing=LONG)
    other = fuseg.load(path, backend="onnxruntime", missing=LONG)
    rng, number, after = np.random.default_rng(4), 0, 0
    limit = time.monotonic() + 120
    while after < 12:
        assert time.monotonic() < limit, "no switch"
        given = frame(rng, 33 * number, depth=number == 0 or after > 6)
        found, wanted = (
            each(**given, stamp_ns=33 * number * MS) for each in (segmenter, other)
        )
        np.testing.assert_array_equal(found.labels, wanted.labels, str(number))
        assert found.sources == wanted.sources
        number += 1
        after += segmenter.backend_name == kind
        time.sleep(0.005)
    assert number > 12
