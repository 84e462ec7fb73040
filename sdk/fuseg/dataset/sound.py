"""Sound from files."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputFileError

__all__ = ["read_wav"]


def read_wav(path: Path, dtype: str = "int16") -> tuple[NDArray[Any], int]:
    """Read a WAV file of one channel of 16 bits.

    Args:
        dtype: ``int16``, or ``float32``: the samples over 32,768, from -1 to 1.

    Returns:
        The samples, ``(N,)``, and how many of them a second has.

    Raises:
        InputFileError: the file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file, wave.open(file) as opened:
            channels, width = opened.getnchannels(), opened.getsampwidth()
            rate, data = opened.getframerate(), opened.readframes(opened.getnframes())
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    except (wave.Error, EOFError) as err:
        raise InputFileError(
            f"{path} must be a WAV file of 16 bits: {err or 'it ends too early'}."
        ) from err
    if (channels, width) != (1, 2):
        raise InputFileError(
            f"{path} must have one channel of 16 bits, got {channels} of {8 * width} "
            "bits."
        )
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)
    if dtype == "float32":
        return samples.astype(np.float32) / np.float32(32768), rate
    return samples, rate
