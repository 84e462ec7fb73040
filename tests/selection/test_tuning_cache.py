"""What is kept in the user's cache, and what is not believed there."""

from __future__ import annotations

import json
import logging
import os
import stat

import pytest

from fuseg import errors
from fuseg.host import cpu
from fuseg.selection import tuning_cache
from fuseg.selection.tuning_cache import Measured

DIGEST = "0123456789abcdef" * 4
FAST = Measured("onnxruntime", "int8-cpu", 3.5)
SLOW = Measured("onnxruntime", "fp32", 8.0)


@pytest.fixture
def warnings(caplog):
    """Sentences of level WARNING and above."""
    caplog.set_level(logging.WARNING, logger="fuseg")
    return lambda: [record.getMessage() for record in caplog.records]


def test_what_is_stored_is_read_the_fastest_first():
    tuning_cache.store(DIGEST, 2, [SLOW, FAST])
    found = tuning_cache.stored(DIGEST, 2)
    assert found.measured == (FAST, SLOW)
    assert (found.digest, found.threads, found.outdated) == (DIGEST, 2, False)
    assert tuning_cache.everything() == [found]


def test_a_second_tuning_takes_the_place_of_the_first():
    tuning_cache.store(DIGEST, 2, [SLOW, FAST])
    tuning_cache.store(DIGEST, 2, [SLOW])
    assert tuning_cache.stored(DIGEST, 2).measured == (SLOW,)
    assert len(tuning_cache.everything()) == 1


def test_another_bundle_thread_count_or_cpu_has_its_own(monkeypatch):
    tuning_cache.store(DIGEST, 2, [FAST])
    assert tuning_cache.stored("f" * 64, 2) is None
    assert tuning_cache.stored(DIGEST, 3) is None
    monkeypatch.setattr(cpu, "cpu_name", lambda: "another CPU")
    assert tuning_cache.stored(DIGEST, 2) is None


def test_no_thread_count_is_one_for_each_core(monkeypatch):
    monkeypatch.setattr(cpu, "cores", lambda: 6)
    tuning_cache.store(DIGEST, None, [FAST])
    assert tuning_cache.stored(DIGEST, 6).measured == (FAST,)
    monkeypatch.setattr(cpu, "cores", lambda: 4)
    assert tuning_cache.stored(DIGEST, None) is None


def test_the_folder_is_the_users_alone(user_cache):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    assert path.parent == user_cache
    assert stat.S_IMODE(user_cache.stat().st_mode) == 0o700
    assert [p.name for p in user_cache.iterdir()] == [path.name]  # nothing half-written


# With a GPU

GPU = "Pretend GPU, 1024 MiB, driver 12.6"
ON_GPU = Measured("tensorrt", "fp16", 0.9)


@pytest.fixture
def gpu_here(monkeypatch):
    """``gpu_here(words, ...)``: which GPUs there are; None: there is none."""

    def put(*words):
        gpu_name = dict(enumerate(words)).get
        monkeypatch.setattr("fuseg.backends.registry.gpu_name", gpu_name)

    return put


def test_what_was_measured_on_a_gpu_is_of_that_gpu(gpu_here):
    tuning_cache.store(DIGEST, 2, [SLOW, ON_GPU], GPU)
    gpu_here(GPU)
    found = tuning_cache.stored(DIGEST, 2)
    assert (found.measured, found.gpu) == ((ON_GPU, SLOW), GPU)
    for other in ("Other GPU, 1024 MiB, driver 12.6", GPU.replace("12.6", "13.0")):
        gpu_here(other)
        assert tuning_cache.stored(DIGEST, 2) is None
    gpu_here("Other GPU", GPU)
    assert tuning_cache.stored(DIGEST, 2, 1) == found


def test_without_its_gpu_the_times_of_the_cpu_still_hold(gpu_here):
    tuning_cache.store(DIGEST, 2, [SLOW, ON_GPU], GPU)
    gpu_here(None)
    assert tuning_cache.stored(DIGEST, 2).measured == (ON_GPU, SLOW)


