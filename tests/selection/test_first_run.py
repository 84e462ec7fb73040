"""What never ran here is run once in a process of its own; then it is remembered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import fuseg
from fuseg import errors
from fuseg.bundle import Bundle, write
from fuseg.selection import first_run

pytestmark = pytest.mark.usefixtures("first_run_child")


@pytest.fixture
def started(monkeypatch):
    """The commands of the processes that first runs started, in order."""
    commands, real = [], subprocess.Popen

    class Popen(real):
        def __init__(self, command, **options):
            commands.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr("fuseg.selection.first_run.subprocess.Popen", Popen)
    return commands


def rewritten(path, made, **changes):
    """The bundle with another manifest, its digests made right."""
    opened = Bundle.open(path)
    members = {name: opened.read(name) for name in opened.manifest.files}
    write(made, replace(opened.manifest, files={}, **changes), members)
    return made


def test_the_first_load_alone_starts_a_process(sampled, started, frames):
    path = sampled()
    started.clear()
    wanted = fuseg.load(path)(**frames(3)).labels
    assert started == [[sys.executable, "-m", "fuseg.selection._first_run_child"]]
    assert (fuseg.load(path)(**frames(3)).labels == wanted).all()
    assert len(started) == 1
    fuseg.load(path, backend="openvino")
    assert len(started) == 2  # another backend, another first run
    fuseg.load(path, backend="openvino", threads=1)
    assert len(started) == 2


def test_a_file_of_the_same_contents_elsewhere_passed_already(
    sampled, started, tmp_path
):
    path = sampled()
    fuseg.load(path)
    started.clear()
    fuseg.load(path.rename(tmp_path / "moved.fuseg"))
    assert started == []


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_fp32_whose_numbers_were_changed_is_refused(sampled, tmp_path, backend):
    """The digests prove that nobody erred, not that nobody meddled."""
    opened = Bundle.open(sampled())
    rgb, depth = opened.manifest.inputs
    inputs = (replace(rgb, mean=(0.0, 0.0, 0.0)), depth)
    path = rewritten(opened.path, tmp_path / "changed.fuseg", inputs=inputs)
    for _ in range(2):  # what fails is not remembered
        with pytest.raises(errors.BackendError, match=r"sample agree, 0\.995 must"):
            fuseg.load(path, backend=backend)


def test_without_samples_it_runs_all_the_same(rgbd, started, frames):
    assert fuseg.load(rgbd.path)(**frames()).labels.shape == (6, 8)
    assert len(started) == 1


def test_a_backend_object_is_the_users_own_doing(rgbd, started):
    backend = fuseg.load(rgbd.path).backend.clone()
    started.clear()
    fuseg.load(rgbd.path, backend=backend)
    assert started == []


def test_where_nothing_can_be_kept_each_load_starts_one(rgbd, started, user_cache):
    user_cache.parent.write_bytes(b"")
    fuseg.load(rgbd.path)
    fuseg.load(rgbd.path)
    assert len(started) == 2


@pytest.mark.parametrize("executable", ["", None, "/opt/robot/bin/navigator"])
def test_without_an_interpreter_to_start_the_sentence_names_trust(
    rgbd, started, monkeypatch, executable
):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(
        errors.BackendError, match=r"sys.executable .* trust \(--trust\)"
    ):
        fuseg.load(rgbd.path)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(
        errors.BackendError, match="is not a Python that could be started"
    ):
        fuseg.load(rgbd.path)
    assert started == []


def test_a_process_that_cannot_be_started_is_a_sentence(rgbd, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(errors.BackendError, match=r"No such file .*--trust"):
        fuseg.load(rgbd.path)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import os; os.abort()", "crashed with SIGABRT"),
        ("import os; os.kill(os.getpid(), 11)", "crashed with SIGSEGV"),
        ("import sys; sys.exit('out of\\nluck')", r"ended with exit code 1 \(luck\)"),
        ("print('[1]')", "ended with exit code 0"),
        ("import time; time.sleep(60)", "takes more than 3 s of processor time"),
    ],
)
def test_however_the_process_ends_it_is_one_sentence(
    rgbd, monkeypatch, tmp_path, program, sentence
):
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\n{program}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    real = subprocess.Popen.communicate
    monkeypatch.setattr(
        "fuseg.selection.first_run.subprocess.Popen.communicate",
        lambda self, data, timeout: real(self, data, timeout=min(timeout, 3)),
    )
    limits = first_run.Limits(3, 1 << 29)
    monkeypatch.setattr(first_run, "limits_of", lambda *_: limits)
    with pytest.raises(errors.BackendError, match=sentence) as refused:
        fuseg.load(rgbd.path)
    assert "if the file is known to be good" in str(refused.value)
    assert str(refused.value).isprintable()


def test_the_child_gets_one_variant_and_one_sample(sampled, with_variants, tmp_path):
    opened = Bundle.open(with_variants(sampled(), {"int8-cpu": None, "fp32": None}))
    path = tmp_path / "part.fuseg"
    for variant in opened.manifest.variants:
        path.write_bytes(first_run._part_of(opened, variant))
        part = Bundle.open(path)
        assert part.manifest.variants == (variant,)
        file = f"{variant.name}.onnx"
        assert part.network(variant).file == file
        assert part.read(file) == opened.read(file)
        assert len(part.samples()) == 1
        sampled_labels, labels = (b.samples()[0][1]["labels"] for b in (part, opened))
        assert (sampled_labels == labels).all()


def test_a_file_changed_meanwhile_is_not_run(sampled, started, monkeypatch):
    path = sampled()
    opened = Bundle.open(path)
    path.write_bytes(bytes(path.stat().st_size))
    monkeypatch.setattr(Bundle, "open", lambda _: opened)
    started.clear()
    with pytest.raises(errors.BundleError, match="changed since the bundle was opened"):
        fuseg.load(path)
    assert started == []


def test_limits_grow_with_weights_and_pixels_to_half_of_the_memory(
    make_bundle, color_input, monkeypatch
):
    monkeypatch.setattr(first_run, "_free_memory", lambda: 64 << 30)
    bundle = Bundle.open(make_bundle(color_input(size=(1000, 1000))).path)
    (variant,) = bundle.manifest.variants
    limits = first_run.limits_of(bundle, variant)
    weights = bundle.manifest.files["fp32.onnx"].bytes
    assert limits.seconds == 2 + 20 + 1  # 20 s a megapixel; 1 s for what is begun
    ends = 4 * (3 + 4) * 10**6
    assert limits.bytes == (512 << 20) + 6 * weights + 8 * ends + 1024 * 10**6
    for free, most in ((1 << 30, 512 << 20), (100 << 20, 256 << 20)):
        monkeypatch.setattr(first_run, "_free_memory", lambda free=free: free)
        assert first_run.limits_of(bundle, variant).bytes == most


SLEEPER = """#!{python}
import pathlib, os, time
pathlib.Path({file!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
LOADER = """
import sys
import fuseg
sys.executable = sys.argv[2]
fuseg.load(sys.argv[1], backend="onnxruntime")
"""


@pytest.fixture
def waiting(rgbd, tmp_path):
    """A process that loads a bundle, and the number of its child, which sleeps."""
    pid, stand_in = tmp_path / "pid", tmp_path / "python"
    stand_in.write_text(SLEEPER.format(python=sys.executable, file=str(pid)))
    stand_in.chmod(0o755)
    command = [sys.executable, "-c", LOADER, str(rgbd.path), str(stand_in)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as loader:
        until(lambda: pid.exists() and pid.read_text())
        yield loader, int(pid.read_text())
        loader.kill()


def until(happened):
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_the_load_and_the_child(waiting):
    loader, child = waiting
    assert os.getpgid(child) != os.getpgid(loader.pid)  # the terminal's goes to one
    loader.send_signal(signal.SIGINT)
    _, said = loader.communicate(timeout=60)
    assert said.decode().strip().endswith("KeyboardInterrupt")
    assert not is_alive(child)


def test_the_end_of_the_loading_process_ends_the_child(rgbd, tmp_path, user_cache):
    """Also an end that it cannot see coming; the real child asks the system for it."""
    code = (
        "import os, sys, json, pathlib, time\n"
        "from fuseg.host.child_process import die_with_parent\n"
        "die_with_parent()\n"
        "pathlib.Path(os.environ['PID_FILE']).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    stand_in, pid = tmp_path / "python", tmp_path / "pid"
    stand_in.write_text(f"#!{sys.executable}\n{code}")
    stand_in.chmod(0o755)
    command = [sys.executable, "-c", LOADER, str(rgbd.path), str(stand_in)]
    with subprocess.Popen(command, env={**os.environ, "PID_FILE": str(pid)}) as loader:
        until(lambda: pid.exists() and pid.read_text())
        loader.kill()
    until(lambda: not is_alive(int(pid.read_text())))
    assert not user_cache.exists() or not list(user_cache.glob("passed-*"))


def test_the_child_is_bound_by_the_system_to_its_limits():
    code = (
        "import json, resource\n"
        "from fuseg.selection import _first_run_child\n"
        "_first_run_child._limit(7, 1 << 28)\n"
        "found = [resource.getrlimit(k) for k in (resource.RLIMIT_CPU,"
        " resource.RLIMIT_DATA, resource.RLIMIT_CORE)]\n"
        "try:\n    bytearray(1 << 29)\nexcept MemoryError:\n    found.append('full')\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    cpu, data, core, full = json.loads(done.stdout)
    assert 7 < cpu[0] < 20
    assert cpu[1] == cpu[0] + 1
    assert 1 << 28 < data[0] == data[1] < 1 << 31
    assert core == [0, 0]
    assert full == "full"


def test_a_user_who_is_bound_already_stays_bound():
    code = (
        "import json, resource\n"
        "from fuseg.selection import _first_run_child\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (50, 60))\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))\n"
        "_first_run_child._limit(70, 1 << 32)\n"
        "print(json.dumps([resource.getrlimit(k) for k in (resource.RLIMIT_CPU,"
        " resource.RLIMIT_DATA)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == [[60, 60], [1 << 30, 1 << 30]]


def test_the_child_finds_what_this_process_put_on_its_path(
    rgbd, started, monkeypatch, tmp_path
):
    """As in an archive of an application, where the interpreter alone has nothing."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), "", "relative"])
    seen = []
    monkeypatch.setattr(
        "fuseg.selection.first_run._run_child",
        lambda *_: (
            seen.append(first_run._python_path()) or (0, {"agreement": None}, "")
        ),
    )
    fuseg.load(rgbd.path)
    paths = seen[0].split(os.pathsep)
    assert str(tmp_path) in paths
    assert all(os.path.isabs(p) for p in paths)
    assert os.getcwd() not in paths
    assert started == []


def test_a_bundle_of_bytes_has_a_first_run_too(sampled, started, frames):
    data = sampled().read_bytes()
    started.clear()
    assert fuseg.load(data)(**frames()).labels.shape == (6, 8)
    assert len(started) == 1
    fuseg.load(data)
    assert len(started) == 1
