"""What the commands print fits a terminal of 80 columns, and any or no stream."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from fuseg.bench import noise
from fuseg.cli import bench_report, doctor
from fuseg.cli.findings import Finding

COMMANDS = (
    *("run", "inspect", "verify", "bench", "tune", "build", "doctor"),
    *("export", "models"),
)
FUSEG = f"{shlex.quote(sys.executable)} -m fuseg"


def words(text):
    """Without the lines of tables."""
    return sorted(re.sub(r"[\u2500-\u257f]", " ", text).split())


@pytest.fixture
def both(fuseg, monkeypatch):
    """The output of a command at 80 and at 400 columns, stdout and stderr."""

    def call(*arguments):
        texts = []
        for columns in ("80", "400"):
            monkeypatch.setenv("COLUMNS", columns)
            done = fuseg(*arguments)
            texts.append(done.stdout + done.stderr)
        return texts

    return call


def check(narrow, wide):
    assert max(map(len, narrow.splitlines())) <= 80
    assert words(narrow) == words(wide)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_whole_at_80_columns_and_flags_take_no_value(both, command):
    narrow, wide = both(*command.split(), "--help")
    assert max(map(len, narrow.splitlines())) <= 80
    assert not re.search(r"\w\.\.\.", narrow)  # a sentence that was cut
    assert "<bool>" not in wide


def test_a_bundle_is_described_in_80_columns(both, sampled):
    check(*both("inspect", sampled()))


def test_samples_are_replayed_in_80_columns(both, sampled):
    check(*both("verify", sampled()))


def test_the_machine_is_described_in_80_columns(both):
    check(*both("doctor"))


def test_an_error_is_wrapped_at_words(both):
    narrow, wide = both("inspect", "a/path/of/fifty/letters/that/names/no/bundle.fuseg")
    assert "error: " in narrow
    assert words(narrow) == words(wide)


def test_times_and_long_names_of_peers_fit_80_columns(monkeypatch, capsys):
    row = {"p50": 1234.567, "p90": 1234.567, "p99": 1234.567}
    peer = {**row, "ratio": 12.34, "label_agreement": 0.9947}
    name = "opencv+numpy+onnxruntime"
    result = {
        "total_ms": row,
        "peers": {name: peer},
        "noise": {"spread": {"fuseg": 0.123, name: 0.123}},
    }
    monkeypatch.setenv("COLUMNS", "80")
    bench_report._print_peers(result)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert f"{name}  1234.567  1234.567  1234.567" in printed
    assert "99.47%" in printed


# Streams


def shell(line):
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_a_reader_that_has_gone_ends_the_command_with_141(command, sampled):
    # `true` reads nothing; the command finds the pipe broken whenever it flushes.
    done = shell(f"{FUSEG} {command} {sampled()} | (exec <&-; sleep 2)")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_command_needs_no_standard_streams(closed, sampled):
    done = shell(f"{FUSEG} inspect {sampled()} {closed}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_an_error_without_stderr_does_not_reach_stdout(tmp_path):
    done = shell(f"{FUSEG} inspect {tmp_path}/none.fuseg 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_file_is_not_written_into_by_who_thinks_it_is_stdout(sampled, tmp_path):
    # With descriptor 1 closed the next file that is opened would get that number.
    out = tmp_path / "out.json"
    done = shell(f"{FUSEG} bench {sampled()} --rounds 2 --save {out} >&-")
    assert done.returncode == 0
    assert out.read_text().startswith("{")
    assert out.read_text().endswith("}\n")


# Benchmarks


def test_quiet_and_steady_times_get_no_warning():
    noise_report = noise.describe_noise({"fuseg": [1.0, 1.01, 0.99, 1.0]}, 0.02)
    assert noise_report["warnings"] == []
    assert noise_report["spread"]["fuseg"] == pytest.approx(0.005)


def test_a_busy_machine_is_named():
    noise_report = noise.describe_noise({"fuseg": [1.0, 1.0]}, 1.3)
    assert len(noise_report["warnings"]) == 1
    assert "other programs kept 1.3 of" in noise_report["warnings"][0]


def test_times_that_spread_are_named_with_their_program():
    noise_report = noise.describe_noise(
        {"fuseg": [1.0] * 4, "peer": [1.0, 2.0, 3.0, 4.0]}, None
    )
    assert len(noise_report["warnings"]) == 1
    assert "(peer 60%;" in noise_report["warnings"][0]


def test_the_time_of_other_programs_is_what_is_busy_without_our_own(
    tmp_path, monkeypatch
):
    stat, clock, own = tmp_path / "stat", [100.0], [7.0]
    monkeypatch.setattr(noise, "_STAT", stat)
    monkeypatch.setattr(noise.os, "sysconf", lambda _: 100)
    monkeypatch.setattr(noise.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(noise, "_own_s", lambda: own[0])
    # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu 1000 0 200 9000 50 0 0 0 400 0\ncpu0 1 2 3\n")
    others = noise.OtherPrograms()
    stat.write_text("cpu 1900 10 270 9500 90 10 5 5 800 0\ncpu0 1 2 3\n")
    clock[0], own[0] = 110.0, 12.0
    # 10 s of busy cores, 5 of them ours, in 10 s.
    assert others.cores() == pytest.approx(0.5)


# doctor's last line


def found(**states):
    names = ("kernels", "onnxruntime", "gpu driver", "tensorrt", "onnxruntime cuda")
    rows = []
    for name in dict.fromkeys((*names, "cuda kernels", *states)):
        state, fix = states.get(name, ("missing", None))
        if name in ("kernels", "onnxruntime") and name not in states:
            state = "ok"
        required = name in ("kernels", "onnxruntime")
        rows.append(Finding(name, state, "", required, "x", fix))
    return rows


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ({}, "CPU: ready. GPU: none from NVIDIA."),
        (
            {"onnxruntime": ("missing", "pip")},
            "CPU: not ready (onnxruntime). GPU: none from NVIDIA.",
        ),
        (
            {"gpu driver": ("ok", None), "gpu": ("ok", None), "tensorrt": ("ok", None)}
            | {"cuda kernels": ("ok", None)},
            "CPU: ready. GPU: ready (tensorrt).",
        ),
        (
            {"gpu driver": ("ok", None), "gpu": ("ok", None)}
            | {"cuda kernels": ("ok", None)},
            "CPU: ready. GPU: not ready (no backend).",
        ),
        (
            {"gpu driver": ("missing", "install it"), "tensorrt": ("ok", None)},
            "CPU: ready. GPU: not ready (gpu driver, cuda kernels).",
        ),
    ],
)
def test_the_last_line_of_doctor_says_what_is_ready(states, line):
    assert doctor._summary(found(**states)) == line


def test_parts_for_hardware_that_is_not_here_are_not_called_missing(fuseg, monkeypatch):
    rows = found()
    monkeypatch.setattr(doctor, "_optional", list)
    monkeypatch.setattr(doctor, "_required", list)
    monkeypatch.setattr(doctor, "_onnxruntime", lambda: rows[1])
    monkeypatch.setattr(doctor.doctor_gpu, "findings", lambda _: rows[2:])
    done = fuseg("doctor")
    assert "missing" not in done.stdout
    assert done.stdout.splitlines()[-1] == "CPU: ready. GPU: none from NVIDIA."
