"""From ``--input`` to arrays that a Segmenter takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset.frame_matching import FrameFiles, MatchedFrames, Stamps, match_frames
from ..dataset.images import read_frame
from ..dataset.sound import read_wav
from ..errors import ArgumentError, FrameError, FusegError, InputFileError
from ..manifest import AudioInput, Manifest, SensorInput
from ..runtime.policies import without_hold
from ..runtime.results import Segmentation
from ..segmenter import Segmenter
from .printing import warn
from .wording import facts, naming_files


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

    An input may be left out altogether if its policy substitutes it in the end, or runs
    graphs that do without it, unless ``all_of_them`` are wanted.

    Raises:
        ArgumentError: A name is unknown, or missing.
    """
    known = {entry.name: entry for entry in manifest.sensors}
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
        without = f", or label without it: --missing {first}=substitute"
        raise ArgumentError(
            f"--input must be given for {names} (the bundle's inputs: {all_names}): "
            f"--input {first}=PATH{'' if all_of_them or not given else without}."
        )


def _may_lack(entry: SensorInput) -> bool:
    known = {entry.missing.policy, entry.missing.then}
    return not known.isdisjoint(("substitute", "sibling"))


def stamps_of(by: str, slop: str | None, reference: str | None) -> Stamps | None:
    """What ``--match``, ``--slop`` and ``--reference`` say; None matches by name.

    Raises:
        ArgumentError: ``--match`` is unknown, or another option has no effect.
    """
    if by not in ("name", "stamp"):
        raise ArgumentError(f"--match must be name or stamp, got {by!r}.")
    if by == "stamp":
        stamps = Stamps(reference=reference)
        return stamps if slop is None else replace(stamps, slop=slop)
    for option, value in (("--slop", slop), ("--reference", reference)):
        if value is not None:
            raise ArgumentError(f"{option} needs --match stamp.")
    return None


def match_files(
    sources: Mapping[str, str],
    by: str,
    slop: str | None,
    reference: str | None,
    missing: Mapping[str, Mapping[str, str]] | None = None,
) -> MatchedFrames:
    """Match the files as these options say; see `stamps_of` and `match_frames`.

    A frame may lack an input that ``missing`` substitutes, as `policies` gives it.
    """
    policy = {name: said["policy"] for name, said in (missing or {}).items()}
    optional = [name for name in policy if policy[name] == "substitute"]
    return match_frames(sources, stamps_of(by, slop, reference), optional)


