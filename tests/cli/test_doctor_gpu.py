"""`fuseg doctor` on machines that are not here: laid as files, played by packages."""

from __future__ import annotations

import pytest

from fuseg import power
from fuseg.cli import doctor_backends, doctor_gpu
from fuseg.host import probe
from fuseg.host.probe import Answer

ORIN = {
    "cuda": "12.6",
    "fault_of_gpus": None,
    "gpus": [
        {
            "name": "Orin",
            "capability": [8, 7],
            "memory_bytes": 7989432320,
            "integrated": True,
        }
    ],
}
RTX = {
    "cuda": "12.4",
    "fault_of_gpus": None,
    "gpus": [
        {
            "name": "NVIDIA GeForce RTX 4090",
            "capability": [8, 9],
            "memory_bytes": 24 * 2**30,
            "integrated": False,
        }
    ],
}
SEES_ONE = Answer({"gpus": 1, "why_none": None}, None)
TOO_OLD = Answer(
    {
        "gpus": 0,
        "why_none": "cudaSetDevice: cudaErrorInsufficientDriver: CUDA driver version "
        "is insufficient for CUDA runtime version",
    },
    None,
)


@pytest.fixture
def jetson(tmp_path):
    """The root of an Orin with JetPack 6's TensorRT, in its 15 W mode."""
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: g",
        "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nGPU MAX_FREQ 612000000\n"
        "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\nGPU MAX_FREQ -1\n",
        "var/lib/nvpmodel/status": "pmode:0000",
        "sys/class/devfreq/17000000.gpu/cur_freq": "306000000",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000",
        "sys/class/devfreq/17000000.gpu/max_freq": "612000000",
        "usr/lib/python3.10/dist-packages/tensorrt/__init__.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def desktop(tmp_path):
    """The root of a machine with an NVIDIA card in it."""
    vendor = tmp_path / "sys/bus/pci/devices/0000:01:00.0/vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("0x10de\n")
    return tmp_path


@pytest.fixture
def findings(monkeypatch):
    """``findings(root, "x86_64", driver=Answer, ...)``: the findings there, by name.

    A library that has no answer is not installed; ``pypi`` are the installed packages.
    """

    def put(root, arch, *, pypi=(), path="", **answers):
        names = {"kernels": "fuseg._kernels_cuda"}
        names["tensorrt_rtx"] = "tensorrt_rtx_bindings"
        modules = {names.get(name, name) for name in answers}
        monkeypatch.setattr(doctor_gpu, "find_spec", lambda name: name in modules)
        monkeypatch.setattr(probe, "query", answers.__getitem__)
        monkeypatch.setattr("platform.machine", lambda: arch)
        monkeypatch.setattr(doctor_backends, "_installed_from_pypi", lambda: [*pypi])
        monkeypatch.setenv("PATH", path)
        listed = doctor_gpu.findings(power.describe(root), root)
        for finding in listed:
            assert (finding.impact is None) == (finding.state == "ok")
        return {finding.name: finding for finding in listed}

    return put


def test_a_jetson_where_all_is_well(jetson, findings):
    found = findings(
        jetson,
        "aarch64",
        driver=Answer(ORIN, None),
        tensorrt=Answer({"version": "10.3.0"}, None),
        pycuda=Answer({"version": "2026.1"}, None),
        kernels=SEES_ONE,
        onnxruntime=Answer({"offered": True, "runs": True}, None),
    )
    assert found["gpu driver"].detail == "Jetson Linux 36.4.3, supports CUDA 12.6"
    assert found["gpu"].detail == "Orin, SM 8.7, 7.4 GiB shared with the CPU"
    assert found["tensorrt"].detail == "10.3.0, imports"
    for name in ("tensorrt", "pycuda", "cuda kernels", "onnxruntime cuda"):
        assert found[name].state == "ok"


def test_the_clocks_of_a_jetson_are_judged_and_not_touched(jetson, findings):
    clocks = findings(jetson, "aarch64", driver=Answer(ORIN, None))["power and clocks"]
    assert clocks.state == "slow"
    assert "mode 15W, 17000000.gpu at 306 of 612 MHz" in clocks.detail
    assert clocks.impact == "comparable benchmarks"
    assert clocks.fix == "sudo nvpmodel -m 2 && sudo jetson_clocks"


