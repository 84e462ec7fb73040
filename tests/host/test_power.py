"""Power modes and clocks, from file trees laid like those of the boards."""

from __future__ import annotations

import stat
import sys

import pytest

from fuseg import power
from fuseg.host.power import jetson as reader

# An answer that comes long after the limit: MAXN, if anybody still waited.
LATE = f"""{sys.executable} -c '
import time
time.sleep(10)
print("NV Power Mode: MAXN")
print(0)'"""

KEYS = {
    *("kind", "board", "release", "mode", "mode_id", "fastest_mode"),
    *("fastest_mode_id", "gpus", "memory", "cpu", "temperatures_c", "fan_pwm"),
    *("fan_mode", "at_maximum", "why_not", "fix"),
}
GPU_KEYS = {
    *("name", "mhz", "min_mhz", "max_mhz", "governor"),
    *("power_limit_w", "persistence", "driver"),
}

# In the order and with the numbers of an Orin Nano "super": 0 is not the fastest.
NANO = """
# < POWER_MODEL ID=id_num NAME=mode_name >
# GPU MAX_FREQ 9999999999
< PARAM TYPE=CLOCK NAME=GPU >
MAX_FREQ /sys/devices/17000000.ga10b/devfreq/17000000.ga10b/max_freq
<PARAM TYPE=CLOCK NAME=EMC >
MAX_FREQ /sys/kernel/nvpmodel_emc_cap/emc_iso_cap

< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
CPU_A78_0 MAX_FREQ 1497600
GPU MIN_FREQ 0
GPU MAX_FREQ 612000000
EMC MAX_FREQ 2133000000

< POWER_MODEL ID=1 NAME=25W >
CPU_ONLINE CORE_0 1
CPU_A78_0 MAX_FREQ 1344000
GPU MAX_FREQ 918000000
EMC MAX_FREQ 3199000000

< POWER_MODEL ID=2 NAME=MAXN_SUPER >
CPU_ONLINE CORE_0 1
CPU_A78_0 MAX_FREQ -1
GPU MAX_FREQ -1
EMC MAX_FREQ -1

< PM_CONFIG DEFAULT=1 >
"""


@pytest.fixture
def lay(tmp_path):
    """``lay({path: text})``: the root of a tree with these files."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "root"

    return write


@pytest.fixture
def command(tmp_path, monkeypatch):
    """``command("nvidia-smi", "echo x")``: the only one on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return write


@pytest.fixture(autouse=True)
def _no_commands(command):
    """Whatever this machine has, a test sees what it wrote."""


def clock(folder, now, low, high, governor="nvhost_podgov"):
    words = {"cur": now, "min": low, "max": high}
    files = {f"{folder}/{word}_freq": f"{hertz}\n" for word, hertz in words.items()}
    return files | {f"{folder}/governor": f"{governor}\n"}


def core(number, now, low, high):
    folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
    words = {"cur": now, "min": low, "max": high}
    files = {f"{folder}/scaling_{word}_freq": f"{khz}\n" for word, khz in words.items()}
    return files | {f"{folder}/scaling_governor": "schedutil\n"}


def orin(mode="pmode:0000 fmode:quiet", gpu=(306, 306, 612), cpu=(730, 730, 1498)):
    """The files of an Orin Nano; clocks in MHz."""
    return {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 3, BOARD: g",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "etc/nvpmodel.conf": NANO,
        "var/lib/nvpmodel/status": mode,
        **clock("sys/class/devfreq/17000000.gpu", *(mhz * 10**6 for mhz in gpu)),
        **clock("sys/class/devfreq/15340000.vic", 1, 1, 2),
        **core(0, *(mhz * 1000 for mhz in cpu)),
        **core(1, 1498000, 1498000, 1498000),
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
        "sys/class/hwmon/hwmon0/name": "pwmfan\n",
        "sys/class/hwmon/hwmon0/pwm1": "94\n",
    }