class FrameReader:
    """Reads the files of one frame as the arrays that the segmenter expects.

    Image files hold RGB. Without ``--channels`` the segmenter expects the manifest's
    order, so the channels of a BGR input are swapped here. A
    ``.npy`` array is taken as it is.

    Args:
        manifest: Of the bundle.
        channels: Of ``--channels``, by input name, as the segmenter got it.
        planes: Of ``--plane``, by input name.
        rates: Of ``--rate``, by input name, as the segmenter got it.

    Raises:
        ArgumentError: A plane is unknown, or its input is.
    """

    def __init__(
        self,
        manifest: Manifest,
        channels: Mapping[str, str],
        planes: Mapping[str, str] | None = None,
        rates: Mapping[str, int] | None = None,
    ) -> None:
        self._inputs = {entry.name: entry for entry in manifest.sensors}
        self._channels, self._rates = channels, dict(rates or {})
        self._taken = {
            name: "GRAY" if order == "GRAY" else "RGBA"
            for name, order in channels.items()
            if order in ("GRAY", "RGBA", "BGRA")
        }
        for name, plane in (planes or {}).items():
            self._taken[name] = self._require_plane(name, plane)

    def _require_plane(self, name: str, plane: str) -> str:
        if name not in self._inputs:
            raise ArgumentError(
                f"--plane must name an input of the bundle ({', '.join(self._inputs)})"
                f", got {name!r}."
            )
        is_color = self._inputs[name].kind == "color"
        gray = self._channels.get(name) == "GRAY"
        wanted = ("RGB",) if is_color and not gray else ("R", "G", "B", "A", "L")
        if plane not in wanted:
            raise ArgumentError(
                f"--plane {name} must be {' or '.join(wanted)}, got {plane!r}."
            )
        return plane

    def __call__(self, frame: FrameFiles) -> dict[str, Any]:
        """The frame's arrays by input name."""
        return {name: self._read(name, path) for name, path in frame.files.items()}

    def _read(self, name: str, path: Path) -> NDArray[Any]:
        entry = self._inputs[name]
        if path.suffix.lower() == ".wav":
            return self._sound(entry, path)
        taken = self._taken.get(name)
        kind = "color" if len(entry.frame_shape) == 3 else entry.kind
        array = read_frame(path, kind, channels=taken, name=name)
        is_image = path.suffix.lower() != ".npy"
        turned = entry.kind == "color" and entry.channels == "BGR"
        if is_image and turned and name not in self._channels:
            array = np.ascontiguousarray(array[..., ::-1])
        return array

    def _sound(self, entry: SensorInput, path: Path) -> NDArray[Any]:
        if not isinstance(entry, AudioInput):
            raise InputFileError(f"{path} must be a picture, as {entry.name} is one.")
        array, rate = read_wav(path, entry.dtype)
        wanted = self._rates.get(entry.name, entry.rate)
        if rate != wanted:
            raise InputFileError(
                f"{path} must have {wanted} samples a second, got {rate}: say "
                f"--rate {entry.name}={rate}."
            )
        return array

    def rgb(self, frames: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """The first colour frame, in RGB order; None if no colour was given."""
        for name, entry in self._inputs.items():
            if entry.kind == "color" and name in frames:
                array, order = frames[name], self._channels.get(name, entry.channels)
                if order == "GRAY":
                    return np.dstack([array] * 3)
                swapped = order in ("BGR", "BGRA")
                return array[..., 2::-1] if swapped else array[..., :3]
        return None


def set_texts(segmenter: Segmenter, words: Sequence[str] | None) -> None:
    """Set what ``--text`` says, for all frames; a name that comes again has several.

    Raises:
        ArgumentError: A word is not NAME=TEXT, its input is unknown, or a text is none
            that the bundle takes.
    """
    given: dict[str, list[str]] = {}
    for word in words or ():
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise ArgumentError(f"--text must be NAME=TEXT, got {word!r}.")
        given.setdefault(name, []).append(text)
    known = [entry.name for entry in segmenter.manifest.texts]
    for name, texts in given.items():
        if name not in known:
            raise ArgumentError(
                "--text must name an input of texts "
                f"({', '.join(known) or 'this bundle has none'}), got {name!r}."
            )
        segmenter.set_prompts(texts, name=name)


def hertz(words: Sequence[str] | None) -> dict[str, int]:
    """What ``--rate`` says, as `fuseg.load` takes it.

    Raises:
        ArgumentError: a word is not NAME=HZ.
    """
    given = assignments("--rate", words)
    for name, rate in given.items():
        if not rate.isdecimal():
            raise ArgumentError(
                f"--rate {name} must be a whole number of samples a second, got "
                f"{rate!r}."
            )
    return {name: int(rate) for name, rate in given.items()}


def one_by_one(
    manifest: Manifest, words: Sequence[str] | None
) -> dict[str, dict[str, str]]:
    """As `policies`; what is held else follows its ``then``.

    Raises:
        ArgumentError: as `policies`.
    """
    return without_hold(manifest) | policies(words)


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


def label(
    segmenter: Segmenter,
    frame: FrameFiles,
    arrays: dict[str, Any],
    *,
    all_of_them: bool = False,
) -> Segmentation:
    """Label one frame.

    Args:
        all_of_them: Whether every input is wanted, so that ``--missing`` does not help.

    Raises:
        FusegError: As the segmenter does; the sentence names the file, or the frame.
    """
    try:
        return segmenter(**arrays)
    except FrameError as err:
        files = [str(frame.files[name]) for name in err.causes if name in frame.files]
        where = ", ".join(files) or f"frame {frame.key}"
        options = " ".join(f"--missing {name}=substitute" for name in err.causes)
        without = "" if all_of_them else f", or label it without: {options}"
        raise FrameError(
            f"{where}: {facts(err)} Leave the frame out{without}.",
            causes=err.causes,
        ) from err
    except FusegError as err:
        raise naming_files(err, frame.files) from err


def report_unmatched(matched: MatchedFrames) -> None:
    """Count on stderr, in one line, the files without a partner, if there are any."""
    if matched.frames and matched.unmatched:
        counts = ", ".join(
            f"{len(files)} of {name} (the first: {files[0]})"
            for name, files in matched.unmatched.items()
        )
        warn(f"files without a partner are skipped: {counts}.")


def nothing_matches(matched: MatchedFrames) -> str:
    """The error's sentence where no frame is complete."""
    hint = f": {matched.hint}." if matched.hint else "."
    return f"no frame has a file from every input{hint}"


def unmatched_json(matched: MatchedFrames) -> dict[str, list[str]]:
    return {
        name: [str(path) for path in files] for name, files in matched.unmatched.items()
    }
