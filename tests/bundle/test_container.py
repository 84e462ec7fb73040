"""Files that are not exactly a bundle. Each is a good one but for one thing."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from fuseg.bundle import Bundle
from fuseg.bundle.container import pack, unpack
from fuseg.errors import BundleError
from fuseg.manifest.variants import is_member_name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "b.fuseg"


def test_the_forged_zip_without_any_change_is_a_bundle(good, path):
    path.write_bytes(good.forge(good.entries()))
    assert Bundle.open(path).read("f.onnx") == good.members["f.onnx"]


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "a/../x", "/etc/x", "\\x", "..\\x", "C:x", "x/", "a//x", "./x", ".x"),
        *("a b", "x\n", "x\0", "\x1b[2J", "é", "-x", "", "x" * 201),
    ],
)
def test_a_name_that_could_leave_the_folder_is_refused(good, refusal, name):
    rows = [*good.entries(), {"name": name.encode(), "data": b"x"}]
    assert refusal(good.forge(rows)).startswith("a member's name must be a relat")


@pytest.mark.parametrize("other", [b"f.onnx", b"manifest.json"])
def test_a_name_used_twice_is_refused(good, refusal, other):
    rows = good.entries()
    rows.append(next(row for row in rows if row["name"] == other))
    assert refusal(good.forge(rows)) == f"it holds member {other.decode()!r} twice."


# What one header says of the second member while the other header says the truth.
FORGED = [
    ({"method": 8}, "member 'f.onnx' is compressed: a bundle stores"),
    ({"flags": 1}, "member 'f.onnx' is encrypted"),
    ({"flags": 8}, "the directory entry of member 'f.onnx' is not"),
    ({"flags": 2048}, "the directory entry of member 'f.onnx' is not"),
    ({"stored": 9}, "member 'f.onnx' is compressed"),
    ({"size": 9}, "member 'f.onnx' is compressed"),
    ({"stored": 9, "size": 9}, "the header of member 'f.onnx' differs"),
    ({"crc": 9}, "the header of member 'f.onnx' differs"),
    ({"version": 45}, "the directory entry of member 'f.onnx' is not"),
    ({"time": 1}, "the directory entry of member 'f.onnx' is not"),
    ({"date": 34}, "the directory entry of member 'f.onnx' is not"),
    ({"made_by": 20}, "the directory entry of member 'f.onnx' is not"),
    ({"disk": 1}, "the directory entry of member 'f.onnx' is not"),
    ({"internal": 1}, "the directory entry of member 'f.onnx' is not"),
    ({"attributes": 0o120777 << 16}, "the directory entry of member 'f.onnx' is n"),
    ({"attributes": 0o100755 << 16}, "the directory entry of member 'f.onnx' is n"),
    ({"attributes": 16}, "the directory entry of member 'f.onnx' is not"),
    ({"at": 0}, "member 'f.onnx' must follow the one before it"),
    ({"at": 0xFFFFFFFF}, "member 'f.onnx' must follow the one before it"),
    ({"note": 1}, "the directory entry of member 'f.onnx' is not as fuseg writes"),
    ({"extra": 4}, "the directory entry of member 'f.onnx' is not as fuseg writes"),
    ({"length": 5}, "the header of member 'f.onn' differs"),
    ({"length": 99}, "a member's name must be a relative path"),
]


@pytest.mark.parametrize(("fields", "sentence"), FORGED)
def test_a_forged_directory_entry_is_refused(good, refusal, fields, sentence):
    rows = good.entries()
    rows[1]["central"] = fields
    assert refusal(good.forge(rows)).startswith(sentence)


LOCAL_FIELDS = ("version", "flags", "method", "time", "date", "crc", "stored", "size")


@pytest.mark.parametrize("field", LOCAL_FIELDS)
def test_a_local_header_that_differs_from_the_directory_is_refused(
    good, refusal, field
):
    rows = good.entries()
    rows[1]["local"] = {field: 9}
    assert refusal(good.forge(rows)).startswith("the header of member 'f.onnx' di")


def test_another_name_in_the_local_header_is_refused(good, refusal):
    rows = good.entries()
    rows[1]["local_name"] = b"g.onnx"
    assert refusal(good.forge(rows)).startswith("the header of member 'f.onnx' di")


def test_forging_both_headers_alike_is_refused_too(good, refusal):
    for field, value in (("flags", 1), ("method", 8), ("date", 34), ("crc", 7)):
        rows = good.entries()
        rows[1]["central"] = rows[1]["local"] = {field: value}
        assert "member 'f.onnx'" in refusal(good.forge(rows))


def test_a_checksum_wrong_in_both_headers_is_refused(good, refusal):
    rows = good.entries()
    rows[0]["central"] = rows[0]["local"] = {"crc": 7}
    sentence = "member 'manifest.json' is damaged: its checksum is wrong."
    assert refusal(good.forge(rows)) == sentence


def test_a_size_beyond_the_end_in_both_headers_is_refused(good, refusal):
    rows = good.entries()
    rows[3]["central"] = rows[3]["local"] = {"size": 1 << 30, "stored": 1 << 30}
    assert (
        refusal(good.forge(rows)) == "member 's/labels.npy' does not fit into the file."
    )


@pytest.mark.parametrize("place", range(1, 4))
def test_bytes_between_members_are_refused(good, refusal, place):
    rows = good.entries()
    rows[place]["before"] = b"#!/bin/sh\n"
    assert "must follow the one before it" in refusal(good.forge(rows))


def test_bytes_between_members_and_directory_are_refused(good, refusal):
    rows = good.entries()
    data = good.forge(rows)
    start = struct.unpack("<L", data[-6:-2])[0]
    hidden = data[:start] + b"hidden" + data[start:-6] + struct.pack("<L", start + 6)
    assert refusal(hidden + b"\0\0") == "it has bytes that belong to no member."


def test_two_names_for_one_members_bytes_are_refused(good, refusal):
    rows = good.entries()
    data = good.forge(rows)
    start = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", start + 1)
    third = data.index(b"PK\1\2", second + 1)
    twin = data[second:third].replace(b"f.onnx", b"g.onnx")
    size = len(data) - start - 22 + len(twin)
    end = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 5, 5, size, start, 0)
    overlap = data[:third] + twin + data[third:-22] + end
    assert "must follow the one before it" in refusal(overlap)


def test_members_out_of_order_are_refused(good, refusal):
    first, second, *rest = good.entries()
    assert "its first member is not manifest.json" in refusal(
        good.forge([second, first, *rest])
    )
    assert refusal(good.forge([first, *rest, second])) == (
        "its members are not in order: it was repacked."
    )


@pytest.mark.parametrize("field", ["disk", "first_disk", "here", "count", "size", "at"])
@pytest.mark.parametrize("value", [3, 0xFFFF])
def test_a_forged_end_record_is_refused(good, refusal, field, value):
    sentence = refusal(good.forge(good.entries(), end={field: value}))
    assert sentence.startswith("its end record does not fit the file, or is in zip64")


@pytest.mark.parametrize("count", [3, 5])
def test_a_count_that_is_not_that_of_the_directory_is_refused(good, refusal, count):
    end = {"here": count, "count": count}
    sentence = refusal(good.forge(good.entries(), end=end))
    assert sentence in {
        "it has bytes that belong to no member.",
        "its central directory is damaged.",
    }


@pytest.mark.parametrize("more", [b"?", b"PK\1\2", b"PK\1\2" + bytes(60)])
@pytest.mark.parametrize("count", [4, 5])
def test_more_in_the_directory_than_entries_is_refused(good, refusal, more, count):
    rows = good.entries()
    rows[-1]["extra"] = more
    refusal(good.forge(rows, end={"here": count, "count": count}))


def test_too_many_members_are_refused_in_both_directions(good, refusal, monkeypatch):
    data = good.forge(good.entries())
    monkeypatch.setattr("fuseg.bundle.container._MOST_MEMBERS", 4)
    assert list(unpack(memoryview(data))) == ["manifest.json", *sorted(good.members)]
    assert pack(good.listing(), good.members) == data
    monkeypatch.setattr("fuseg.bundle.container._MOST_MEMBERS", 3)
    sentence = "it must hold at most 3 members, got 4."
    assert refusal(data) == sentence
    with pytest.raises(BundleError, match=sentence):
        pack(good.listing(), good.members)


@pytest.mark.parametrize("data", [b"", b"PK\5\6", b"PK\3\4PK\5\6"])
def test_less_than_an_end_record_is_refused(data):
    with pytest.raises(BundleError, match="it was cut off"):
        unpack(memoryview(data))


def test_a_name_of_200_characters_is_the_longest():
    assert is_member_name("x" * 200)
    assert not is_member_name("x" * 201)


def test_a_zip64_end_record_is_refused(good, refusal):
    data = good.forge(good.entries())
    start, end = data.index(b"PK\1\2"), len(data) - 22
    sizes = (4, 4, end - start, start)
    record = b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, *sizes)
    locator = b"PK\6\7" + struct.pack("<LQL", 0, end, 1)
    last = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    zip64 = data[:end] + record + locator + last
    assert zipfile.ZipFile(io.BytesIO(zip64)).testzip() is None
    assert "or is in zip64 form" in refusal(zip64)
    hidden = data[:end] + record + locator + data[end:]
    assert "end record does not fit the file" in refusal(hidden)


def test_a_file_cut_off_anywhere_is_refused(good, refusal):
    data = good.forge(good.entries())
    for length in range(len(data)):
        refusal(data[:length])


@pytest.mark.parametrize("tail", [b"\0", b"PK\5\6", b"x" * 70_000])
def test_something_added_at_the_end_is_refused(good, refusal, tail):
    data = good.forge(good.entries())
    assert "or something was added at its end" in refusal(data + tail)


def test_a_comment_at_the_end_is_refused(good, refusal):
    data = good.forge(good.entries(), end={"note": 5}) + b"hello"
    assert zipfile.ZipFile(io.BytesIO(data)).comment == b"hello"
    assert "it was cut off, or something was added" in refusal(data)


@pytest.mark.parametrize("head", [b"#!/bin/sh\n", b"PK\3\4", b"\0"])
def test_something_in_front_is_refused(good, refusal, head):
    refusal(head + good.forge(good.entries()))


def test_an_ordinary_zip_of_the_same_members_is_refused(good, refusal):
    for method, sentence in (
        (zipfile.ZIP_STORED, "the directory entry of member 'manifest.json' is not as"),
        (zipfile.ZIP_DEFLATED, "member 'manifest.json' is compressed"),
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for row in good.entries():
                archive.writestr(row["name"].decode(), row["data"])
        assert refusal(file.getvalue()).startswith(sentence)


def test_a_bomb_is_refused_without_inflating_it(good, refusal):
    squeezed = zlib.compress(bytes(200_000_000), 9)[2:-4]
    rows = good.entries()
    facts = {"method": 8, "size": 200_000_000, "stored": len(squeezed)}
    rows[1] |= {"data": squeezed, "central": facts, "local": facts}
    data = good.forge(rows)
    tracemalloc.start()
    sentence = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sentence.startswith("member 'f.onnx' is compressed")
    assert peak < 3 * len(data) + 1_000_000
