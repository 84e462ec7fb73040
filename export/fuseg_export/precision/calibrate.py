"""What values a network meets: the range of each, on frames streamed one by one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from fuseg.errors import ArgumentError, ExportError, InputFileError
from fuseg.host.files import write_file

from ..errors import first_sentence

__all__ = ["METHODS", "Ranges", "cached", "calibrate"]

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "minmax": {},
    "entropy": {"symmetric": False},
    "percentile": {"symmetric": False, "percentile": 99.99},
}

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Ranges:
    """The range of every float value of one network.

    Attributes:
        method: A key of `METHODS`.
        frames: How many were looked at.
        digest: sha256, in hex, of the network, the frames and the method.
        of: (low, high) by the value's name in the graph.
    """

    method: str
    frames: int
    digest: str
    of: Mapping[str, tuple[float, float]]


def calibrate(
    model: onnx.ModelProto, frames: Iterable[Tensors], *, method: str = "minmax"
) -> Ranges:
    """Run a network on frames and keep the range of each value.

    One frame is in memory at a time, however many there are.

    Args:
        model: Float32, of fixed shapes.
        frames: Its input tensors, by name.
        method: ``minmax``, the smallest and largest value seen; ``percentile``, that
            but for one value of 10,000; ``entropy``, the range that loses least
            information (Kullback-Leibler), found by ONNX Runtime's calibrator.

    Raises:
        ArgumentError: There is no frame, or no such method.
        ExportError: A value is NaN or infinite, or ONNX Runtime refuses the network.
    """
    if method not in METHODS:
        raise ArgumentError(
            f"the calibration method must be one of {', '.join(METHODS)}, got "
            f"{method!r}."
        )
    network = model.SerializeToString(deterministic=True)
    digest = _digest(network, method)
    count = 0
    with (
        tempfile.TemporaryDirectory(prefix="fuseg-") as folder,
        contextlib.redirect_stdout(io.StringIO()),  # the calibrators print
    ):
        path = Path(folder, "network.onnx")
        path.write_bytes(network)
        try:
            calibrator = create_calibrator(
                path,
                augmented_model_path=str(Path(folder, "observed.onnx")),
                calibrate_method=METHODS[method],
                extra_options=_OPTIONS[method],
            )
            for tensors in frames:
                _require_finite(tensors, count)
                _add(digest, tensors)
                calibrator.collect_data(_Once(tensors))
                count += 1
            found = calibrator.compute_data() if count else {}
        except ArgumentError:  # about a frame; it is a ValueError, too
            raise
        except (RuntimeError, ValueError) as err:
            raise ExportError(
                f"the network cannot be calibrated: {first_sentence(err)}."
            ) from err
    if not count:
        raise ArgumentError("calibration needs at least one frame, got none.")
    of = {name: _range(name, data.range_value) for name, data in found.items()}
    return Ranges(method, count, digest.hexdigest(), of)


def cached(
    path: Path,
    model: onnx.ModelProto,
    frames: Callable[[], Iterable[Tensors]],
    *,
    method: str,
) -> Ranges:
    """As `calibrate`, but kept in a file, which serves this network, these frames only.

    Args:
        path: JSON; made, or made anew where it is of something else.
        frames: Gives them anew with each call.

    Raises:
        InputFileError: The file is there and holds no ranges.
        OutputFileError: It cannot be written.
    """
    digest = _digest(model.SerializeToString(deterministic=True), method)
    for tensors in frames():
        _add(digest, tensors)
    known = _read(path)
    if known is not None and known.digest == digest.hexdigest():
        return known
    ranges = calibrate(model, frames(), method=method)
    write_file(path, (json.dumps(asdict(ranges), indent=1) + "\n").encode())
    return ranges


def _read(path: Path) -> Ranges | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_bytes())
        of = {
            name: (float(low), float(high)) for name, (low, high) in value["of"].items()
        }
        return Ranges(value["method"], int(value["frames"]), value["digest"], of)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as err:
        raise InputFileError(
            f"{path} must hold the ranges of a calibration, and cannot be read as such "
            f"({first_sentence(err)}): delete it, or name another file."
        ) from err


def _digest(network: bytes, method: str) -> hashlib._Hash:
    return hashlib.sha256(network + method.encode())


def _add(digest: hashlib._Hash, tensors: Tensors) -> None:
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())


class _Once:
    """One frame, as ONNX Runtime's calibrators read their data."""

    def __init__(self, tensors: Tensors) -> None:
        self._left = [dict(tensors)]

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return self._left.pop() if self._left else None

    def __iter__(self) -> _Once:
        return self

    def __next__(self) -> dict[str, NDArray[np.float32]]:
        tensors = self.get_next()
        if tensors is None:
            raise StopIteration
        return tensors


def _require_finite(tensors: Tensors, number: int) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():  # ONNX Runtime's calibrators overlook it
            raise ArgumentError(
                f"calibration frames must be finite, but frame {number} has NaN or "
                f"infinity in the tensor {name}: leave it out."
            )


def _range(name: str, found: Any) -> tuple[float, float]:
    low, high = (float(np.asarray(end).reshape(-1)[0]) for end in found)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ExportError(
            f"the value {name} is NaN or infinite on a frame of the calibration: look "
            "at the network's weights, and at the inputs' scale, mean and std."
        )
    return low, high
