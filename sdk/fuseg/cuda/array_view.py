"""Arrays on a GPU as whoever owns them describes them.

fuseg makes no such array and keeps none. It takes what has the CUDA Array Interface
(PyTorch, CuPy, Numba) or is exported through DLPack. An interface that names no stream
(PyTorch's) cannot order work: DLPack is asked for that, where the owner has both.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, DTypeError

_ON_GPU = (2, 13)  # DLPack: CUDA, CUDA managed
_ON_CPU = (1, 3)  # the CPU's own, and pinned by CUDA
DEFAULT_STREAM = 1  # CUDA's name for the stream that 0 means as well


class Flags(NamedTuple):
    """What `numpy.ndarray.flags` says, as far as the checks ask."""

    c_contiguous: bool
    aligned: bool
    writeable: bool


@dataclass(frozen=True)
class CudaArrayView:
    """An array on a GPU as its owner describes it; to the checks it is like NumPy's."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in bytes
    dtype: np.dtype[Any]
    flags: Flags
    stream: int | None  # the owner's unfinished work is there
    owner: Any  # keeps the memory until the kernel is on its way
    ordered: bool = False  # by the owner, which is asked for that through DLPack

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def itemsize(self) -> int:
        return int(self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> CudaArrayView:
        """One of what lies along the first axis, such as a plane of many."""
        return replace(
            self,
            pointer=self.pointer + number * self.strides[0],
            shape=self.shape[1:],
            strides=self.strides[1:],
            flags=self.flags._replace(c_contiguous=False),  # perhaps; rows are asked
        )

    def last_axis_first(self) -> CudaArrayView:
        """The same memory, as (C, H, W) of (H, W, C)."""
        return replace(
            self,
            shape=(self.shape[-1], *self.shape[:-1]),
            strides=(self.strides[-1], *self.strides[:-1]),
            flags=self.flags._replace(c_contiguous=False),
        )

    def bytes(self) -> tuple[int, int]:
        """The addresses from its first byte to beyond its last."""
        low = high = self.pointer
        for size, stride in zip(self.shape, self.strides, strict=True):
            low += min(0, (size - 1) * stride)
            high += max(0, (size - 1) * stride)
        return low, high + self.itemsize


def as_view(name: str, array: Any) -> Any:
    """Return ``array`` as NumPy's or as a `CudaArrayView`; nothing is copied."""
    if type(array) is np.ndarray or isinstance(array, CudaArrayView):
        return array
    if isinstance(array, np.ndarray):
        if hasattr(array, "mask"):
            raise DTypeError(
                f"{name} must be a plain array, got a masked one, whose mask is not "
                f"looked at. Fill in what it hides: {name}.filled(0)."
            )
        return array
    try:
        interface = _interface_of(array)
        if interface is not None:
            return _from_interface(array, interface)
        if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
            kind = int(array.__dlpack_device__()[0])
            if kind in _ON_CPU:
                return np.from_dlpack(array)
            if kind in _ON_GPU:
                return _from_dlpack(array)
            raise DTypeError(
                f"{name} must be in the memory of the CPU or of a CUDA GPU, got DLPack "
                f"device type {kind}."
            )
    except (BufferError, RuntimeError, TypeError, ValueError) as err:
        if isinstance(err, DTypeError):
            raise
        raise DTypeError(
            f"{name} must be an array that can be shared, got {type(array).__name__} "
            f"that could not be: {err}"
        ) from err
    raise DTypeError(
        f"{name} must be a NumPy array, got {type(array).__name__}. Arrays with DLPack "
        "or the CUDA Array Interface are taken too."
    )


def on_cpu(name: str, array: Any) -> Any:
    """Refuse ``array``, which went through `as_view`, unless it is on the CPU."""
    if isinstance(array, CudaArrayView):
        raise ArgumentError(
            f"{name} must be on the CPU, got an array on the GPU: it is a setting, "
            "read before the kernel starts."
        )
    return array


def share_memory(a: Any, b: Any) -> bool:
    """Whether two arrays of `as_view` may overlap."""
    if isinstance(a, CudaArrayView) and isinstance(b, CudaArrayView):
        (first, end), (other_first, other_end) = a.bytes(), b.bytes()
        return first < other_end and other_first < end
    if isinstance(a, CudaArrayView) or isinstance(b, CudaArrayView):
        return False
    return bool(np.may_share_memory(a, b))


def on_gpu(out: Any, stream: Any, **inputs: Any) -> bool:
    """Whether these arrays, None among them, are on a GPU; a mix is refused.

    ``out`` may be None only on the CPU, ``stream`` must be None there.
    """
    first, *others = inputs
    gpu = isinstance(as_view(first, inputs[first]), CudaArrayView)
    for name in (*others, "out"):
        array = out if name == "out" else inputs[name]
        if array is not None and isinstance(as_view(name, array), CudaArrayView) != gpu:
            where, there = ("GPU", "CPU") if gpu else ("CPU", "GPU")
            raise ArgumentError(
                f"{name} must be on the {where} like {first}, got an array on the "
                f"{there}. Copy one of them."
            )
    if gpu and out is None:
        raise ArgumentError(
            f"out must be given when {first} is on the GPU: fuseg makes no arrays "
            "there."
        )
    if stream is not None and not gpu:
        raise ArgumentError(
            f"stream must be omitted when {first} is on the CPU, got {stream!r}."
        )
    return gpu


def view_at(address: int, shape: tuple[int, ...], dtype: Any) -> CudaArrayView:
    """Dense memory of fuseg's own on the GPU, described as the ops take arrays."""
    return _described(address, shape, None, np.dtype(dtype), True, None, None)


def _interface_of(array: Any) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] | None = getattr(array, "__cuda_array_interface__", None)
    except KeyError:  # an older PyTorch, of a type that it has no word for
        return None
    return found


