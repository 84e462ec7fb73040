"""Files that are not exactly a bundle. Each is a good one but for one thing."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuseg.bundle import Bundle
from fuseg.errors import BundleError, FusegError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "b.fuseg"


@pytest.mark.parametrize("data", [b"", b"P", b"PK\5\6" + bytes(18), b"\x89PNG" * 50])
def test_what_is_no_zip_with_members_is_refused(refusal, data):
    assert refusal(data) == "it is not a bundle: it is not a zip file."


def test_no_member_at_all_is_refused(good, refusal):
    refusal(b"PK\3\4" + good.forge([]))


def test_a_folder_and_a_device_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(BundleError, match="not a bundle: it is not a regular file"):
            Bundle.open(place)


@pytest.mark.parametrize("start", [b"PK\3\4", b"MZ\0\0"])
def test_a_huge_foreign_file_is_refused_without_reading_it(path, start):
    with path.open("wb") as file:
        file.write(start)
        file.truncate(6 << 30 if start == b"PK\3\4" else 3 << 30)
    tracemalloc.start()
    with pytest.raises(BundleError, match="is not a bundle"):
        Bundle.open(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_manifest_above_4_mib_is_refused(good, path, refusal):
    text = good.listing()
    whole = text + b" " * ((4 << 20) - len(text))
    path.write_bytes(good.forge(good.entries(text=whole)))
    assert Bundle.open(path).manifest.name == "small"
    longer = good.forge(good.entries(text=whole + b" "))
    assert refusal(longer).startswith("its manifest must be at most 4 MiB, got")


def test_a_member_that_is_not_listed_is_refused(good, refusal):
    more = good.members | {"more.npy": b"x"}
    data = good.forge(good.entries(more, good.listing()))
    assert refusal(data) == "member 'more.npy' is not listed in the manifest's files."


def test_a_listed_member_that_is_missing_is_refused(good, refusal):
    fewer = {name: data for name, data in good.members.items() if name != "f.onnx"}
    data = good.forge(good.entries(fewer, good.listing()))
    assert "member 'f.onnx', which the manifest names, is missing." in refusal(data)


def test_a_member_with_another_size_or_sha256_is_refused(good, refusal):
    labels = good.members["s/labels.npy"]
    for content, sentence in (
        (labels + b"x", "member 's/labels.npy' must be 148 bytes, got 149."),
        (labels[:-1] + b"x", "member 's/labels.npy' does not have the sha256 it must"),
    ):
        swapped = good.members | {"s/labels.npy": content}
        data = good.forge(good.entries(swapped, good.listing()))
        assert refusal(data).startswith(sentence)


def test_a_bad_manifest_is_refused_by_file_and_path_of_the_value(good, refusal):
    value = json.loads(good.listing())
    value["inputs"][0]["resize"]["filtr"] = 1
    data = good.forge(good.entries(text=json.dumps(value).encode()))
    sentence = "manifest.json: inputs[0].resize.filtr is not a key of the format"
    assert refusal(data).startswith(sentence)


def test_flipping_any_bit_of_any_byte_is_refused(good, refusal):
    data = good.forge(good.entries())
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        refusal(bytes(flipped))


# The fixtures are constants and the file is written anew for each example.
FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12))
def test_any_bytes_changed_are_refused_or_harmless(good, path, changes):
    data = good.forge(good.entries())
    changed = bytearray(data)
    for where, value in changes:
        changed[int(where * (len(data) - 1))] = value
    path.unlink(missing_ok=True)
    path.write_bytes(bytes(changed))
    try:
        Bundle.open(path)
    except FusegError:
        assert bytes(changed) != data
    else:
        assert bytes(changed) == data


@FUZZ
@given(
    member=st.sampled_from(["manifest.json", "f.onnx", "s/depth.npy", "s/labels.npy"]),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    patch=st.binary(max_size=12),
)
def test_contents_changed_with_all_digests_made_right_raise_nothing_else(
    good, path, member, cut, patch
):
    members = dict(good.members)
    text = good.listing()
    old = text if member == "manifest.json" else members[member]
    begin, end = sorted(int(part * len(old)) for part in cut)
    new = old[:begin] + patch + old[min(end, begin + 12) :]
    if member == "manifest.json":
        text = new
    else:
        members[member] = new
        text = good.listing(members)
    path.unlink(missing_ok=True)
    path.write_bytes(good.forge(good.entries(members, text)))
    try:
        bundle = Bundle.open(path)
    except FusegError:
        assert new != old
    else:
        bundle.samples()
        for name, data in members.items():
            assert bundle.read(name) == data
            digest = hashlib.sha256(data).hexdigest()
            assert bundle.manifest.files[name].sha256 == digest
