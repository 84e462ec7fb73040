"""What is kept in the user's cache, and what is not believed there."""

from __future__ import annotations

import json
import logging
import stat

import pytest

from fuseg import errors, machine, tuning
from fuseg.tuning import Measured

DIGEST = "0123456789abcdef" * 4
FAST = Measured("onnxruntime", "int8-cpu", 3.5)
SLOW = Measured("onnxruntime", "fp32", 8.0)


@pytest.fixture
def warnings(caplog):
    """Sentences of level WARNING and above."""
    caplog.set_level(logging.WARNING, logger="fuseg")
    return lambda: [record.getMessage() for record in caplog.records]


def test_what_is_stored_is_read_the_fastest_first():
    tuning.store(DIGEST, 2, [SLOW, FAST])
    found = tuning.stored(DIGEST, 2)
    assert found.measured == (FAST, SLOW)
    assert (found.digest, found.threads, found.outdated) == (DIGEST, 2, False)
    assert tuning.everything() == [found]


def test_a_second_tuning_takes_the_place_of_the_first():
    tuning.store(DIGEST, 2, [SLOW, FAST])
    tuning.store(DIGEST, 2, [SLOW])
    assert tuning.stored(DIGEST, 2).measured == (SLOW,)
    assert len(tuning.everything()) == 1


def test_another_bundle_thread_count_or_cpu_has_its_own(monkeypatch):
    tuning.store(DIGEST, 2, [FAST])
    assert tuning.stored("f" * 64, 2) is None
    assert tuning.stored(DIGEST, 3) is None
    monkeypatch.setattr(machine, "cpu_name", lambda: "another CPU")
    assert tuning.stored(DIGEST, 2) is None


def test_no_thread_count_is_one_for_each_core(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    tuning.store(DIGEST, None, [FAST])
    assert tuning.stored(DIGEST, 6).measured == (FAST,)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert tuning.stored(DIGEST, None) is None


def test_the_folder_is_the_users_alone(user_cache):
    path = tuning.store(DIGEST, 2, [FAST])
    assert path.parent == user_cache
    assert stat.S_IMODE(user_cache.stat().st_mode) == 0o700
    assert [p.name for p in user_cache.iterdir()] == [path.name]  # nothing half-written


@pytest.mark.parametrize("base", ["", "relative/cache"])
def test_without_an_absolute_xdg_cache_home_it_is_in_the_home(
    monkeypatch, tmp_path, base
):
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tuning.store(DIGEST, 2, [FAST]).parent == tmp_path / ".cache" / "fuseg"


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
        lambda text: text.replace(machine.cpu_name(), "another CPU"),
    ],
)
def test_a_damaged_or_foreign_file_is_ignored_with_a_warning(damage, warnings):
    path = tuning.store(DIGEST, 2, [FAST])
    path.write_text(damage(path.read_text()), "latin-1")
    assert tuning.stored(DIGEST, 2) is None
    (sentence,) = warnings()
    assert sentence.startswith(f"{path} is ignored")
    tuning.store(DIGEST, 2, [FAST])
    assert tuning.stored(DIGEST, 2) is not None


def test_a_folder_that_others_may_write_to_is_not_believed(user_cache, warnings):
    path = tuning.store(DIGEST, 2, [FAST])
    user_cache.chmod(0o777)
    assert tuning.stored(DIGEST, 2) is None
    assert warnings() == [f"{path} is ignored: others may write in its folder."]
    with pytest.raises(errors.OutputFileError, match="chmod 700 it"):
        tuning.store(DIGEST, 2, [FAST])


def test_a_folder_that_cannot_be_made_is_a_sentence(user_cache):
    user_cache.parent.write_bytes(b"")
    with pytest.raises(errors.OutputFileError, match=f"{user_cache} cannot be made"):
        tuning.store(DIGEST, 2, [FAST])
    assert tuning.stored(DIGEST, 2) is None
    assert tuning.everything() == []


def test_a_pass_is_remembered_for_its_engine_variant_and_versions(monkeypatch):
    assert not tuning.has_passed(DIGEST, "onnxruntime", "fp16")
    tuning.remember_pass(DIGEST, "onnxruntime", "fp16")
    assert tuning.has_passed(DIGEST, "onnxruntime", "fp16")
    assert not tuning.has_passed(DIGEST, "openvino", "fp16")
    assert not tuning.has_passed(DIGEST, "onnxruntime", "int8-cpu")
    monkeypatch.setattr("fuseg.backends.installed", lambda: {"onnxruntime": "9"})
    assert not tuning.has_passed(DIGEST, "onnxruntime", "fp16")
