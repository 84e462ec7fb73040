from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Result = TypeVar("_Result")

def levels() -> list[int]: ...
def use_level(level: int) -> None: ...
def native_call(
    function: Callable[..., _Result], /, *arguments: Any, **named: Any
) -> _Result: ...
def finish_native_calls() -> None: ...
def after_fork() -> bool: ...

class CallLock:
    def __init__(self) -> None: ...
    def call(
        self, function: Callable[..., _Result], /, *arguments: Any, **named: Any
    ) -> _Result: ...

def confusion_matrix_scratch(classes: int, threads: int) -> int: ...
def confusion_matrix_cpu(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    ignore: int,
    threads: int,
    scratch: NDArray[np.uint32],
    counts: NDArray[np.int64],
) -> list[int]: ...

class FuseArgmaxPlan:
    def __init__(
        self,
        classes: int,
        grids: Sequence[tuple[int, int]],
        size: tuple[int, int],
        how: int,
        align_corners: bool,
        weights: NDArray[np.float32],
        ignore: int,
        threads: int,
    ) -> None: ...
    def run(
        self,
        maps: Sequence[NDArray[Any]],
        valid: Sequence[NDArray[np.uint8] | None],
        labels: NDArray[Any],
        confidence: NDArray[np.float32] | None,
        source: NDArray[np.uint8] | None,
    ) -> None: ...

def overlay_cpu(
    labels: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    frame: NDArray[np.uint8] | None,
    alpha: int,
    ignore: int,
    threads: int,
    out: NDArray[np.uint8],
) -> int: ...

class ColorPlan:
    def __init__(
        self,
        height: int,
        width: int,
        placement: Sequence[int],
        pixel_bytes: int,
        channel: Sequence[int],
        filter: int,
        multiply: Sequence[float],
        add: Sequence[float],
        fill: float,
        element: int,
        out_dtype: np.dtype[Any],
        threads: int,
        chw4_channel: int,
    ) -> None: ...
    def pack(self, frame: object, out: object) -> bool: ...
    def takes(self, frame: object) -> bool: ...

class DepthPlan:
    def __init__(
        self,
        frame_dtype: np.dtype[Any],
        height: int,
        width: int,
        placement: tuple[int, ...],
        filter: int,
        invalid: Sequence[float],
        below: float,
        above: float,
        multiply: float,
        add: float,
        fill: float,
        out_dtype: np.dtype[Any],
        threads: int,
        chw4_channel: int,
    ) -> None: ...
    def pack(self, frame: object, out: object, valid: object) -> int: ...
    def has_reading(self, frame: object) -> int: ...

class UpsampleArgmaxPlan:
    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        size: tuple[int, int],
        rows: tuple[int, int, int],
        columns: tuple[int, int, int],
        threads: int,
        pitch: int,
    ) -> None: ...
    def run(
        self, scores: object, labels: object, confidence: object, nan_samples: object
    ) -> bool: ...
