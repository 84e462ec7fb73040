"""Sound: windows of samples, or of the energies of their frequencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fuseg import manifest as m
from fuseg.dataset.sound import read_wav
from fuseg.errors import ArgumentError, ManifestError

from ..mel_filters import hann, mel_filters
from ..npy import as_npy
from ..sound_reference import preprocess_sound

__all__ = ["Audio"]

_DEFAULTS: dict[str, Any] = {
    "dtype": "int16",
    "rate": 16000,
    "scale": 1 / 32768,
    "fill": 0.0,
    "missing": {"policy": "refuse"},
}
_FEATURES = {"frame": 400, "hop": 160}  # 25 and 10 ms
_MEL: dict[str, Any] = {
    "scale": "slaney",
    "normalized": True,
    "low": 0.0,
    "high": None,
    "length": None,
}


@dataclass(frozen=True)
class Audio:
    """See `ExportedInput`.

    Attributes:
        record: The manifest's.
        tables: What its members hold, by name: the window, then the filters.
        windows: Of the user's files; empty for made-up sounds.
        notes: What was assumed.
    """

    record: m.AudioInput
    tables: Mapping[str, NDArray[np.float32]]
    windows: tuple[NDArray[Any], ...]
    notes: tuple[str, ...]

    FORM: ClassVar = (
        r"(?P<bands>[1-9]\d*)x(?P<frames>[1-9]\d*)|(?P<samples>[1-9]\d*)",
        "BANDSxFRAMES, as in sound=audio:80x100, or NAME=audio:SAMPLES",
    )

    @classmethod
    def of(cls, name: str, size: Mapping[str, Any], said: Mapping[str, Any]) -> Audio:
        """See `ExportedInput`.

        Raises:
            ArgumentError: A key is unknown or not of its form; a file is of another
                rate, or shorter than a window.
            InputFileError: A file cannot be read.
        """
        what = f"--spec: inputs.{name}"
        own = ("examples", "features", "mel")
        draft = {**_DEFAULTS, **{k: said[k] for k in said if k not in own}}
        draft |= {"name": name, "kind": "audio", "tensor": name}
        tables: dict[str, NDArray[np.float32]] = {}
        if size["samples"] is None:
            draft["features"] = _features(name, size, _object(what, said, "features"))
            mel = _object(what, said, "mel")
        else:
            for key in ("features", "mel"):
                if key in said:
                    raise ArgumentError(
                        f"{what}.{key} must be absent for samples as they are: say "
                        f"{name}=audio:BANDSxFRAMES."
                    )
            draft["samples"] = int(size["samples"])
        try:
            if "features" in draft and "samples" not in draft:
                features = m.LogMel.from_json(draft["features"])
                draft["samples"] = _samples(features)
            record = m.AudioInput.from_json(draft)
        except ManifestError as err:
            raise ArgumentError(f"input {name}: {err}") from err
        if record.features is not None:
            tables = _tables(f"{what}.mel", record, record.features, mel)
        windows = tuple(_windows(what, record, said.get("examples", [])))
        return cls(record, tables, windows, tuple(_notes(record, len(windows))))

    @property
    def shape(self) -> tuple[int | str, ...]:
        """See `ExportedInput`."""
        return self.record.shape

    @property
    def dimension(self) -> None:
        """See `ExportedInput`; none."""
        return

    @property
    def members(self) -> Mapping[str, bytes]:
        """See `ExportedInput`."""
        return {name: as_npy(table) for name, table in self.tables.items()}

    def example(self, number: int) -> NDArray[Any]:
        """See `ExportedInput`: the user's windows in turn, or a made-up one."""
        if self.windows:
            return self.windows[number % len(self.windows)]
        spec, random = self.record, np.random.default_rng(number)
        seconds = np.arange(spec.samples) / spec.rate
        low, high = random.uniform(0.005, 0.2, 2) * spec.rate
        slope = (high - low) / (2 * seconds[-1]) if len(seconds) > 1 else 0.0
        tone = np.sin(2 * np.pi * (low + slope * seconds) * seconds)
        loud = random.uniform(0.05, 0.5, 2)
        sound = loud[0] * tone + 0.1 * loud[1] * random.standard_normal(spec.samples)
        values = sound.clip(-1, 1) / abs(spec.scale)
        if spec.dtype == "int16":
            return np.asarray(np.rint(values).clip(-32768, 32767), np.int16)
        return np.asarray(values, np.float32)

    def tensor(self, given: NDArray[Any]) -> NDArray[np.float32]:
        """See `ExportedInput`."""
        found = preprocess_sound(self.record, given, *self.tables.values())
        return found.astype(np.float32)


