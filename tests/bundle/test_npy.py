"""Arrays in a bundle: read without evaluating anything."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fuseg.bundle.npy import read_npy
from fuseg.errors import BundleError


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), **options)
    return file.getvalue()


def read(data):
    return read_npy(memoryview(data))


def with_header(text, body=b"", version=b"\1\0"):
    text = text.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + body


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=5),
    )
)
def test_reads_what_numpy_saved(array):
    back = read(npy(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


SHELL = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }\n"


def test_the_header_spelled_by_hand_is_read():
    assert read(with_header(SHELL, b"\1\2\3\4")).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (npy(np.array([{}, 1], object)), "it holds Python objects, which need pickle"),
        (pickle.dumps([1]), "it is not an .npy file"),
        (b"", "it is not an .npy file"),
        (
            npy(np.ones(3, np.uint8), version=(2, 0)),
            "it is not an .npy file, version 1",
        ),
        (
            npy(np.ones(3, np.float64)),
            "must hold uint8, uint16, int16, int64 or float32 in C order, g",
        ),
        (
            npy(np.ones(3, ">u2")),
            "must hold uint8, uint16, int16, int64 or float32 in C order, got '>",
        ),
        (
            npy(np.ones(3, "U5")),
            "must hold uint8, uint16, int16, int64 or float32 in C order, got '<U",
        ),
        (
            npy(np.ones((2, 3), np.uint8, "F")),
            "in C order, got '|u1', fortran_order Tru",
        ),
        (npy(np.ones(3, [("a", "u1"), ("b", "O")])), "it is not an .npy file"),
        (npy(np.ones((0, 3), np.uint8)), "a plain and non-empty array"),
        (npy(np.uint8(3)), "it is not an .npy file"),
        (
            npy(np.ones((2, 2), np.uint8))[:-1],
            "its size does not fit the shape it state",
        ),
        (
            npy(np.ones((2, 2), np.uint8)) + b"x",
            "its size does not fit the shape it sta",
        ),
        (npy(np.ones(3, np.uint8))[:40], "it is not an .npy file"),
        (
            with_header(SHELL.replace("(2, 2)", "(9**9, 1)"), b"1234"),
            "is not an .npy file",
        ),
        (
            with_header(SHELL.replace("False", "exit()"), b"1234"),
            "it is not an .npy file",
        ),
        (
            with_header(SHELL.replace("2, 2", "1, " * 99), b"1"),
            "it is not an .npy file",
        ),
        (
            with_header(SHELL.replace("2, 2", "999999999, 9999999"), b"1"),
            "does not fit",
        ),
    ],
)
def test_anything_but_a_plain_array_is_refused(data, sentence):
    with pytest.raises(BundleError) as refused:
        read(data)
    assert sentence in str(refused.value)


@settings(max_examples=300)
@given(place=st.integers(0, 139), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_read_as_numpy_would(place, byte):
    data = bytearray(npy(np.arange(12, dtype=np.uint8).reshape(3, 4)))
    data[place] = byte
    try:
        array = read(bytes(data))
    except BundleError:
        return
    expected = np.load(io.BytesIO(bytes(data)), allow_pickle=False)
    assert array.shape == expected.shape
    assert array.tobytes() == expected.tobytes()
