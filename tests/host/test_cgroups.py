"""How many cores a process may use: affinity and the quotas of its control groups."""

from __future__ import annotations

import os

import pytest

import fuseg
from fuseg.host import cpu
from fuseg.host.cgroups import cpu_quota

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)


@pytest.fixture
def system(tmp_path):
    """``system(cgroup, mounts, {path: text})``: a root that holds these files."""

    def make(cgroup, mounts, files):
        proc = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts}
        limits = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
        for name, text in {**proc, **limits}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"a/b/cpu.max": "200000 100000\n"}, 2.0),
        ({"a/b/cpu.max": "max 100000\n"}, None),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        ({"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ({"a/b/cpu.max": "100000 100000\n", "a/cpu.max": "300000 100000\n"}, 1.0),
        ({"c/cpu.max": "100000 100000\n"}, None),  # of another group
        ({"a/b/cpu.max": ""}, None),
        ({"a/b/cpu.max": "200000"}, None),
        ({"a/b/cpu.max": "two of three"}, None),
        ({"a/b/cpu.max": "200000 0"}, None),
        ({"a/b/cpu.max": "-1 100000"}, None),
        ({}, None),
    ],
)
def test_the_smallest_limit_up_the_tree_counts(system, files, cpus):
    assert cpu_quota(system("0::/a/b\n", V2, files)) == cpus


@pytest.mark.parametrize(
    ("quota", "cpus"), [("250000\n", 2.5), ("-1\n", None), ("none\n", None)]
)
def test_version_1_has_two_files(system, quota, cpus):
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": quota,
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
    }
    groups = "12:memory:/elsewhere\n7:cpu,cpuacct:/job\n0::/\n"
    assert cpu_quota(system(groups, V1, files)) == cpus


def test_a_container_may_see_its_own_part_of_the_tree_alone(system):
    own = V2.replace(" / ", " /docker/0123 ", 1)
    files = {"cpu.max": "100000 100000", "inner/cpu.max": "max 100000"}
    root = system("0::/docker/0123/inner\n", own, files)
    assert cpu_quota(root) == 1.0
    (root / "proc/self/cgroup").write_text("0::/../other\n")  # above what is mounted
    assert cpu_quota(root) == 1.0


def test_no_control_groups_are_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert cpu.cores(tmp_path) == len(cpu._affinity())


@pytest.fixture
def eight(system, monkeypatch):
    """``eight(cpu_max, affinity)``: four cores of two threads, and a quota."""

    def make(cpu_max, affinity=range(8)):
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(cpu, "_affinity", lambda: affinity)
        root = system("0::/\n", V2, {"cpu.max": cpu_max})
        for number in range(8):
            core = root / f"sys/devices/system/cpu/cpu{number}/topology"
            core.mkdir(parents=True)
            pair = number - number % 2
            (core / "thread_siblings_list").write_text(f"{pair}-{pair + 1}\n")
        return root

    return make


@pytest.mark.parametrize(
    ("cpu_max", "affinity", "cores", "fewer"),
    [
        ("max 100000", range(8), 8, None),
        ("600000 100000", range(8), 6, None),  # more than the physical ones
        ("200000 100000", range(8), 2, 2),
        ("150000 100000", range(8), 1, 1),  # rounded down
        ("20000 100000", range(8), 1, 1),  # but never to none
        ("max 100000", range(4), 4, 2),
        ("max 100000", [5], 1, 1),
    ],
)
def test_engines_get_no_more_threads_than_may_run(
    eight, cpu_max, affinity, cores, fewer
):
    root = eight(cpu_max, affinity)
    assert cpu.cores(root) == cores
    assert cpu.fewer_cores(root) == fewer


@pytest.mark.parametrize(("fewer", "threads"), [(1, 1), (None, 0)])
def test_threads_by_default_are_the_quotas_or_the_engines_own(
    rgbd, monkeypatch, fewer, threads
):
    monkeypatch.setattr("fuseg.backends.registry.fewer_cores", lambda: fewer)
    session = fuseg.load(rgbd.path).backend.session
    assert session.get_session_options().intra_op_num_threads == threads
