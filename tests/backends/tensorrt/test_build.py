"""The child that builds: what reaches TensorRT, what it reports, and how it may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from backends.tensorrt.networks import network
from doubles import tensorrt_plan as plans

from fuseg.backends.tensorrt import build_process, cache, engines
from fuseg.cuda import DeviceProperties
from fuseg.errors import BuildError
from fuseg.host import child_process


def header(made):
    return plans.unpack(bytes(made.plan))[0]


def files():
    return sorted(p.name for p in cache.folder().iterdir() if p.suffix != ".lock")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(fact, seconds=120):
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


def test_precision_is_in_the_types_or_in_flags(doubled, engine):
    old = doubled.version == "8.6.1"
    wanted = {"fp32": [], "fp16": ["FP16"]}
    if old:
        wanted["int8-trt8"] = ["FP16", "INT8"]
    else:
        wanted |= {"fp16": [], "int8-trt": []}
    for variant, flags in wanted.items():
        found = header(engine(variant))
        precision = [name for name in found["flags"] if name != "EDITABLE_TIMING_CACHE"]
        assert (found["typed"], precision) == (not old, flags)


def test_options_reach_tensorrt(doubled, engine):
    options = engines.Options(
        workspace_mb=96,
        optimization_level=1,
        version_compatible=True,
        hardware_compatible=True,
        aux_streams=2,
    )
    found = header(engine("fp32", options=options))
    assert found["pools"] == {"WORKSPACE": 96 << 20}
    assert found["level"] == 1
    assert found["aux_streams"] == 2
    assert "VERSION_COMPATIBLE" in found["flags"]
    assert found["hardware_compatibility"] == "AMPERE_PLUS"
    assert found["version"] == doubled.version


@pytest.mark.parametrize(
    ("version", "flags"), [("10.3.0", []), ("10.10.0", ["EDITABLE_TIMING_CACHE"])]
)
def test_tactics_are_recorded_where_tensorrt_can(with_tensorrt, engine, version, flags):
    with_tensorrt(version)
    assert header(engine("fp16"))["flags"] == flags


@pytest.mark.usefixtures("doubled")
def test_without_options_layers_run_one_after_another(engine):
    """Side by side the tensors of the shipped network need 3 to 6 times the memory."""
    assert header(engine("fp16"))["aux_streams"] == 0


@pytest.mark.parametrize(("gib", "workspace"), [(8, 1024), (2, 512)])
@pytest.mark.usefixtures("trt10")
def test_without_options_the_workspace_is_what_fits(engine, gib, workspace):
    facts = DeviceProperties("Pretend GPU", (8, 7), gib << 30, True, "12.6")
    found = header(engine("fp32", facts=facts))
    assert found["pools"] == {"WORKSPACE": workspace << 20}
    assert found["level"] == 3
    assert found["hardware_compatibility"] == "NONE"


def test_tensorrt_10_and_later_tell_how_far_they_are(with_tensorrt, engine):
    for version in ("10.3.0", "11.4.0"):
        with_tensorrt(version).set(seconds=1.6)
        reports = []
        engine("fp16", progress=reports.append)
        fractions = [p.fraction for p in reports if p.fraction is not None]
        assert fractions == sorted(fractions)
        assert len(set(fractions)) >= 4
        assert 0 <= fractions[0] < 0.3
        assert fractions[-1] == 1
        assert (
            {"Timing tactics"}
            <= {p.phase for p in reports}
            <= {"", "Timing tactics", "Building engine"}
        )


def test_before_10_only_the_time_is_told(with_tensorrt, engine):
    with_tensorrt("8.6.1").set(seconds=1.6)
    reports = []
    engine("fp16", progress=reports.append)
    assert {p.fraction for p in reports} == {None}
    assert len(reports) >= 3
    seconds = [p.seconds for p in reports]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 1


FAULTS = {
    "kill": r"was killed, as the system does when memory runs out.*--workspace 512",
    "crash": r"crashed with SIGSEGV; its last words: .*no tactics",
    "exit": r"ended with exit code 3",
    "refuse": r"could not be built: TensorRT cannot build the network: ",
    "no gpu": r"could not be built: TensorRT cannot use the GPU: .*error: 35",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_child_that_fails_is_one_sentence_and_the_next_start_recovers(
    trt10, engine, fault
):
    trt10.set(fault=fault)
    with pytest.raises(BuildError, match=FAULTS[fault]) as caught:
        engine("fp32")
    assert "Nothing else is lost by that." in str(caught.value)
    assert files() == []
    trt10.set(fault="")
    assert engine("fp32").built


@pytest.mark.parametrize(("given", "advised"), [(1, 64), (32, 64)])
def test_a_workspace_that_is_too_small_is_told_with_one_that_may_do(
    trt10, engine, given, advised
):
    trt10.set(fault="workspace")
    with pytest.raises(BuildError, match=f"needs more.* --workspace {advised}\\."):
        engine("fp32", options=engines.Options(workspace_mb=given))
    assert engine("fp32", options=engines.Options(workspace_mb=advised)).built


@pytest.mark.parametrize(
    ("fault", "call"),
    [("load", "deserializeCudaEngine"), ("no gpu", "createInferBuilder")],
)
def test_what_other_io_formats_cannot_change_is_not_tried_with_them(
    trt10, engine, caplog, fault, call
):
    trt10.set(fault=fault)
    caplog.set_level("DEBUG", logger="fuseg")
    with pytest.raises(BuildError, match=r"cannot (load the engine|use the GPU)"):
        engine("fp16")
    assert sum(call in r.getMessage() for r in caplog.records) == 1


def test_a_killed_build_is_not_advised_what_was_too_little(trt10, engine):
    trt10.set(fault="kill")
    with pytest.raises(BuildError, match=r"other programs, give it --workspace 64 "):
        engine("fp32", options=engines.Options(workspace_mb=100))
    with pytest.raises(BuildError, match="memory runs out") as caught:
        engine("fp32", options=engines.Options(workspace_mb=64))
    assert "--workspace" not in str(caught.value)


def test_a_network_that_tensorrt_cannot_read(doubled, make_bundle_of, facts):
    onnx = network("fp32").replace(b"Concat", b"Einsum")  # without its equation
    bundle = make_bundle_of(onnx=onnx)
    (variant,) = bundle.manifest.variants
    with pytest.raises(BuildError) as caught:
        engines.engine_for(bundle, bundle.manifest.graphs[0], variant, facts)
    node = "node 0" if doubled.version == "8.6.1" else "Einsum node join"
    told = f"cannot read the network: {node}: Unrecognized attribute"
    assert told in str(caught.value)
    assert "While parsing" not in str(caught.value)
    assert doubled.builds() == []


def test_what_the_callers_progress_raises_ends_the_child(trt10, engine):
    trt10.set(seconds=60)

    def stop(progress):
        if progress.seconds and trt10.builds():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine(progress=stop)
    pid = int(trt10.builds()[0].split()[0])
    assert not is_alive(pid)
    assert files() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_parent_and_the_next_start_recovers(
    trt10, engine, process, number
):
    trt10.set(seconds=600)  # too long for it to find a closed pipe by itself
    parent = process()
    wait_until(trt10.builds)
    pid = int(trt10.builds()[0].split()[0])
    assert is_alive(pid)
    parent.send_signal(number)
    parent.communicate(timeout=120)
    assert parent.returncode != 0
    wait_until(lambda: not is_alive(pid), seconds=15)
    assert files() == []
    trt10.set(seconds=0)
    assert engine().built
    assert len(trt10.builds()) == 2


def test_two_processes_that_want_the_same_engine_build_it_once(trt10, process):
    trt10.set(seconds=3)
    first, second = process(), process()
    outputs = [p.communicate(timeout=120) for p in (first, second)]
    results = [out.splitlines()[-1] for out, _ in outputs]
    assert sorted(r.split(",")[0] for r in results) == ["[false", "[true"]
    assert len({r.split(",")[1] for r in results}) == 1
    assert len(trt10.builds()) == 1
    assert sum("waiting for it" in err for _, err in outputs) == 1


def test_two_processes_that_want_different_engines_do_not_wait(trt10, process):
    """And the timings of both are kept, by whoever ends last."""
    trt10.set(seconds=3)
    children = [process("fp16")]
    trt10.set(seconds=7)
    children.append(process("fp32"))
    outputs = [child.communicate(timeout=120) for child in children]
    assert all(out.splitlines()[-1].startswith("[true") for out, _ in outputs)
    assert not any("waiting" in err for _, err in outputs)
    (timings,) = [name for name in files() if name.startswith("timing-")]
    assert "Cast" in (cache.folder() / timings).read_text()  # fp32 has none


def test_the_childs_gpu_is_the_one_that_was_asked_for(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "CUDA_VISIBLE_DEVICES" not in child_process.environment(0)
    assert child_process.environment(2)["CUDA_VISIBLE_DEVICES"] == "2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert child_process.environment(0)["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert child_process.environment(1)["CUDA_VISIBLE_DEVICES"] == "5"


def test_a_child_without_its_parent_ends_at_once():
    done = subprocess.run(
        build_process.COMMAND,
        env={**os.environ, "FUSEG_PARENT": "1"},
        input=b"{}\n",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_plan_that_is_cut_off_is_not_an_engine(monkeypatch):
    script = """print('{"event": "engine", "bytes": 100}'); print("too short")"""
    command = [sys.executable, "-c", script]
    monkeypatch.setattr(build_process, "COMMAND", command)
    child = build_process.Child({}, b"", device=0)
    try:
        assert [e for e in child.events() if e["event"] != "tick"] == []
    finally:
        child.end()


def test_a_child_that_cannot_be_started(trt10, engine, monkeypatch):
    monkeypatch.setattr(build_process, "COMMAND", ["/no/such/python"])
    with pytest.raises(BuildError, match="cannot be started: No such file"):
        engine()
    assert trt10.builds() == []


def test_a_tensorrt_that_changes_in_between_is_refused(with_tensorrt, engine):
    doubled = with_tensorrt("10.3.0")
    doubled.patch.setenv("FUSEG_TENSORRT_DOUBLE", "10.13.3")
    with pytest.raises(BuildError, match=r"must be 10\.3\.0.*got 10\.13\.3"):
        engine()
    assert doubled.builds() == []