def test_what_was_measured_without_a_gpu_asks_for_none(monkeypatch):
    monkeypatch.delattr("fuseg.backends.registry.gpu_name")
    path = tuning_cache.store(DIGEST, 2, [FAST, SLOW])
    assert set(json.loads(path.read_text())) == {
        *("bundle", "cpu", "threads", "versions", "measured")
    }
    assert tuning_cache.stored(DIGEST, 2).gpu is None
    tuning_cache.store(DIGEST, 2, [ON_GPU], GPU)
    assert tuning_cache.everything()[0].measured == (ON_GPU,)


@pytest.mark.parametrize("gpu", [None, 5, ["GPU"]])
def test_times_of_a_gpu_without_its_name_are_not_believed(warnings, gpu):
    path = tuning_cache.store(DIGEST, 2, [ON_GPU], GPU)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gpu": gpu}))
    assert tuning_cache.stored(DIGEST, 2) is None
    assert warnings() == [f"{path} is ignored, it is damaged: times on no GPU."]


def test_the_version_of_tensorrt_is_asked_for_where_pip_knows_none(monkeypatch):
    from fuseg.backends.tensorrt import engines

    known = {"tensorrt": "version not recorded", "onnxruntime-cuda": "1.31.1"}
    monkeypatch.setattr(
        "fuseg.backends.registry.installed_for_gpu", lambda: dict(known)
    )
    monkeypatch.setattr(engines, "installed", lambda: engines.TensorRT("10.3.0", True))
    assert tuning_cache.versions()["tensorrt"] == "10.3.0"
    tuning_cache.remember_pass(DIGEST, "tensorrt", "fp16", GPU)
    tuning_cache.store(DIGEST, 2, [FAST])
    monkeypatch.setattr(engines, "installed", lambda: engines.TensorRT("10.7.0", True))
    assert not tuning_cache.has_passed(DIGEST, "tensorrt", "fp16", GPU)
    assert tuning_cache.stored(DIGEST, 2).outdated

    def broken():
        raise errors.BuildError("libnvinfer.so.10 is missing")

    monkeypatch.setattr(engines, "installed", broken)
    assert tuning_cache.versions()["tensorrt"] == "version not recorded"
    known["tensorrt"] = "11.4.0"
    assert tuning_cache.versions()["tensorrt"] == "11.4.0"


def test_a_pass_of_an_engine_on_a_cpu_asks_tensorrt_for_nothing(monkeypatch):
    from fuseg.backends.tensorrt import engines

    known = {"tensorrt": "version not recorded"}
    monkeypatch.setattr("fuseg.backends.registry.installed_for_gpu", lambda: known)
    monkeypatch.delattr(engines, "installed")
    assert not tuning_cache.has_passed(DIGEST, "onnxruntime", "fp16")


@pytest.mark.parametrize("base", ["", "relative/cache"])
def test_without_an_absolute_xdg_cache_home_it_is_in_the_home(
    monkeypatch, tmp_path, base
):
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tuning_cache.store(DIGEST, 2, [FAST]).parent == tmp_path / ".cache" / "fuseg"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",  # noqa: ARG005
        lambda text: "[" * 100_000,  # noqa: ARG005
        lambda text: "\xff" + text,
        lambda text: text.replace('"measured"', '"measures"'),
        lambda text: text.replace("3.5", '"fast"'),
        lambda text: text.replace("3.5", "NaN"),
        lambda text: text.replace("3.5", "Infinity"),
        lambda text: text.replace('onnxruntime",', 'abacus",'),
        lambda text: text.replace('"backend"', '"engine"'),
        lambda text: json.dumps(list(json.loads(text))),
        lambda text: json.dumps(json.loads(text) | {"versions": None}),
        lambda text: json.dumps(json.loads(text) | {"measured": []}),
        lambda text: text.replace(DIGEST, "f" * 64),
        lambda text: text.replace('"threads": 2', '"threads": 3'),
        lambda text: text.replace(cpu.cpu_name(), "another CPU"),
    ],
)
def test_a_damaged_or_foreign_file_is_ignored_with_a_warning(damage, warnings):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    path.write_text(damage(path.read_text()), "latin-1")
    assert tuning_cache.stored(DIGEST, 2) is None
    (sentence,) = warnings()
    assert sentence.startswith(f"{path} is ignored")
    tuning_cache.store(DIGEST, 2, [FAST])
    assert tuning_cache.stored(DIGEST, 2) is not None