def _notes(record: m.AudioInput, windows: int) -> Iterator[str]:
    features = record.features
    seen = "as they are"
    if features is not None:
        seen = (
            f"as {features.bands} bands of frames of {features.frame} every "
            f"{features.hop}, log {features.log}"
        )
    yield (
        f"{record.name}: windows of {record.samples} samples, {record.dtype}, "
        f"{record.rate} a second, times {record.scale:.6g}, {seen}; if missing: "
        f"{record.missing.words}; change it with --spec"
    )
    if windows:
        yield f"{record.name}: verified on {windows} windows of its examples"
    else:
        yield (
            f"{record.name}: verified on made-up sounds, which are not what this "
            "network was trained for: name WAV files in the spec file, as examples"
        )


def _object(what: str, said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = said.get(key, {})
    if not isinstance(found, dict):
        raise ArgumentError(f"{what}.{key} must be an object, got {found!r}.")
    return found


def _features(
    name: str, size: Mapping[str, Any], said: Mapping[str, Any]
) -> dict[str, Any]:
    fixed = {
        "bands": int(size["bands"]),
        "frames": int(size["frames"]),
        "window": f"{name}.window.npy",
        "filters": f"{name}.filters.npy",
    }
    for key in fixed:
        if key in said:
            raise ArgumentError(
                f"--spec: inputs.{name}.features must not hold {key!r}: --input says "
                'the size, and "mel" what the window and the filters are.'
            )
    return {**_FEATURES, **said, **fixed}


def _samples(features: m.LogMel) -> int:
    """How many make the frames, without the one that padding adds at the end."""
    if features.pad == "none":
        return (features.frames - 1) * features.hop + features.frame
    return features.frames * features.hop


def _tables(
    what: str, record: m.AudioInput, features: m.LogMel, said: Mapping[str, Any]
) -> dict[str, NDArray[np.float32]]:
    for key in said:
        if key not in _MEL:
            raise ArgumentError(
                f"{what}: {key!r} is unknown; known are {', '.join(_MEL)}."
            )
    keys = {**_MEL, **said}
    low, high = keys["low"], record.rate / 2 if keys["high"] is None else keys["high"]
    length = features.frame if keys["length"] is None else keys["length"]
    numbers = all(type(v) in (int, float) for v in (low, high))
    if keys["scale"] not in ("slaney", "htk") or type(keys["normalized"]) is not bool:
        raise ArgumentError(
            f"{what} must have scale slaney or htk and normalized true or false, got "
            f"{keys['scale']!r} and {keys['normalized']!r}."
        )
    if not numbers or not 0 <= low < high <= record.rate / 2:
        raise ArgumentError(
            f"{what} must have low below high, in hertz from 0 to half the rate, got "
            f"{low!r} and {high!r}."
        )
    if type(length) is not int or not 1 <= length <= features.frame:
        raise ArgumentError(
            f"{what}.length must be samples of the Hann window, 1 to {features.frame}, "
            f"got {length!r}."
        )
    filters = mel_filters(
        record.rate,
        features.frame,
        features.bands,
        low=low,
        high=high,
        scale=keys["scale"],
        normalized=keys["normalized"],
    )
    return {features.window: hann(length, features.frame), features.filters: filters}


def _windows(what: str, record: m.AudioInput, files: Any) -> list[NDArray[Any]]:
    if not isinstance(files, list) or not all(isinstance(f, str) for f in files):
        raise ArgumentError(f"{what}.examples must be a list of WAV files.")
    found: list[NDArray[Any]] = []
    for file in files:
        samples, rate = read_wav(Path(file), record.dtype)
        if rate != record.rate or len(samples) < record.samples:
            raise ArgumentError(
                f"{what}.examples: {file} must have {record.rate} samples a second and "
                f"{record.samples} of them or more, got {rate} and {len(samples)}."
            )
        count = len(samples) // record.samples
        found += np.split(samples[: count * record.samples], count)
    return found