def test_a_jetson_in_a_small_mode_is_said_to_be_slow_and_how_to_make_it_fast(lay):
    found = power.describe(lay(orin()))
    assert set(found) == KEYS
    assert found["kind"] == "jetson"
    assert found["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert found["release"] == "36.4.3"
    assert (found["mode"], found["mode_id"]) == ("15W", 0)
    assert (found["fastest_mode"], found["fastest_mode_id"]) == ("MAXN_SUPER", 2)
    assert found["fan_mode"] == "quiet"
    assert found["fan_pwm"] == 94
    assert found["temperatures_c"] == {"cpu-thermal": 48.3}
    (gpu,) = found["gpus"]
    assert set(gpu) == GPU_KEYS
    assert (gpu["name"], gpu["mhz"], gpu["max_mhz"]) == ("17000000.gpu", 306, 612)
    assert found["cpu"] == {
        "mhz": 730,
        "min_mhz": 730,
        "max_mhz": 1498,
        "governor": "schedutil",
    }
    assert found["at_maximum"] is False
    assert found["why_not"] == [
        "power mode 15W is not the fastest, MAXN_SUPER",
        "GPU clock may fall from 612 to 306 MHz",
        "CPU clock may fall from 1498 to 730 MHz",
    ]
    assert found["fix"] == "sudo nvpmodel -m 2 && sudo jetson_clocks"


def test_a_jetson_with_its_clocks_held_in_its_fastest_mode_is_at_its_maximum(lay):
    files = orin("pmode:0002", gpu=(1020, 1020, 1020), cpu=(1728, 1728, 1728))
    found = power.describe(lay(files))
    assert found["at_maximum"] is True
    assert found["why_not"] == []
    assert found["fix"] is None


def test_clocks_that_are_free_to_fall_need_jetson_clocks_alone(lay):
    files = orin("pmode:0002", gpu=(1020, 306, 1020), cpu=(1728, 1728, 1728))
    found = power.describe(lay(files))
    assert found["at_maximum"] is False
    assert found["fix"] == "sudo jetson_clocks"


def test_a_jetson_that_hides_its_gpu_clock_is_not_called_fast(lay):
    files = orin("pmode:0002", cpu=(1728, 1728, 1728))
    hidden = {name: text for name, text in files.items() if "devfreq" not in name}
    assert power.describe(lay(hidden))["at_maximum"] is None


def test_without_a_stored_mode_nvpmodel_is_asked(lay, command):
    files = orin()
    del files["var/lib/nvpmodel/status"]
    command("nvpmodel", "echo 'NVPM WARN: x'; echo 'NV Power Mode: 25W'; echo 1")
    found = power.describe(lay(files))
    assert (found["mode"], found["mode_id"]) == ("25W", 1)


@pytest.mark.parametrize("script", [None, "false", LATE])
def test_without_an_answer_the_mode_is_the_one_the_board_starts_in(
    lay, command, monkeypatch, script
):
    files = orin()
    del files["var/lib/nvpmodel/status"]
    if script:
        command("nvpmodel", f"PATH=/bin:/usr/bin; exec {script}")
    monkeypatch.setattr("fuseg.host.power.sysfs._SECONDS", 0.3)
    assert power.describe(lay(files))["mode"] == "25W"


def test_a_mode_that_the_table_does_not_name_keeps_its_number(lay):
    found = power.describe(lay(orin("pmode:0007")))
    assert (found["mode"], found["mode_id"]) == (None, 7)
    assert found["why_not"][0] == "power mode 7 is not the fastest, MAXN_SUPER"


def test_thor_shows_its_memory_and_has_one_gpu_beside_the_video_engine(lay):
    found = power.describe(
        lay(
            {
                "proc/device-tree/compatible": "nvidia,p3834\0nvidia,tegra264\0",
                "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n"
                "< POWER_MODEL ID=1 NAME=120W >\n< PM_CONFIG DEFAULT=1 >\n",
                "var/lib/nvpmodel/status": "pmode:0000",
                **clock("sys/class/devfreq/gpu-gpc-0", *[1575 * 10**6] * 3),
                **clock("sys/class/devfreq/gpu-nvd-0", 1, 1, 2),
                **clock("sys/class/devfreq/bwmgr", *[4266 * 10**6] * 3),
            }
        )
    )
    assert found["release"] is None
    assert [gpu["name"] for gpu in found["gpus"]] == ["gpu-gpc-0"]
    assert found["memory"]["max_mhz"] == 4266
    assert found["at_maximum"] is True


def test_the_memory_clock_that_root_sees_must_be_at_its_maximum(lay):
    emc = "sys/kernel/debug/bpmp/debug/clk/emc"
    files = orin("pmode:0002", gpu=(1020, 1020, 1020), cpu=(1728, 1728, 1728))
    files |= {f"{emc}/rate": "2133000000", f"{emc}/max_rate": "3199000000"}
    found = power.describe(lay(files))
    assert found["why_not"] == ["memory clock may fall from 3199 to 2133 MHz"]


AGX_ORIN = """
< POWER_MODEL ID=0 NAME=MAXN >
GPU MAX_FREQ 2147483647
EMC MAX_FREQ 0
< POWER_MODEL ID=3 NAME=MODE_50W >
GPU MAX_FREQ 828750000
"""
# No MAXN; alike for the GPU.
XAVIER_NX = """
< POWER_MODEL ID=0 NAME=MODE_15W_2CORE >
CPU_ONLINE CORE_1 1
CPU_ONLINE CORE_2 0
GPU MAX_FREQ 1109250000
< POWER_MODEL ID=2 NAME=MODE_15W_6CORE >
CPU_ONLINE CORE_1 1
CPU_ONLINE CORE_2 1
GPU MAX_FREQ 1109250000
"""


@pytest.mark.parametrize(
    ("table", "fastest"),
    [
        (NANO, "MAXN_SUPER"),
        (NANO.replace("NAME=MAXN_SUPER", "NAME=40W"), "40W"),
        (AGX_ORIN, "MAXN"),
        (XAVIER_NX, "MODE_15W_6CORE"),
        ("< POWER_MODEL NAME=7W ID=3 >", "7W"),
    ],
)
def test_the_fastest_mode_is_the_one_that_limits_least(table, fastest):
    assert max(reader.modes(table), key=lambda mode: mode.rank).name == fastest


def test_a_table_without_modes_names_none(lay):
    found = power.describe(lay(orin() | {"etc/nvpmodel.conf": "nothing\n"}))
    assert (found["mode"], found["mode_id"], found["fastest_mode"]) == (None, 0, None)


def test_a_desktop_tells_its_clocks_through_nvidia_smi(lay, command):
    command(
        "nvidia-smi",
        "echo 'NVIDIA GeForce RTX 4090, 550.54.14, 210 MHz, 3105 MHz, 450.00 W, "
        "Disabled, 41'",
    )
    found = power.describe(lay({}))
    assert set(found) == KEYS
    assert found["kind"] == "nvidia"
    (gpu,) = found["gpus"]
    assert gpu == dict.fromkeys(GPU_KEYS) | {
        "name": "NVIDIA GeForce RTX 4090",
        "driver": "550.54.14",
        "mhz": 210,
        "max_mhz": 3105,
        "power_limit_w": 450,
        "persistence": False,
    }
    assert found["temperatures_c"] == {"gpu0": 41}
    assert found["why_not"] == ["NVIDIA GeForce RTX 4090 is at 210 of 3105 MHz now"]
    assert found["fix"] == (
        "sudo nvidia-smi -pm 1 && sudo nvidia-smi --lock-gpu-clocks=3105,3105"
    )


def test_a_gpu_that_hides_its_clocks_is_neither_fast_nor_slow(lay, command):
    command("nvidia-smi", "echo 'GRID T4, 550.1, [N/A], [N/A], [N/A], Enabled, 41'")
    found = power.describe(lay({}))
    assert found["gpus"][0]["persistence"] is True
    assert found["gpus"][0]["power_limit_w"] is None
    assert found["at_maximum"] is None


@pytest.mark.parametrize(
    "script",
    [
        "echo 'No devices were found'",
        "echo 'NVIDIA-SMI has failed because it could not talk'; exit 9",
    ],
)
def test_a_machine_whose_nvidia_smi_finds_nothing_is_another_machine(
    lay, command, script
):
    command("nvidia-smi", script)
    found = power.describe(lay(core(0, 2000000, 800000, 4000000)))
    assert found["kind"] == "other"
    assert found["cpu"]["max_mhz"] == 4000
    assert found["at_maximum"] is None
