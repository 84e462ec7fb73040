"""A file is whole, whatever happens while it is written."""

from __future__ import annotations

import os

import pytest

from fuseg.host import files


@pytest.mark.parametrize("locked", [False, True])
def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch, locked):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def note(*arguments, name=name, real=real):
            done.append(name)
            return real(*arguments)

        monkeypatch.setattr(files.os, name, note)
    path = tmp_path / "a"
    files.write_file(path, b"new", 0o600, locked=locked)
    assert done == ["fsync", "replace"]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_process_left_is_overwritten_under_a_lock(tmp_path):
    (tmp_path / ".a.part").write_bytes(b"half of some")
    files.write_file(tmp_path / "a", b"new", locked=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / ".a.part").symlink_to(tmp_path / "other")
    with pytest.raises(files.OutputFileError, match="a cannot be written"):
        files.write_file(tmp_path / "a", b"new", locked=True)
    assert (tmp_path / "other").read_bytes() == b"kept"
