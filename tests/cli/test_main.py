from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import fuseg as library
from fuseg.cli import training_half

DEVICE_COMMANDS = ["run", "inspect", "verify", "bench", "tune", "doctor"]
COMMANDS = [*DEVICE_COMMANDS, "export", "demo", "models"]

HALF = """
import typer
from typing import Annotated
from fuseg.errors import CheckpointError

def export(
    target: str, depth: Annotated[int, typer.Option(help="How deep.")] = 3,
    json: bool = False,
) -> None:
    "Make it."
    if target == "broken":
        raise CheckpointError("the checkpoint is broken.")
    if target == "torch":
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    if target == "other":
        raise ModuleNotFoundError("No module named 'other'", name="other")
    if target == "ctrl-c":
        raise KeyboardInterrupt
    if target == "bug":
        raise RuntimeError("a defect")
    print(target, depth)
"""


@pytest.fixture
def half(tmp_path, monkeypatch):
    """A training half of three lines is installed, and it only."""
    (tmp_path / "small_half.py").write_text(HALF)
    entry = importlib.metadata.EntryPoint(
        "export", "small_half:export", training_half.GROUP
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "small_half", raising=False)
    monkeypatch.setattr(
        training_half,
        "entry_points",
        lambda **which: (
            [entry] if which == {"group": entry.group, "name": "export"} else []
        ),
    )


@pytest.fixture
def no_half(monkeypatch):
    monkeypatch.setattr(training_half, "entry_points", lambda **which: [])  # noqa: ARG005


def python(code, *words):
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else []), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [[], ["--help"]])
@pytest.mark.usefixtures("no_half")
def test_help_lists_every_command_even_without_the_training_half(fuseg, words):
    done = fuseg(*words)
    assert done.code == 0
    shown = [word for line in done.stdout.splitlines() for word in line.split()[:2]]
    for command in COMMANDS:
        assert command in shown, command


@pytest.mark.parametrize("command", DEVICE_COMMANDS)
def test_every_command_has_help_and_json(fuseg, command):
    done = fuseg(command, "--help")
    assert done.code == 0
    assert "--json" in done.stdout


def test_the_module_is_the_command():
    done = python(None, "-m", "fuseg", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"fuseg {library.__version__}\n"


def test_running_a_bundle_imports_nothing_of_the_training_half(
    rgbd, pair_of_files, tmp_path
):
    code = (
        "import sys; from fuseg.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, file=sys.stderr)\n"
        "heavy = {'torch', 'onnx', 'onnxsim', 'cv2', 'fuseg_export', 'tensorrt'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    words = ["run", rgbd.path, *pair_of_files, "--out", tmp_path / "out"]
    assert python(code, *words).stderr == "0\n[]\n"


def test_inspecting_and_help_do_not_even_load_the_engine(rgbd):
    code = (
        "import sys; from fuseg.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print('onnxruntime' in sys.modules, file=sys.stderr)"
    )
    assert python(code, "inspect", rgbd.path).stderr == "False\n"
    assert python(code, "--help").stderr == "False\n"


@pytest.mark.usefixtures("half")
def test_a_command_of_the_training_half_has_its_own_options(fuseg):
    assert "How deep." in fuseg("export", "--help").stdout
    assert fuseg("export", "rgbd", "--depth", "5").stdout == "rgbd 5\n"
    assert fuseg("export", "rgbd", "--height", "5").code == 2


@pytest.mark.parametrize("command", ["export", "demo", "models"])
@pytest.mark.usefixtures("no_half")
def test_without_the_training_half_its_commands_say_what_to_install(fuseg, command):
    for words in ([], ["--help"], ["rgbd", "--checkpoint", "x"]):
        done = fuseg(command, *words)
        assert done.code == 2
        assert done.stderr == (
            f"error: fuseg {command} needs fuseg_export, which is not installed here: "
            'pip install "fuseg[export]".\n'
        )
    error = fuseg(command, "--json").json["error"]
    assert error["type"] == "ModuleNotFoundError"
    assert error["message"].endswith('pip install "fuseg[export]".')


@pytest.mark.usefixtures("half")
def test_a_training_half_without_torch_says_what_to_install(fuseg):
    assert fuseg("export", "torch").stderr == (
        "error: fuseg export needs torch, which is not installed here: "
        'pip install "fuseg[export]".\n'
    )


@pytest.mark.usefixtures("half")
def test_errors_of_the_training_half_are_one_sentence(fuseg):
    done = fuseg("export", "broken")
    assert (done.code, done.stderr) == (2, "error: the checkpoint is broken.\n")
    done = fuseg("export", "broken", "--json")
    assert (done.code, done.json) == (
        2,
        {"error": {"type": "CheckpointError", "message": "the checkpoint is broken."}},
    )


@pytest.mark.usefixtures("half")
def test_a_defect_keeps_its_traceback(fuseg):
    with pytest.raises(RuntimeError, match="a defect"):
        fuseg("export", "bug")
    with pytest.raises(ModuleNotFoundError, match="other"):
        fuseg("export", "other")


@pytest.mark.usefixtures("half")
def test_ctrl_c_ends_with_130(fuseg):
    assert fuseg("export", "ctrl-c").code == 130
    done = fuseg("export", "ctrl-c", "--json")
    assert (done.code, done.json["error"]["type"]) == (130, "KeyboardInterrupt")


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["rum"],
        ["run", "b", "--out"],
        ["run", "b", "--out", "o", "--alpha", "2"],
        ["bench", "b", "--rounds", "0"],
        ["inspect", "b", "c"],
    ],
)
def test_wrong_usage_ends_with_2_and_is_told_in_json_too(fuseg, words):
    done = fuseg(*words)
    assert (done.code, done.stdout) == (2, "")
    assert "Error" in done.stderr
    done = fuseg(*words, "--json") if words != ["rum"] else fuseg("--json", "rum")
    assert done.code == 2


def test_usage_errors_of_a_command_are_json_too(fuseg):
    done = fuseg("run", "bundle", "--json")
    assert done.code == 2
    assert done.json["error"]["type"] == "UsageError"
    assert "out" in done.json["error"]["message"]
