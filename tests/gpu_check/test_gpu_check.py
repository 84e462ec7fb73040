"""gpu_check.py without a GPU: it says what it would run, and refuses to run it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import commands
import gpu_check
import pytest

NAMES = (
    *("machine", "build", "smoke", "memcheck", "synccheck", "initcheck", "racecheck"),
    *("tests", "bindings", "programs", "times", "counters"),
    *("bundle", "onnxruntime", "tensorrt", "tensorrt_rtx"),
)

SCRIPTS = ("kernel_smoke", "kernel_times", "copy_network", "programs", "frame_times")


def check(*words):
    command = [sys.executable, gpu_check.__file__, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_dry_run_names_every_stage_and_its_commands():
    done = check("--dry-run")
    assert done.returncode == 0
    stages = re.findall(r"^(\w+): .*\.\n((?:    .*\n)+)", done.stdout, re.MULTILINE)
    assert [name for name, _ in stages] == list(NAMES)
    commands = dict(stages)
    for tool in ("memcheck", "synccheck", "racecheck"):
        assert f"compute-sanitizer --tool {tool} " in commands[tool]
        assert "--kernel-name kns=fuseg " in commands[tool]
        assert commands[tool].rstrip().endswith("kernel_times.py --small")
    # What an unwatched kernel wrote would be told as written by nobody.
    assert "kns=" not in commands["initcheck"]
    assert commands["initcheck"].rstrip().endswith("kernel_smoke.py")
    scripts = set(re.findall(r"tools/gpu_check/\w+\.py", done.stdout))
    assert scripts == {f"tools/gpu_check/{name}.py" for name in SCRIPTS}
    assert all((gpu_check.ROOT / script).exists() for script in scripts)
    assert all((gpu_check.ROOT / suite).is_dir() for suite in gpu_check.TESTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_know_their_options(script):
    command = [sys.executable, gpu_check.HERE / f"{script}.py", "--help"]
    usage = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--save FILE" in usage or "--save SAVE" in usage


def test_only_the_stages_that_were_asked_for_are_named():
    done = check("--dry-run", "--only", "tensorrt", "--only", "bindings")
    assert re.findall(r"^(\w+):", done.stdout, re.MULTILINE) == ["bindings", "tensorrt"]
    done = check("--dry-run", "--only", "speed")
    assert done.returncode == 2
    assert "invalid choice: 'speed'" in done.stderr


@pytest.mark.skipif(gpu_check.gpus() > 0, reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_sentence(tmp_path):
    done = check("--results", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("gpu-check needs an NVIDIA GPU and CUDA shows none")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def main(monkeypatch, tmp_path):
    """``main(*stages)``: those instead of the real ones, on a machine with a GPU."""

    def machine(_run, record):
        record["gpu"] = "A GPU 9000"

    def run(*stages, only=()):
        monkeypatch.setattr(gpu_check, "WORK", tmp_path / "work")
        monkeypatch.setattr(gpu_check, "gpus", lambda: 1)
        monkeypatch.setattr(gpu_check, "machine", machine)
        monkeypatch.setattr(gpu_check, "STAGES", (machine, *stages))
        chosen = [word for name in only for word in ("--only", name)]
        words = ["gpu_check.py", "--results", str(tmp_path), *chosen]
        monkeypatch.setattr(sys, "argv", words)
        status = gpu_check.main()
        path = tmp_path / "gpu-check--a-gpu-9000.json"
        return status, json.loads(path.read_text())

    return run


def test_a_stage_that_fails_loses_no_other_and_calls_add_up(main, capsys):
    def broken(_run, record):
        record["so far"] = 3
        raise RuntimeError("out of paper")

    def fine(_run, record):
        record["rows"] = [1]

    status, record = main(broken, fine)
    assert status == 1
    assert record["broken"]["error"] == "RuntimeError: out of paper"
    assert record["broken"]["so far"] == 3
    assert record["fine"]["rows"] == [1]
    assert "broken       FAILED: RuntimeError: out of paper" in capsys.readouterr().out
    status, record = main(broken, fine, only=["fine"])
    assert status == 0
    assert set(record) == {"title", "machine", "broken", "fine"}


def test_a_command_that_fails_is_told_with_its_last_words():
    run = gpu_check.Commands(dry=False)
    with pytest.raises(RuntimeError, match=r"ended with 1\nout of paper"):
        run.python("-c", "raise SystemExit('out of paper')", seconds=60)
    with pytest.raises(subprocess.TimeoutExpired):
        run.python("-c", "import time; time.sleep(600)", seconds=0.5)


def test_what_a_script_saved_before_it_failed_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "WORK", tmp_path)
    monkeypatch.setattr(commands, "HERE", tmp_path)
    code = "import sys; open(sys.argv[2], 'w').write('{\"rows\": 1}'); sys.exit(3)"
    Path(tmp_path / "fails.py").write_text(code)
    record = {}
    with pytest.raises(RuntimeError, match="ended with 3"):
        gpu_check.Commands(dry=False).measure(record, "fails.py", seconds=60)
    assert record == {"rows": 1}


def test_tests_that_were_skipped_for_want_of_a_gpu_fail_their_stage():
    class Skips:
        def python(self, *_words, seconds):
            assert seconds
            return "SKIPPED [1] conftest.py:9: PyTorch finds no CUDA device here\n"

    with pytest.raises(RuntimeError, match=r"^tests found no CUDA device"):
        gpu_check.tests(Skips(), {})


def test_bindings_with_different_labels_fail_their_stage(monkeypatch):
    labels = iter("ab")

    class Copies:
        dry = False

        def measure(self, record, *_words, seconds):
            assert seconds
            record["labels"] = next(labels)

    monkeypatch.setattr(gpu_check, "installed", lambda _: "1.0")
    with pytest.raises(RuntimeError, match=r"^the two bindings give different labels$"):
        gpu_check.bindings(Copies(), {})
