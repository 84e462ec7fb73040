"""The real bindings import without a GPU, and what cannot be had says why."""

from __future__ import annotations

import shutil
import sys

import pytest
from conformance import bindings, wheels


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty cache, and a registry that nobody runs."""
    monkeypatch.setattr(wheels, "CACHE", tmp_path)
    monkeypatch.setattr(wheels, "_registry_away", [])
    monkeypatch.setattr(bindings, "_load", bindings._load.__wrapped__)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def downloaded(real, tmp_path):
    """In that cache: 10.13.3, as another run left it."""
    found = real("10.13.3")
    for made in wheels.CACHE.glob("*10*"):
        shutil.copytree(made, tmp_path / made.name)
    return found


@pytest.mark.parametrize("version", bindings.WHEELS)
def test_a_version_has_what_its_release_notes_say(version, real):
    api = real(version)
    assert api.version.startswith(version.removeprefix("rtx-"))
    flags = api.classes["BuilderFlag"].enum
    strong = "STRONGLY_TYPED" in api.classes["NetworkDefinitionCreationFlag"].enum
    assert ("FP16" in flags, strong) == {
        "8.6.1": (True, False),
        "11.0.0": (False, True),
        "11.4.0": (False, True),
        "rtx-1.7.1": (False, True),
    }.get(version, (True, True))
    context = api.classes["IExecutionContext"].members
    (run,) = context["execute_async_v3"].calls
    assert run.takes(1, ())
    assert not run.takes(2, ())
    assert ("execute_async_v2" in context) == (version == "8.6.1")
    assert api.classes["IBuilderConfig"].members["builder_optimization_level"].settable
    assert not api.classes["ICudaEngine"].members["num_io_tensors"].settable
    assert api.classes["Logger"].members["INFO"].of == "ILogger.Severity"
    assert api.module["float32"].of == "DataType"


def test_a_python_without_bindings_is_named(elsewhere, monkeypatch):
    old = wheels.Wheels(("tensorrt_bindings==8.6.1",), (3, 9))
    monkeypatch.setitem(bindings.WHEELS, "8.6.1", old)
    here = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(wheels.Unavailable, match=rf"Python {here}, only up to 3\.9"):
        bindings.load("8.6.1")
    assert not list(elsewhere.iterdir())


def test_an_unreachable_registry_is_named_and_asked_once(elsewhere, monkeypatch):
    with pytest.raises(wheels.Unavailable, match="registry cannot be reached"):
        bindings.load("10.13.3")
    monkeypatch.setattr(wheels.subprocess, "run", None)
    with pytest.raises(wheels.Unavailable, match="registry cannot be reached"):
        bindings.load("11.4.0")
    assert not list(elsewhere.iterdir())


def test_what_was_downloaded_needs_no_registry(downloaded, elsewhere):
    assert elsewhere.is_dir()
    assert bindings.load("10.13.3") == downloaded


@pytest.mark.usefixtures("downloaded")
def test_a_missing_compiler_is_named(elsewhere, monkeypatch):
    shutil.rmtree(elsewhere / "empty-10")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(wheels.Unavailable, match="need a C compiler"):
        bindings.load("10.13.3")
