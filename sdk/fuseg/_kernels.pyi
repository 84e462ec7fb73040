from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def widest_level() -> int: ...
def use_level(level: int) -> None: ...
def overlay_cpu(
    labels: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    frame: NDArray[np.uint8] | None,
    alpha: int,
    ignore: int,
    threads: int,
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
def upsample_argmax_scratch_bytes(
    classes: int, height: int, width: int, out_height: int, out_width: int
) -> int: ...
def upsample_argmax_cpu(
    scores: NDArray[np.float32],
    labels: NDArray[np.uint8],
    confidence: NDArray[np.float32] | None,
    align_corners: bool,
    scratch: NDArray[np.uint8],
) -> None: ...
