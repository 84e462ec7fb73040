"""``--no-spinning`` reaches the backend of every command that runs one."""

from __future__ import annotations

import pytest

from fuseg.backends import onnxruntime


@pytest.mark.parametrize("words", [[], ["--no-spinning"]])
@pytest.mark.parametrize("command", ["run", "verify", "bench", "tune"])
def test_the_engines_threads_may_spin_unless_told_otherwise(
    fuseg, sampled, pair_of_files, tmp_path, monkeypatch, command, words
):
    path, allowed = sampled(), []

    def open_session(model, *, threads, spinning="always"):
        if threads == 2:  # a bundle's first run has one: nobody waits
            allowed.append(spinning == "always")
        return made(model, threads=threads, spinning=spinning)

    made = onnxruntime.open_session
    monkeypatch.setattr(onnxruntime, "open_session", open_session)
    given = {
        "run": [*pair_of_files, "--out", tmp_path / "out"],
        "bench": ["--rounds", "1", "--backend", "onnxruntime"],
        "tune": ["--rounds", "1"],
    }.get(command, [])
    done = fuseg(command, path, "--threads", "2", *given, *words)
    assert done.code == 0, done.stderr
    assert set(allowed) == {not words}
