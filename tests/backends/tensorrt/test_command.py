"""``fuseg build``: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import json

import doubles
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from typer.testing import CliRunner

from fuseg.backends.tensorrt import cache
from fuseg.cli import app

KEYS = ["bundle", "variant", "from", "pack", "engines"]
ENGINE_KEYS = [
    *("graph", "variant", "fingerprint", "built", "seconds", "plan", "io_formats"),
    *("fallback", "reformats", "warnings", "kept"),
]


@pytest.fixture
def run(monkeypatch, bundle, trt10):
    """``run("--json", ...)``: the command for ``bundle``, as (exit code, out, err)."""
    doubles.install(monkeypatch, doubles.Machine())
    assert trt10.builds() == []

    def call(*words, whole=False):
        line = ["build", *([] if whole else [bundle.path]), *words]
        result = CliRunner().invoke(app, [str(w) for w in line], catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return call


def test_it_builds_keeps_and_tells(run, trt10):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "engine of int8-trt: built in" in out
    assert "for Pretend GPU, TensorRT 10.3.0, driver 12.6" in out
    assert "  rgb: int8 chw4" in out
    assert f"cached as {cache.folder()}" in out
    assert "engine of int8-trt: cached, " in run()[1]
    assert "built in" in run("--rebuild")[1]
    assert len(trt10.builds()) == 2


def test_json_has_stable_keys_and_nothing_else_is_on_stdout(run):
    code, out, _ = run("--variant", "fp16", "--json")
    assert code == 0
    report = json.loads(out)
    assert list(report) == KEYS
    assert report["variant"] == "fp16"
    (engine,) = report["engines"]
    assert list(engine) == ENGINE_KEYS
    assert (engine["graph"], engine["variant"]) == ("net", "fp16")
    assert engine["built"] is True
    assert engine["io_formats"]["scores"] == {
        "dtype": "float16",
        "layout": "hwc8",
        "scale": None,
    }
    assert list(engine["fingerprint"])[:4] == ["bundle", "variant", "onnx", "tensorrt"]
    report = json.loads(run("--variant", "fp16", "--json")[1])
    assert report["engines"][0]["built"] is False


def test_options_are_passed_on(run):
    words = ["--workspace", 3, "--optimization-level", 0, "--io-formats", "float32"]
    words += ["--version-compatible", "--hardware-compatible", "--variant", "fp32"]
    words += ["--aux-streams", 1]
    report = json.loads(run(*words, "--json")[1])
    found = report["engines"][0]["fingerprint"]
    assert (found["workspace_mb"], found["optimization_level"]) == (3, 0)
    assert (found["io_formats"], found["aux_streams"]) == ("float32", 1)
    assert found["version_compatible"] is True
    assert found["hardware_compatible"] is True
    assert report["variant"] == "fp32"


def test_a_build_that_fails_is_one_sentence(run, trt10):
    trt10.set(fault="kill")
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("error: the process that builds the engine of variant int8")
    assert len(err.splitlines()) == 1
    code, out, _ = run("--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "BuildError"


def test_it_does_not_build_what_it_cannot_keep(run, trt10, user_cache):
    user_cache.parent.mkdir(parents=True)
    user_cache.write_text("a file")
    code, _, err = run()
    assert code == 2
    assert "cannot be made: File exists" in err
    assert trt10.builds() == []


def test_pack_and_from(run, tmp_path, trt10):
    path = tmp_path / "it.pack"
    code, out, _ = run("--pack", path)
    digest = out.rsplit("sha256 ", 1)[1].strip()
    assert code == 0
    run("--clear", whole=True)
    code, out, _ = run("--from", path, "--trust", digest)
    assert code == 0
    assert f"taken from {path}" in out
    assert json.loads(run("--json")[1])["engines"][0]["built"] is False
    assert len(trt10.builds()) == 1
    code, _, err = run("--from", path, "--trust", "f" * 64)
    assert code == 2
    assert f"error: engine pack {path}: it does not have the sha256" in err
    code, _, err = run("--from", path, "--trust", digest, "--variant", "fp16")
    assert code == 2
    assert "variant 'fp16' here and 'int8-trt' in the pack" in err


def test_signed_pack(run, tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "key", tmp_path / "pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    path = tmp_path / "it.pack"
    report = json.loads(run("--pack", path, "--sign-key", private, "--json")[1])
    assert report["pack"]["path"] == str(path)
    run("--clear", whole=True)
    report = json.loads(run("--from", path, "--trust", public, "--json")[1])
    assert (report["engines"][0]["built"], report["from"]) == (False, str(path))


def test_clear(run):
    run("--variant", "fp32")
    run("--variant", "fp16")
    report = json.loads(run("--clear", "--keep-newest", 1, "--json", whole=True)[1])
    assert len(report["deleted"]) == 1
    code, out, _ = run("--clear", whole=True)
    assert (code, out.split(",")[0]) == (0, "2 files deleted")  # and the timings
    assert json.loads(run("--clear", "--json", whole=True)[1]) == {
        "deleted": [],
        "bytes": 0,
    }


@pytest.mark.parametrize(
    ("words", "whole", "sentence"),
    [
        ([], True, "BUNDLE must be given, or --clear without one"),
        (["--clear"], False, "BUNDLE must be given, or --clear without one"),
        (["--from", "x"], False, "--from and --trust must be given together"),
        (["--trust", "x"], False, "--from and --trust must be given together"),
        (["--sign-key", "x"], False, "--sign-key must be given with --pack"),
        (
            ["--from", "x", "--trust", "y", "--rebuild"],
            False,
            "--from must be given without --pack and --rebuild",
        ),
        (["--io-formats", "int8"], False, "io_formats must be 'auto' or 'float32'"),
        (["--variant", "int8-trt8"], False, "got 'int8-trt8'"),
        (["--workspace", "0"], False, "--workspace"),
        (["--device", "3"], False, "3"),
    ],
)
def test_usage(run, trt10, words, whole, sentence):
    code, out, err = run(*words, whole=whole)
    assert (code, out) == (2, "")
    assert sentence in err
    assert trt10.builds() == []


def test_help_says_that_there_is_no_dla(run):
    code, out, _ = run("--help", whole=True)
    assert code == 0
    words = " ".join(out.replace("│", " ").split())
    assert "DLA is not supported: it only accepts implicit quantization" in words
