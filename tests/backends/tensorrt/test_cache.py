"""What is kept is whole, private, and of exactly what is wanted; or it is not used."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from fuseg.backends.tensorrt import cache, engines, fingerprint
from fuseg.backends.tensorrt.engines import Options
from fuseg.backends.tensorrt.record import read_file, write_file
from fuseg.errors import OutputFileError

HOLDER = """
import sys
from pathlib import Path
from fuseg.backends.tensorrt import cache
with cache.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def kept(trt10, engine):
    """The file of an engine that is built already."""
    assert trt10.builds() == []
    return engine("fp16").path


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def damage_cut(data):
    return data[: len(data) // 2]


def damage_empty(data):
    del data
    return b""


def damage_plan(data):
    at = data.index(b"ftrt") + 40
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def damage_record(data):
    return data.replace(b'"workspace_mb": 1024', b'"workspace_mb": 1025')


def damage_tail(data):
    return data + b"\0"


def damage_other_plan(data):
    """A whole file, but its record is of another plan."""
    file = read_file(data)
    return write_file(file.record, bytes(file.plan)[:-1] + b"?")


def damage_all(data):
    return bytes(len(data))


DAMAGES = [v for name, v in dict(globals()).items() if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_a_damaged_engine_is_built_again(kept, engine, trt10, caplog, damage):
    kept.write_bytes(damage(kept.read_bytes()))
    again = engine("fp16")
    assert again.built
    (warning,) = warnings(caplog)
    assert re.match(rf"{kept} is not used but built again: ", warning)
    assert not engine("fp16").built
    assert len(trt10.builds()) == 2


def test_every_flipped_bit_is_seen(kept, engine):
    """Without TensorRT: the answer is whether the file would be used."""
    data = kept.read_bytes()
    wanted = engine("fp16").fingerprint
    assert cache.look_up(wanted) is not None
    for at in range(0, len(data), 11):
        kept.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert cache.look_up(wanted) is None, at


@pytest.mark.parametrize("other", ["fp32", "11.4.0"])
def test_an_engine_of_something_else_is_built_again(
    kept, engine, with_tensorrt, caplog, other
):
    """As when somebody copied the files of one device to another."""
    if other == "fp32":
        foreign = engine("fp32").path
    else:
        with_tensorrt("11.4.0")
        foreign = engine("fp16").path
        with_tensorrt("10.3.0")
    foreign.rename(kept)
    assert engine("fp16").built
    (warning,) = warnings(caplog)
    named = {"fp32": "of another variant, onnx", "11.4.0": "of another tensorrt"}
    assert named[other] in warning


def test_a_link_is_not_followed(kept, engine, tmp_path, caplog):
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert engine("fp16").built
    assert not kept.is_symlink()
    assert (tmp_path / "elsewhere").exists()
    assert "cannot be read, so it is built again" in warnings(caplog)[0]


@pytest.mark.usefixtures("kept")
def test_only_this_user_may_look_or_write():
    assert cache.folder().stat().st_mode & 0o777 == 0o700
    for path in cache.folder().iterdir():
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_that_others_may_write_to_is_refused(kept, engine, trt10, above):
    where = kept.parent.parent if above else kept.parent
    where.chmod(0o777)
    for variant in ("fp16", "fp32"):
        with pytest.raises(OutputFileError, match=f"{where} must belong.*chmod 700"):
            engine(variant)
    assert len(trt10.builds()) == 1
    where.chmod(0o700)
    assert not engine("fp16").built


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_engine_that_others_may_write_is_built_again(kept, engine, caplog, mode):
    kept.chmod(mode)
    assert engine("fp16").built
    assert f"{kept} is not used but built again: others may write it." in (
        warnings(caplog)
    )
    assert not engine("fp16").built


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_refused(kept, engine):
    os.chown(kept.parent, 65534, 65534)
    with pytest.raises(OutputFileError, match="must belong to this user"):
        engine("fp16")


def test_a_folder_that_cannot_be_made_costs_the_keeping_only(
    trt10, engine, user_cache, caplog
):
    user_cache.parent.mkdir(parents=True)
    user_cache.write_text("a file where the folder should be")
    for _ in range(2):
        made = engine("fp16")
        assert (made.built, made.path) == (True, None)
    assert len(trt10.builds()) == 2
    assert "the engine is not kept" in warnings(caplog)[0]


def test_a_read_only_disk_gives_what_it_has_and_takes_nothing(
    disk, engine, trt10, caplog
):
    disk("1m")
    first = engine("fp16")
    disk("ro")
    second = engine("fp16")
    assert (second.built, second.path) == (False, first.path)
    assert warnings(caplog) == []
    third = engine("fp32")
    assert (third.built, third.path) == (True, None)
    assert "cannot be written to" in warnings(caplog)[0]
    assert len(trt10.builds()) == 2


def fill(path):
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))


