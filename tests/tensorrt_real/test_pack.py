"""Engine packs for RTX GPUs, built by NVIDIA's own builder on a machine without one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from backends.tensorrt.networks import network, write_bundle
from runtime.programs import SIBLING, with_samples, write_program
from typer.testing import CliRunner

from fuseg.backends import registry
from fuseg.backends.tensorrt import build_parent, cache
from fuseg.backends.tensorrt.build_parent import TensorRT
from fuseg.backends.tensorrt.libraries import RTX
from fuseg.backends.tensorrt.record import read_file
from fuseg.cli import app


@pytest.fixture
def build(rtx_site, monkeypatch):
    """``build(bundle, ...)``: `fuseg build --target rtx`: exit code, output, errors."""
    monkeypatch.setenv("PYTHONPATH", str(rtx_site))
    monkeypatch.setattr(
        build_parent, "_query_child", build_parent._query_child.__wrapped__
    )

    def run(bundle, *words):
        line = [str(w) for w in ("build", bundle, "--target", "rtx", *words)]
        result = CliRunner().invoke(app, line, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def tiny(tmp_path):
    networks = {name: network(name) for name in ("fp32", "fp16", "int8-trt")}
    return write_bundle(tmp_path / "tiny.fuseg", networks).path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_bundle_gives_the_same_pack(build, rgbd_bundle, tmp_path):
    packs = [tmp_path / name for name in ("first.engine", "second.engine")]
    for pack in packs:
        code, out, _ = build(rgbd_bundle, "--pack", pack, "--rebuild", "--json")
        assert code == 0
        engines = json.loads(out)["engines"]
        assert len(engines) == 3  # of both sensors, and of each alone
        for found in engines:
            assert found["built"] is True
            assert found["fingerprint"]["tensorrt"] == "rtx-1.7.1.116"
            assert {found["fingerprint"][k] for k in ("gpu", "driver")} == {"any"}
    assert sha256(packs[0]) == sha256(packs[1])


def test_half_precision_is_first_and_in_its_own_layouts(build, tiny):
    (found,) = json.loads(build(tiny, "--json")[1])["engines"]
    assert found["variant"] == "fp16"
    kinds = {n: (t["dtype"], t["layout"]) for n, t in found["io_formats"].items()}
    assert kinds["rgb"] == ("float16", "chw4")
    assert kinds["scores"][0] == "float16"
    assert found["fallback"] is None
    (int8,) = json.loads(build(tiny, "--variant", "int8-trt", "--json")[1])["engines"]
    assert int8["io_formats"]["rgb"]["dtype"] == "int8"


def test_what_crosses_between_graphs_is_float32_planes(
    build, make_bundle, color_input, plane_input, tmp_path
):
    makers = make_bundle, color_input, plane_input
    plain = write_program(*makers, tmp_path / "plain.fuseg", SIBLING)
    path = with_samples(plain, tmp_path / "program.fuseg")
    code, out, _ = build(path, "--json")
    assert code == 0
    encoder, net, stand_in = json.loads(out)["engines"]
    assert [e["variant"] for e in (encoder, net, stand_in)] == ["fp16", "fp16", "fp32"]
    assert encoder["io_formats"].pop("d")["dtype"] == "float16"
    for engine in (encoder, net, stand_in):
        assert engine["fallback"] is None
        for tensor in engine["io_formats"].values():
            assert (tensor["dtype"], tensor["layout"]) == ("float32", "linear")


def test_a_pack_is_refused_with_one_sentence(build, tiny, tmp_path, monkeypatch):
    pack = tmp_path / "x.engine"
    assert build(tiny, "--pack", pack)[0] == 0
    digest = sha256(pack)
    cache.clear()

    def refused(*words):
        code, out, err = build(tiny, "--from", pack, *words)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert not list(cache.folder().glob("*.engine"))
        return err

    assert "does not have the sha256 that is trusted" in refused("--trust", "0" * 64)
    assert "--from and --trust must be given together" in refused()
    other = TensorRT("1.6.1.120", True, RTX)
    with monkeypatch.context() as older:
        older.setattr(build_parent, "_query_child", lambda _: other)
        assert (
            "tensorrt 'rtx-1.6.1.120' here and 'rtx-1.7.1.116' in the pack"
        ) in refused("--trust", digest)
    assert build(tiny, "--from", pack, "--trust", digest)[0] == 0


@pytest.fixture
def opened(rtx_site):
    """``opened(plan)``: the last line of the real runtime's refusal to open it."""
    code = (
        "import sys\n"
        "from fuseg.backends.tensorrt.rtx import open_portable_engine\n"
        "open_portable_engine(memoryview(sys.stdin.buffer.read()))"
    )

    def refused(plan):
        child = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(rtx_site)},
            input=plan,
            capture_output=True,
            check=False,
        )
        last = child.stderr.decode().splitlines()[-1]
        _, said = last.split("TensorRT for RTX 1.7.1.116 cannot run this engine here: ")
        return said

    return refused


def test_the_real_runtime_says_that_a_plan_is_damaged(opened):
    said = "it is damaged: build it again, `fuseg build --target rtx --rebuild`."
    assert opened(b"no plan at all" * 100) == said


def test_the_real_runtime_without_a_gpu_says_that_it_has_no_driver(
    opened, build, tiny, tmp_path
):
    if registry.gpu_count():
        pytest.skip("there is a GPU here")
    pack = tmp_path / "x.engine"
    build(tiny, "--pack", pack)
    assert "CUDA driver version is insufficient" in opened(
        read_file(pack.read_bytes()).plan
    )
