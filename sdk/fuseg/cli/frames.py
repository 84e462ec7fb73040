"""From the words of ``--input`` to arrays that a Segmenter takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FrameError
from ..images import read_frame
from ..manifest import Input, Manifest
from ..pairs import PairedFrame, Pairs
from ..segmentation import Segmentation
from ..segmenter import Segmenter
from .printing import plural, warn


def assignments(option: str, words: Sequence[str] | None) -> dict[str, str]:
    """Read ``["rgb=a.png", "depth=b.png"]`` of an option such as ``--input``.

    Raises:
        ArgumentError: A word is not NAME=VALUE, or a name comes twice.
    """
    given: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ArgumentError(f"{option} must be NAME=VALUE, got {word!r}.")
        if name in given:
            raise ArgumentError(f"{option} must name {name} once, got it twice.")
        given[name] = value
    return given


def require_names(
    manifest: Manifest, given: Mapping[str, str], *, all_of_them: bool = False
) -> None:
    """Refuse names the bundle has no input for, and inputs it cannot do without.

    An input may be left out altogether if its policy substitutes it in the end,
    unless ``all_of_them`` are wanted.

    Raises:
        ArgumentError: A name is unknown, or missing.
    """
    known = {entry.name: entry for entry in manifest.inputs}
    all_names = ", ".join(known)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"--input must name an input of the bundle ({all_names}), got {name!r}."
            )
    missing = [
        name
        for name, entry in known.items()
        if name not in given and (all_of_them or not _may_lack(entry))
    ]
    if missing or not given:
        names = ", ".join(missing or known)
        first = (missing or [*known])[0]
        without = f", or go on without it: --missing {first}=substitute"
        raise ArgumentError(
            f"--input must be given for {names} (the bundle's inputs: {all_names}): "
            f"--input {first}=PATH{'' if all_of_them or not given else without}."
        )


def _may_lack(entry: Input) -> bool:
    return "substitute" in (entry.missing.policy, entry.missing.then)


class FrameReader:
    """Reads the files of one moment as the arrays that the segmenter expects.

    Image files hold RGB. Where the segmenter was told nothing else (``--channels``),
    it expects the manifest's order, so those of a BGR input are turned here. A
    ``.npy`` array is taken as it is.
    """

    def __init__(self, manifest: Manifest, channels: Mapping[str, str]) -> None:
        self._inputs = {entry.name: entry for entry in manifest.inputs}
        self._told = channels

    def __call__(self, frame: PairedFrame) -> dict[str, Any]:
        """The frame's arrays by input name."""
        return {name: self._read(name, path) for name, path in frame.files.items()}

    def _read(self, name: str, path: Path) -> NDArray[Any]:
        entry = self._inputs[name]
        array = read_frame(path, entry.kind)
        is_image = path.suffix.lower() != ".npy"
        if is_image and entry.channels == "BGR" and name not in self._told:
            array = np.ascontiguousarray(array[..., ::-1])
        return array

    def rgb(self, frames: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """The first colour frame, in RGB order; None if no colour was given."""
        for name, entry in self._inputs.items():
            if entry.kind == "color" and name in frames:
                order = self._told.get(name, entry.channels)
                return frames[name][..., ::-1] if order == "BGR" else frames[name]
        return None


def policies(words: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """What ``--missing`` says, as `fuseg.load` takes it. Files have no time to hold by.

    Raises:
        ArgumentError: a word is not NAME=refuse or NAME=substitute.
    """
    given = assignments("--missing", words)
    for name, policy in given.items():
        if policy not in ("refuse", "substitute"):
            raise ArgumentError(
                "--missing must be NAME=refuse or NAME=substitute, got "
                f"{name}={policy}."
            )
    return {name: {"policy": policy} for name, policy in given.items()}


def label(segmenter: Segmenter, key: str, frames: dict[str, Any]) -> Segmentation:
    """Label the frames of one key.

    Raises:
        FrameError: As the segmenter does; the sentence names the frame.
    """
    try:
        return segmenter(**frames)
    except FrameError as err:
        facts, says, _ = str(err).partition(": no usable frame")
        options = " ".join(f"--missing {name}=substitute" for name in err.causes)
        raise FrameError(
            f"frame {key}: {facts}{says}, and the policy is to refuse then. Leave the "
            f"frame out, or label it without: {options}.",
            causes=err.causes,
        ) from err


def report_unpaired(pairs: Pairs) -> None:
    """List on stderr the files that found no partner."""
    for name, files in pairs.unpaired.items():
        warn(f"{plural(len(files), 'file')} of {name} without a partner:")
        for path in files:
            warn(f"  {path}")


def unpaired_json(pairs: Pairs) -> dict[str, list[str]]:
    return {
        name: [str(path) for path in files] for name, files in pairs.unpaired.items()
    }