def test_a_folder_that_others_may_write_to_is_not_believed(user_cache, warnings):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    user_cache.chmod(0o777)
    assert tuning_cache.stored(DIGEST, 2) is None
    assert warnings() == [f"{path} is ignored: others may write in its folder."]
    with pytest.raises(errors.OutputFileError, match="chmod 700 it"):
        tuning_cache.store(DIGEST, 2, [FAST])


@pytest.fixture
def refused(warnings):
    """``refused(path)``: why the file there counts as absent."""

    def look(path):
        assert tuning_cache.stored(DIGEST, 2) is None
        assert tuning_cache.everything() == []
        messages = {*warnings()}
        assert len(messages) == 1
        return messages.pop().removeprefix(f"{path} is ignored: ")

    return look


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(refused, mode):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    path.chmod(mode)
    assert refused(path) == "others may write it."


def test_a_file_of_another_user_is_not_believed(refused, monkeypatch):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    owner = path.stat().st_uid
    real = os.fstat

    def fstat(handle):
        status = real(handle)
        if not stat.S_ISREG(status.st_mode):
            return status
        return os.stat_result((*status[:4], owner + 1, *status[5:]))

    monkeypatch.setattr("fuseg.host.files.os.fstat", fstat)
    assert refused(path) == "others may write it."


def test_what_is_kept_is_private_whatever_the_umask():
    before = os.umask(0o002)  # as on Debian: new files are writable by the group
    try:
        path = tuning_cache.store(DIGEST, 2, [FAST])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tuning_cache.stored(DIGEST, 2) is not None


def test_a_pipe_is_not_waited_for_and_a_large_file_is_not_read(refused):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    path.unlink()
    os.mkfifo(path)
    assert refused(path) == "it is not a regular file, or is too large."
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert refused(path) == "it is not a regular file, or is too large."


def test_a_link_is_not_followed(tmp_path):
    path = tuning_cache.store(DIGEST, 2, [FAST])
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert tuning_cache.stored(DIGEST, 2) is None
    path.unlink()
    path.symlink_to("/dev/zero")
    assert tuning_cache.stored(DIGEST, 2) is None


def test_a_folder_swapped_after_it_was_looked_at_is_not_read_from(
    user_cache, monkeypatch
):
    """Whoever may write to $XDG_CACHE_HOME can do that at any time."""
    path = tuning_cache.store(DIGEST, 2, [FAST])
    forged = user_cache.with_name("forged")
    forged.mkdir()
    forged.chmod(0o777)
    text = path.read_text().replace("3.5", "0.001")
    (forged / path.name).write_text(text)
    real = os.open

    def swap(name, *args, dir_fd=None):
        if dir_fd is not None:  # the folder is open and was looked at: now
            user_cache.rename(user_cache.with_name("aside"))
            forged.rename(user_cache)
        return real(name, *args, dir_fd=dir_fd)

    monkeypatch.setattr("fuseg.host.files.os.open", swap)
    assert tuning_cache.stored(DIGEST, 2).measured == (FAST,)


def test_a_folder_that_cannot_be_made_is_a_sentence(user_cache):
    user_cache.parent.write_bytes(b"")
    with pytest.raises(errors.OutputFileError, match=f"{user_cache} cannot be made"):
        tuning_cache.store(DIGEST, 2, [FAST])
    assert tuning_cache.stored(DIGEST, 2) is None
    assert tuning_cache.everything() == []


def test_a_pass_is_remembered_for_its_engine_variant_and_versions(monkeypatch):
    assert not tuning_cache.has_passed(DIGEST, "onnxruntime", "fp16")
    tuning_cache.remember_pass(DIGEST, "onnxruntime", "fp16")
    assert tuning_cache.has_passed(DIGEST, "onnxruntime", "fp16")
    assert not tuning_cache.has_passed(DIGEST, "openvino", "fp16")
    assert not tuning_cache.has_passed(DIGEST, "onnxruntime", "int8-cpu")
    monkeypatch.setattr(
        "fuseg.backends.registry.installed", lambda: {"onnxruntime": "9"}
    )
    assert not tuning_cache.has_passed(DIGEST, "onnxruntime", "fp16")
