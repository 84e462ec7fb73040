"""Labels of a bundle compared with another way to the same labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..dataset.frame_matching import FrameFiles, MatchedFrames
from ..dataset.label_ids import TruthReader
from ..dataset.metrics import confusion
from ..dataset.scoring import other_convention
from ..errors import ArgumentError, FusegError, ShapeError
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .frame_reader import FrameReader, label, one_by_one, require_names, set_texts
from .labelled_frames import labels_of
from .printing import plural, print_table, progress, say
from .replay_samples import FP32_AGREEMENT, LABEL_AGREEMENT
from .wording import in_options

AGAINST = "--against"  # beside the inputs' names, which are identifiers
_IGNORE = "ignore"
_WORST = 5  # frames that are named
_NAMED = 3  # classes that a row of the table names
_SHIFTED = 0.5  # of the pixels, that ids off by one must explain to be told so

Labels = NDArray[Any]


@dataclass(frozen=True)
class FrameAgreement:
    frame: str
    agreement: float


@dataclass(frozen=True)
class Comparison:
    """How alike the labels are, over all frames, and where they are not.

    Attributes:
        worst: The frames with the least equal labels, the worst first; only such as
            have one that differs.
        classes: For each class of the other labels, ``"ignore"`` included, how many
            of its pixels the bundle gives to which class. Pairs that do not occur are
            left out.
        hint: What the other ids look like if they are no class indices.
    """

    against: str
    frames: int
    pixels: int
    agreement: float
    min_agreement: float
    worst: tuple[FrameAgreement, ...]
    classes: dict[str, dict[str, int]]
    hint: str | None

    @property
    def words(self) -> str:
        return f"{self.agreement:.6f} of the labels agree with {AGAINST} {self.against}"

    @property
    def failures(self) -> list[str]:
        if self.agreement >= self.min_agreement:
            return []
        end = "." if self.hint is None else f": {self.hint}"
        return [f"{self.words}, at least {self.min_agreement} must{end}"]


class OtherMaps:
    """Label maps in files, read as true labels are.

    Args:
        bundle: What they are compared with.
        path: A file, folder or pattern.
        truth_map: What their ids mean.
    """

    def __init__(self, bundle: Bundle, path: str, truth_map: Path | None) -> None:
        output = labels_of(bundle, AGAINST)
        classes = bundle.manifest.classes_of(output)
        self.path, self._ignore = path, output.ignore
        self._read = TruthReader(classes, output.ignore, truth_map, what=AGAINST)
        self.sources = {AGAINST: path}
        self.is_fp32 = True
        self.may_be_shifted = not self._read.mapped

    def __call__(self, frame: FrameFiles, like: Labels) -> tuple[Labels, int]:
        """The labels of a frame, of the shape of ``like``, and which one is ignore."""
        path = frame.files[AGAINST]
        labels = self._read(path)
        if labels.shape != like.shape:
            raise ShapeError(
                f"{path} must have the camera's size {like.shape}, got {labels.shape}."
            )
        return labels, self._ignore


class OtherBundle:
    """Another bundle, run on the same frames.

    Args:
        path: Of its file.
        given: Which inputs have frames.
        options: As the first bundle is loaded, but for variant and policies.
        missing: Of ``--missing``.
        text: Of ``--text``.
        planes: Of ``--plane``.
        names: The classes that it must have.

    Raises:
        ArgumentError: It cannot be loaded so, takes other inputs, or has other classes.
    """

    def __init__(
        self,
        path: str,
        given: Mapping[str, str],
        options: LoadOptions,
        missing: Sequence[str] | None,
        text: Sequence[str] | None,
        planes: Mapping[str, str],
        names: Sequence[str],
    ) -> None:
        self.path = path
        self.sources: dict[str, str] = {}
        self.may_be_shifted = False
        try:
            bundle = Bundle.open(Path(path))
            output = labels_of(bundle, AGAINST)
            require_names(bundle.manifest, given)
            options = replace(
                options,
                variant=None,
                missing=one_by_one(bundle.manifest, missing),
                hold=bool(bundle.manifest.states),
            )
            self._segmenter = Segmenter(bundle, options)
            set_texts(self._segmenter, text)
            self._read = FrameReader(
                bundle.manifest, options.channels or {}, planes, options.rates
            )
        except FusegError as err:
            raise ArgumentError(f"{AGAINST} {path}: {in_options(err)}") from err
        self.is_fp32 = self._segmenter.variant.name == "fp32"
        self._ignore = output.ignore
        theirs = [c.name for c in self._segmenter.manifest.classes_of(output)]
        if theirs != list(names):
            raise ArgumentError(
                f"{AGAINST} {path} must have the bundle's classes in their order, "
                f"{', '.join(names)}, got {', '.join(theirs)}."
            )

    def __call__(self, frame: FrameFiles, like: Labels) -> tuple[Labels, int]:
        labels = label(self._segmenter, frame, self._read(frame)).labels
        if labels.shape != like.shape:
            raise ShapeError(
                f"{AGAINST} {self.path} must label frame {frame.key} in the bundle's "
                f"size {like.shape}, got {labels.shape}."
            )
        return labels, self._ignore


def compare(
    segmenter: Segmenter,
    matched: MatchedFrames,
    read: Callable[[FrameFiles], dict[str, Any]],
    others: OtherMaps | OtherBundle,
    min_agreement: float | None,
) -> Comparison:
    """Label every frame, of which there must be one, and count equal labels.

    A pixel that is ``ignore`` on one side only counts as unequal.

    Raises:
        ShapeError: The other labels have another size.
        FusegError: As the segmenters do.
    """
    output = segmenter.manifest.label_outputs[0]
    names = [entry.name for entry in segmenter.manifest.classes_of(output)]
    count = len(names)
    table = np.zeros((count + 1, count + 1), np.int64)
    shares = []
    for frame in progress(matched.frames, what="comparing", total=len(matched.frames)):
        files = {name: p for name, p in frame.files.items() if name != AGAINST}
        given = FrameFiles(frame.key, files)
        ours = label(segmenter, given, read(given)).labels
        theirs, ignore = others(frame, ours)
        one = confusion(
            _counted(theirs, count, ignore),
            _counted(ours, count, output.ignore),
            count + 1,
            -1,
        )
        table += one
        shares.append(FrameAgreement(frame.key, float(np.trace(one) / one.sum())))
    pixels = int(table.sum())
    least = LABEL_AGREEMENT
    if others.is_fp32 and segmenter.variant.name == "fp32":
        least = FP32_AGREEMENT
    least = least if min_agreement is None else min_agreement
    agreement = float(np.trace(table) / pixels)
    hint = None
    if others.may_be_shifted and agreement < least:
        hint = other_convention(
            table[:count, :count],
            int(table[count].sum()),
            names,
            output.ignore,
            what=AGAINST,
            least=_SHIFTED,
        )
    unequal = [share for share in shares if share.agreement < 1]
    no_class = _IGNORE if _IGNORE not in names else f"{_IGNORE} ({output.ignore})"
    known = [*names, no_class]
    return Comparison(
        against=others.path,
        frames=len(shares),
        pixels=pixels,
        agreement=agreement,
        min_agreement=least,
        worst=tuple(nsmallest(_WORST, unequal, key=lambda share: share.agreement)),
        classes={
            name: {known[k]: int(row[k]) for k in np.flatnonzero(row).tolist()}
            for name, row in zip(known, table, strict=True)
            if row.any()
        },
        hint=hint,
    )


def show(found: Comparison) -> None:
    """Print what was found: a row for each class, the worst frames, the share."""
    rows = []
    for name, goes in found.classes.items():
        total = sum(goes.values())
        away = sorted(
            ((other, n) for other, n in goes.items() if other != name),
            key=lambda pair: -pair[1],
        )
        words = [f"{other} {n}" for other, n in away[:_NAMED]]
        if len(away) > _NAMED:
            words.append(f"{len(away) - _NAMED} more")
        rows.append(
            (name, str(total), f"{goes.get(name, 0) / total:.4f}", ", ".join(words))
        )
    headings = (f"class in {AGAINST}", "pixels", "equal", "the others go to")
    print_table(
        headings, rows, right=headings[1:3], title=plural(found.frames, "frame")
    )
    for share in found.worst:
        say(f"frame {share.frame}: {share.agreement:.6f} of the labels agree")
    say(found.words)


def _counted(labels: Labels, count: int, ignore: int) -> NDArray[np.int64]:
    """Class indices, with ``count`` for a label of no class."""
    wide = labels.astype(np.int64)
    # An index of a class that is ignored keeps the class's name.
    return wide if ignore < count else np.where(wide == ignore, count, wide)
