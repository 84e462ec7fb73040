"""Reading .npy members: plain arrays of five element types, and nothing else."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError

__all__ = ["read_npy"]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:SIDE, ?){1,3}(?:SIDE)?)\), \} *\n".replace(
        b"SIDE", rb"(?:0|[1-9]\d{0,8})"
    )
)
_DTYPES = {
    dtype.encode(): np.dtype(dtype) for dtype in ("|u1", "<u2", "<i2", "<i8", "<f4")
}


def read_npy(data: memoryview, *, may_be_empty: bool = False) -> NDArray[Any]:
    """View the array in the bytes of an .npy file; nothing is evaluated or copied.

    Raises:
        BundleError: it is not version 1.0 as `numpy.save` writes it, not uint8,
            uint16, int16, int64 or float32 in C order, holds objects, is cut off, or
            has nothing in it.
    """
    length = int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(bytes(data[10 : 10 + length]))
    shape: tuple[int, ...] = ()
    if header is not None:
        shape = tuple(int(side) for side in header[3].split(b",") if side.strip())
    empty = 0 in shape and not may_be_empty
    if bytes(data[:8]) != _MAGIC or header is None or empty:
        raise BundleError(
            "it is not an .npy file, version 1.0, of a plain and non-empty array."
        )
    if b"O" in header[1]:
        raise BundleError("it holds Python objects, which need pickle to be read.")
    if header[1] not in _DTYPES or header[2] != b"False":
        raise BundleError(
            "it must hold uint8, uint16, int16, int64 or float32 in C order, got "
            f"{header[1].decode('latin-1')!a}, fortran_order {header[2].decode()}."
        )
    dtype = _DTYPES[header[1]]
    body = data[10 + length :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise BundleError(f"its size does not fit the shape it states, {shape}.")
    return np.frombuffer(body, dtype).reshape(shape)
