from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def widest_level() -> int: ...
def use_level(level: int) -> None: ...

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
    out: NDArray[np.uint8],
) -> int: ...
def pack_color_scratch_bytes(width: int, out_width: int) -> int: ...
def pack_color_cpu(
    frame: NDArray[np.uint8],
    out: NDArray[np.float32],
    multiply: Sequence[float],
    add: Sequence[float],
    swap: bool,
    filter: int,
    scratch: NDArray[np.uint8],
) -> None: ...
def pack_depth_scratch_bytes(out_width: int) -> int: ...
def pack_depth_cpu(
    frame: NDArray[Any],
    out: NDArray[np.float32],
    multiply: float,
    add: float,
    invalid: NDArray[np.float32],
    fill: float,
    filter: int,
    scratch: NDArray[np.uint8],
) -> int: ...
def has_reading_cpu(
    frame: NDArray[Any],
    out_height: int,
    out_width: int,
    invalid: NDArray[np.float32],
    filter: int,
) -> bool: ...

class UpsampleArgmaxPlan:
    def __init__(
        self,
        shape: tuple[int, int, int, int],
        half: bool,
        size: tuple[int, int],
        rows: tuple[int, int, int],
        columns: tuple[int, int, int],
        threads: int,
    ) -> None: ...
    def run(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any],
        confidence: NDArray[np.float32] | None = None,
    ) -> None: ...