def _from_interface(owner: Any, interface: dict[str, Any]) -> CudaArrayView:
    if interface.get("mask") is not None:
        raise TypeError("it has a mask")
    pointer, read_only = interface["data"]
    stream = interface.get("stream")
    dtype = np.dtype(interface["typestr"])
    by_dlpack = (
        "stream" not in interface
        and dtype.kind in _CODES.values()
        and hasattr(owner, "__dlpack__")
    )
    return _described(
        int(pointer or 0),
        tuple(int(n) for n in interface["shape"]),
        interface.get("strides"),
        dtype,
        not read_only,
        None if stream is None else int(stream) or DEFAULT_STREAM,
        owner,
        by_dlpack,
    )


def _described(
    pointer: int,
    shape: tuple[int, ...],
    strides: Any,
    dtype: np.dtype[Any],
    writeable: bool,
    stream: int | None,
    owner: Any,
    ordered: bool = False,
) -> CudaArrayView:
    dense, step = [], dtype.itemsize
    for size in reversed(shape):
        dense.append(step)
        step *= size
    dense.reverse()
    steps = dense if strides is None else [int(s) for s in strides]
    contiguous = 0 in shape or all(
        size == 1 or step == wanted
        for size, step, wanted in zip(shape, steps, dense, strict=True)
    )
    align = dtype.alignment
    aligned = pointer % align == 0 and all(step % align == 0 for step in steps)
    flags = Flags(contiguous, aligned, writeable)
    return CudaArrayView(
        pointer, shape, tuple(steps), dtype, flags, stream, owner, ordered
    )


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_CODES = {0: "i", 1: "u", 2: "f"}


def _from_dlpack(array: Any) -> CudaArrayView:
    capsule = array.__dlpack__(stream=-1)  # look only; `launch` orders the work
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype = ctypes.c_void_p
    pointer_of.argtypes = (ctypes.py_object, ctypes.c_char_p)
    tensor = _DLTensor.from_address(pointer_of(capsule, b"dltensor"))
    if tensor.code not in _CODES or tensor.lanes != 1 or tensor.bits % 8:
        raise TypeError(
            f"DLPack type {tensor.code} of {tensor.bits} bits is not known here"
        )
    dtype = np.dtype(f"{_CODES[tensor.code]}{tensor.bits // 8}")
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    strides = None
    if tensor.strides:
        strides = [tensor.strides[i] * dtype.itemsize for i in range(tensor.ndim)]
    pointer = (tensor.data or 0) + tensor.byte_offset
    return _described(pointer, shape, strides, dtype, True, None, array, True)