def test_no_fix_on_a_jetson_installs_pypis_tensorrt_or_ubuntus_cuda(jetson, findings):
    bare = Answer(None, "OSError: libcuda.so.1: cannot open shared object file")
    broken = Answer(None, "ended the process by SIGABRT")
    for answers in (
        {"driver": bare},
        {"driver": Answer(ORIN, None)},
        {"driver": Answer(ORIN, None), "tensorrt": broken, "kernels": TOO_OLD},
    ):
        for finding in findings(jetson, "aarch64", **answers).values():
            fix = finding.fix or ""
            assert "fuseg[tensorrt]" not in fix
            assert "install tensorrt" not in fix
            assert "nvidia-cuda-toolkit" not in fix
            assert "ubuntu-drivers" not in fix


@pytest.mark.parametrize(
    ("cuda", "wheels"), [("12.6", "jetson-ai-lab.io/jp6/cu126"), ("13.0", "jetson.md")]
)
def test_an_onnxruntime_for_the_gpu_of_a_jetson_is_not_pypis(
    jetson, findings, cuda, wheels
):
    driver = Answer(ORIN | {"cuda": cuda}, None)
    fix = findings(jetson, "aarch64", driver=driver)["onnxruntime cuda"].fix
    assert fix.startswith("pip uninstall -y onnxruntime; ")
    assert fix.endswith(wheels)


def test_a_venv_that_does_not_see_jetpacks_tensorrt_is_told_how_to_be_made(
    jetson, findings
):
    found = findings(jetson, "aarch64", driver=Answer(ORIN, None))["tensorrt"]
    assert found.state == "missing"
    assert found.detail == "JetPack's is for the system's Python 3.10"
    assert found.fix == "python3.10 -m venv --system-site-packages ENV"


def test_a_jetpack_whose_python_is_too_old_for_fuseg_is_told_so(jetson, findings):
    old = jetson / "usr/lib/python3.10"
    old.rename(old.with_name("python3.8"))
    found = findings(jetson, "aarch64", driver=Answer(ORIN, None))["tensorrt"]
    assert found.fix == "JetPack 6 or later"


def test_a_jetson_without_tensorrt_gets_it_from_jetpack(jetson, findings):
    (jetson / "usr/lib/python3.10/dist-packages/tensorrt/__init__.py").unlink()
    (jetson / "usr/lib/python3.10/dist-packages/tensorrt").rmdir()
    found = findings(jetson, "aarch64", driver=Answer(ORIN, None))
    assert found["tensorrt"].fix == "sudo apt install nvidia-jetpack"
    assert found["nvcc"].fix == "sudo apt install nvidia-cuda-dev"


def test_a_tensorrt_of_pypi_on_a_jetson_is_a_fault_even_if_it_imports(jetson, findings):
    found = findings(
        jetson,
        "aarch64",
        driver=Answer(ORIN, None),
        tensorrt=Answer({"version": "11.4.0.106"}, None),
        pypi=["tensorrt_cu13_libs"],
    )["tensorrt"]
    assert found.state == "broken"
    assert found.fix == "pip uninstall tensorrt tensorrt_cu13_libs"


def test_a_jetson_that_hides_its_gpu_from_this_user_names_the_groups(jetson, findings):
    hidden = {"cuda": "12.6", "gpus": [], "fault_of_gpus": "CUDA_ERROR_UNKNOWN"}
    found = findings(jetson, "aarch64", driver=Answer(hidden, None))["gpu"]
    assert found.state == "broken"
    assert found.detail == "the driver lists none: CUDA_ERROR_UNKNOWN"
    assert found.fix.startswith("sudo usermod -aG video,render")


@pytest.mark.parametrize(
    ("arch", "answer", "state", "fix"),
    [
        ("x86_64", None, "missing", 'pip install "fuseg[tensorrt-rtx]"'),
        ("aarch64", None, "missing", "pip install tensorrt-rtx-cu13-libs"),
        ("x86_64", Answer(None, "OSError: x"), "broken", "--force-reinstall"),
        ("x86_64", Answer({"version": "1.7.1.116"}, None), "ok", None),
    ],
)
def test_tensorrt_for_rtx_is_for_all_but_a_jetson(
    desktop, findings, arch, answer, state, fix
):
    answers = {} if answer is None else {"tensorrt_rtx": answer}
    found = findings(desktop, arch, driver=Answer(RTX, None), **answers)["tensorrt-rtx"]
    assert found.state == state
    assert fix is None if found.fix is None else fix in found.fix


def test_a_jetson_hears_nothing_of_tensorrt_for_rtx(jetson, findings):
    assert "tensorrt-rtx" not in findings(
        jetson, "aarch64", driver=Answer(ORIN, None), tensorrt_rtx=Answer({}, None)
    )


