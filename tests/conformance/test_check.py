"""The checker itself, on a sample that the doubles run: it finds what is wrong, and
nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest
from conformance import bindings, check, mutate, uses
from conformance.uses import Use
from doubles import Machine
from doubles.tensorrt import make

SAMPLE = Path(__file__).parent / "sample.py"


@pytest.fixture(scope="module")
def apis(real):
    return [real(version) for version in bindings.WHEELS]


@pytest.fixture
def run_sample(monkeypatch, rgbd, onnx_of):
    """``run_sample(version) -> uses``: build a network, run it on a pretend GPU."""

    def run(version: str) -> set[Use]:
        machine = Machine()
        double = make(machine, version)
        monkeypatch.setitem(sys.modules, "tensorrt", double)
        spec = importlib.util.spec_from_file_location("sample", SAMPLE)
        sample = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sample)
        runner = sample.Run(sample.build(onnx_of(rgbd)))
        with pytest.raises(ValueError, match="parse"):
            sample.build(b"no network")
        addresses = {name: machine.allocate(1 << 12) for name in runner.tensors()}
        stream = machine.create_stream()
        runner.start(addresses, stream)
        machine.synchronize(stream)
        return {Use(*use) for use in double.uses}

    return run


@pytest.fixture
def runs(run_sample):
    return {version: run_sample(version) for version in bindings.WHEELS}


def sources(old: str = "", new: str = "") -> list[uses.Source]:
    text = SAMPLE.read_text()
    assert old in text
    return [uses.read("sample.py", text.replace(old, new) if old else text)]


def place(words: str) -> str:
    (line,) = (n for n, s in enumerate(SAMPLE.read_text().split("\n"), 1) if words in s)
    return f"sample.py:{line}"


@pytest.mark.parametrize("version", bindings.WHEELS)
def test_what_the_sample_did_is_in_the_real_bindings(version, real, run_sample):
    found = run_sample(version)
    assert ("IExecutionContext", "execute_async_v3", 0, ("stream_handle",)) in found
    assert check.recorded(real(version), found) == []


@pytest.mark.parametrize(
    ("version", "use", "sentence"),
    [
        ("11.4.0", Use("trt", "IInt8Calibrator", "get"), "trt has no IInt8Calibrator"),
        ("11.4.0", Use("BuilderFlag", "FP16", "get"), "BuilderFlag has no FP16"),
        ("8.6.1", Use("Nothing", "run", 0), "no class Nothing, used for its run"),
        (
            "10.3.0",
            Use("ICudaEngine", "get_tensor_name", 2),
            "ICudaEngine.get_tensor_name does not take (_, _)",
        ),
        (
            "8.6.1",
            Use("ICudaEngine", "create_execution_context", 0, ("strategy",)),
            "ICudaEngine.create_execution_context does not take (strategy=)",
        ),
        (
            "10.3.0",
            Use("ICudaEngine", "num_io_tensors", "set"),
            "ICudaEngine.num_io_tensors cannot be set",
        ),
        (
            "10.3.0",
            Use("ICudaEngine", "num_io_tensors", 0),
            "ICudaEngine.num_io_tensors does not take ()",
        ),
        ("8.6.1", Use("Builder", "__init__", 0), "Builder.__init__ does not take ()"),
        ("8.6.1", Use("Severity", "FATAL", "get"), "Severity has no FATAL"),
    ],
)
def test_a_recorded_use_that_a_version_refuses_is_named(version, use, sentence, real):
    api = real(version)
    assert check.recorded(api, [use]) == [f"TensorRT {api.version}: {sentence}."]


def test_nothing_is_wrong_with_the_sample(apis, runs):
    assert check.written(sources(), apis, runs) == []


def test_a_name_that_some_version_lacks_must_be_asked_for_or_recorded(apis, runs):
    changed = sources("trt.MemoryPoolType.WORKSPACE", "trt.BuilderFlag.INT8")
    (wrong,) = check.written(changed, apis, runs)
    assert wrong.startswith(
        f"{place('WORKSPACE')}: trt.BuilderFlag.INT8 is not in 11.4.0"
    )
    asked = sources(
        "trt.MemoryPoolType.WORKSPACE",
        'trt.BuilderFlag.INT8 if hasattr(trt.BuilderFlag, "INT8") else 0',
    )
    assert check.written(asked, apis, runs) == []
    used = {**runs, "8.6.1": runs["8.6.1"] | {Use("BuilderFlag", "INT8", "get")}}
    assert check.written(changed, apis, used) == []


def test_a_member_that_no_run_used_is_named(apis, runs):
    changed = sources("plan is None", "plan is None or builder.max_threads")
    assert check.written(changed, apis, runs) == [
        f"{place('if plan is None')}: no run of the doubles has max_threads."
    ]


def test_arguments_that_no_run_gave_are_named(apis, runs):
    changed = sources("stream_handle=stream", "stream")
    assert check.written(changed, apis, runs) == [
        f"{place('execute_async_v3')}: no run of the doubles has execute_async_v3(_)."
    ]


def test_every_misspelling_is_found_and_nothing_else(apis, runs):
    found: Counter[str] = Counter()
    for mutant in mutate.mutants("sample.py", SAMPLE.read_text(), apis):
        changed = [uses.read("sample.py", mutant.text)]
        wrong = check.written(changed, apis, runs)
        assert [w for w in wrong if w.startswith(f"{mutant.place}: ")] == wrong
        assert [mutant.name in w for w in wrong] == [True], mutant
        found[mutant.kind] += 1
    assert found == {
        "module": 14,
        "enum": 8,
        "method": 13,
        "property": 6,
        "keyword": 3,
        "added keyword": 19,
    }


def test_a_name_taken_out_of_the_module_is_refused():
    with pytest.raises(ValueError, match="line 1: import tensorrt as a whole"):
        uses.read("some.py", "from tensorrt import Logger")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def f():\n    import tensorrt as t\n    t.Logger()\n", "Logger"),
        ("t = importlib.import_module('tensorrt')\nt.Logger()", "Logger"),
        ("t = sys.modules.get('tensorrt')\nt.Logger()", "Logger"),
        ("importlib.import_module('tensorrt').Logger", "Logger"),
        ("t = sys.modules['tensorrt']\nt.Logger.Severity", "Logger.Severity"),
        ("import tensorrt\ndef f(trt):\n    k = trt.Flag\n    k.A", "Flag.A"),
        ("if t := sys.modules.get('tensorrt'):\n    t.Logger()", "Logger"),
        ("from .tensorrt import t\nt.Logger()", None),
        ("t = metadata.version('tensorrt')\nt.Logger()", None),
    ],
)
def test_a_module_is_found_by_how_it_gets_tensorrt(text, name, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.py").write_text(text)
    found = uses.sources(tmp_path)
    assert found == ({"deep/a.py": text} if name else {})
    named = [spot.name for spot in uses.read("deep/a.py", text).named]
    assert named[-1:] == ([name] if name else [])