@pytest.mark.usefixtures("trt10")
def test_a_full_disk_leaves_no_part_and_what_was_there(disk, engine, caplog):
    where = disk("256k")
    old = engine("fp16")
    fill(where / "filler")
    made = engine("fp32")
    assert (made.built, made.path) == (True, None)
    assert "No space left on device" in warnings(caplog)[0]
    assert not list(where.rglob("*.part"))
    assert not engine("fp16").built
    assert old.path.exists()
    (where / "filler").unlink()
    assert engine("fp32").path is not None


def test_files_of_limited_length_leave_no_part(trt10, process, user_cache):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    out, err = process(before=limit).communicate(timeout=120)
    assert out.splitlines()[-1].startswith("[true")
    assert "the engine is not kept and will be built again" in err
    assert "File too large" in err
    assert len(trt10.builds()) == 1
    assert not list(user_cache.rglob("*.part"))
    assert not list(user_cache.rglob("*.engine"))


def test_a_part_that_a_killed_process_left_is_used_up(kept, engine):
    part = kept.with_name(f".{kept.name}.part")
    part.write_bytes(b"half")
    engine("fp16", rebuild=True)
    assert not part.exists()
    assert not engine("fp16").built


def test_a_lock_is_waited_for(tmp_path, caplog):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    entered = threading.Event()

    def enter():
        with cache.locked(path, "somebody has it"):
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    while not warnings(caplog):
        time.sleep(0.01)
    assert warnings(caplog) == ["somebody has it"]
    assert not entered.is_set()
    holder.communicate("let go\n")
    waiting.join()
    assert entered.is_set()


def test_clear_deletes_engines_timings_and_parts(kept, engine):
    engine("fp32")
    kept.with_name(f".{kept.name}.part").write_bytes(b"half")
    gone = cache.clear()
    suffixes = sorted(entry.path.suffix for entry in gone)
    assert suffixes == [".cache", ".engine", ".engine", ".part"]
    assert all(entry.bytes > 0 for entry in gone)
    assert not kept.exists()
    assert cache.clear() == []
    assert engine("fp16").built


def test_clear_may_keep_the_newest(kept, engine):
    newer = engine("fp32").path
    os.utime(kept, (1, 1))
    assert [entry.path for entry in cache.clear(keep_newest=1)] == [kept]
    assert newer.exists()
    assert not engine("fp32").built


def test_the_newest_of_a_variant_is_found_however_it_was_built(
    engine, bundle, facts, trt10
):
    (net,) = bundle.manifest.graphs
    (variant,) = [v for v in bundle.manifest.variants if v.name == "fp16"]
    assert engines.find(bundle, net, variant, facts) is None
    for number, io_formats in enumerate(("auto", "float32", "auto")):
        made = engine("fp16", options=Options(io_formats=io_formats))
        assert engines.find(bundle, net, variant, facts).fingerprint == made.fingerprint
        os.utime(made.path, (number + 1, number + 1))
    assert len(trt10.builds()) == 2
    engine("fp32")
    made = engines.find(bundle, net, variant, facts)
    assert made.fingerprint.io_formats == "auto"
    made.path.write_bytes(b"damaged")
    assert engines.find(bundle, net, variant, facts).fingerprint.io_formats == "float32"


def test_clear_of_nothing():
    assert cache.clear() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"workspace_mb": 0}, "workspace_mb must be 1 to"),
        ({"optimization_level": 6}, "optimization_level must be 0 to 5, got 6"),
        ({"aux_streams": -1}, "aux_streams must be 0 to 64, got -1"),
        ({"aux_streams": 65}, "aux_streams must be 0 to 64, got 65"),
        ({"io_formats": "int8"}, "io_formats must be 'auto' or 'float32', got 'int8'"),
    ],
)
def test_options_that_are_none(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Options(**change)


def test_a_fingerprint_names_what_differs(bundle, facts):
    def of(**changes):
        net, variant = bundle.manifest.graphs[0], bundle.manifest.variants[0]
        return fingerprint.fingerprint_of(
            bundle, net, variant, facts, "10.3.0", Options(**changes)
        )

    assert of() == of(workspace_mb=1024)
    assert of().key == of(workspace_mb=1024).key
    other = of(io_formats="float32", workspace_mb=7)
    assert other.key != of().key
    assert of().differences(other) == {
        "workspace_mb": (1024, 7),
        "io_formats": ("auto", "float32"),
    }