def test_a_driver_too_old_for_the_cuda_module_is_named_with_both_ways_out(
    desktop, findings
):
    found = findings(desktop, "x86_64", driver=Answer(RTX, None), kernels=TOO_OLD)
    kernels = found["cuda kernels"]
    assert kernels.state == "broken"
    assert kernels.detail == "built with a newer CUDA than the driver supports, 12.4"
    assert kernels.fix.startswith("a newer driver")
    assert "pip install --force-reinstall" in kernels.fix


def test_a_cuda_module_that_fails_otherwise_gives_its_own_reason(desktop, findings):
    answer = Answer({"gpus": 0, "why_none": "cudaSetDevice: cudaErrorUnknown: x"}, None)
    found = findings(desktop, "x86_64", driver=Answer(RTX, None), kernels=answer)
    assert (
        found["cuda kernels"].detail == "built, but: cudaSetDevice: cudaErrorUnknown: x"
    )


def test_a_fuseg_without_cuda_module_needs_nvcc_first(desktop, findings, tmp_path):
    found = findings(desktop, "x86_64", driver=Answer(RTX, None))
    assert found["cuda kernels"].fix.startswith("install nvcc first")
    assert found["nvcc"].fix == "sudo apt install nvidia-cuda-toolkit"
    nvcc = tmp_path / "usr/local/cuda/bin/nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.touch()
    found = findings(desktop, "x86_64", driver=Answer(RTX, None))
    assert found["cuda kernels"].fix.startswith("PATH=/usr/local/cuda/bin")
    assert found["nvcc"].detail == str(nvcc)


@pytest.mark.parametrize(
    ("cuda", "fix"),
    [
        ("13.0", 'pip install "fuseg[tensorrt]"'),
        ("12.4", "pip install tensorrt-cu12"),
        ("11.4", "sudo ubuntu-drivers install"),
    ],
)
def test_the_tensorrt_of_a_desktop_is_one_that_its_driver_takes(
    desktop, findings, cuda, fix
):
    found = findings(desktop, "x86_64", driver=Answer(RTX | {"cuda": cuda}, None))
    assert found["tensorrt"].fix.partition(":")[0] == fix


def test_a_tensorrt_for_a_newer_cuda_is_broken_though_it_imports(desktop, findings):
    found = findings(
        desktop,
        "x86_64",
        driver=Answer(RTX, None),
        tensorrt=Answer({"version": "11.4.0.106"}, None),
        pypi=["tensorrt_cu13", "tensorrt_cu13_libs"],
    )["tensorrt"]
    assert found.state == "broken"
    assert found.detail == "11.4.0.106 is for CUDA 13, the driver for 12"
    assert found.fix == (
        "pip uninstall tensorrt tensorrt_cu13 tensorrt_cu13_libs; "
        "pip install tensorrt-cu12"
    )


def test_an_arm_server_is_no_jetson(desktop, findings):
    found = findings(desktop, "aarch64", driver=Answer(RTX, None))["tensorrt"]
    assert found.fix.startswith("NVIDIA's apt repository for arm64-sbsa")


def test_an_onnxruntime_that_offers_cuda_and_does_not_run_there_is_broken(
    desktop, findings
):
    log = "libcublasLt.so.13: cannot open shared object file"
    answer = Answer({"offered": True, "runs": False}, None, log)
    found = findings(desktop, "x86_64", driver=Answer(RTX, None), onnxruntime=answer)
    ort = found["onnxruntime cuda"]
    assert ort.state == "broken"
    assert ort.detail == f"listed, but a session does not use it: {log}"
    assert '"onnxruntime-gpu[cuda,cudnn]<1.27"' in ort.fix


def test_a_card_without_driver_is_named_and_a_machine_without_card_gets_no_fix(
    desktop, findings
):
    none = Answer(None, "OSError: libcuda.so.1: cannot open shared object file")
    found = findings(desktop, "x86_64", driver=none)
    assert found["gpu driver"].fix == "sudo ubuntu-drivers install"
    assert found["gpu driver"].detail.startswith("an NVIDIA device without a driver")
    (desktop / "sys/bus/pci/devices/0000:01:00.0/vendor").unlink()
    found = findings(desktop, "x86_64", driver=none, kernels=TOO_OLD)
    assert "gpu" not in found
    assert found["cuda kernels"].detail == "built; no NVIDIA GPU here"
    assert {finding.fix for finding in found.values()} == {None}
