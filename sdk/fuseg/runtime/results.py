"""The result of a call: labels and more, their timing and their sources."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..errors import ArgumentError, Cause, ShapeError
from ..manifest import Class

State = Literal["fresh", "held", "substituted", "absent"]


@dataclass(frozen=True)
class Source:
    """What one sensor contributed to a result.

    Attributes:
        state: ``"fresh"``: the frame given in this call. ``"held"``: the last good
            frame before it. ``"substituted"``: no frame, the manifest's ``fill``.
            ``"absent"``: the graphs ran that do without this sensor.
        age_ms: The result's stamp minus the frame's, in milliseconds; negative for a
            frame taken later. None if substituted.
        cause: Why no frame of this call was used; None if one was. One of four words
            and nothing else, fit for the label of a metric. ``"absent"``: no frame was
            given. ``"invalid"``: the frame has not one valid pixel. ``"late"``: it is
            older than the input's ``max_age_ms``. ``"early"``: it lies more than
            ``max_ahead_ms`` after the result's stamp.
    """

    state: State
    age_ms: float | None
    cause: Cause | None = None


@dataclass(frozen=True)
class Timing:
    """Where the time of one call went, in milliseconds.

    On a GPU packing, network and labelling are one piece of work: ``pack_ms`` lasts
    until the GPU has been given it, ``network_ms`` until the GPU has done it, and
    ``label_ms`` is the time to bring the labels to where they are wanted.

    Attributes:
        pack_ms: Frames to input tensors: checks, policies, resize, normalise.
        network_ms: The network.
        label_ms: The network's output to labels (and confidence) at their final size.
        total_ms: The whole call, without waiting for another thread's call.
    """

    pack_ms: float
    network_ms: float
    label_ms: float
    total_ms: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What a bundle made of one frame set: ``result[name]`` is that of one output.

    Of a bundle with labels it is a `Segmentation`, which also is its first labels.

    No array here is a buffer of the Segmenter: a result stays as it is while later
    frames are labelled.

    Attributes:
        timing: Milliseconds of each stage.
        stamp_ns: The time the result stands for, in nanoseconds on the frames' clock.
        sources: What each sensor contributed, by input name.
        degraded: Whether any sensor was not fresh.
        reason: One sentence on every sensor that was not fresh; None if all were. It
            holds ages: to count, take ``sources[name].cause``.
    """

    timing: Timing
    stamp_ns: int
    sources: Mapping[str, Source]
    degraded: bool
    reason: str | None
    _others: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        """The result of the output of this name, of its kind's type.

        Raises:
            ArgumentError: the bundle has no such output.
        """
        if name not in self._others:
            raise ArgumentError(
                f"{name!r}: no such output; this bundle's outputs are "
                f"{', '.join(self.keys())}."
            )
        return self._others[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> Iterable[str]:
        """The names of the outputs: ``dict(result)`` is all of them."""
        return self._others.keys()


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmentation(Result):
    """Labels of one frame set.

    Attributes:
        labels: Class of each pixel, an index into ``classes``: (H, W), uint8, at the
            camera's size unless another was asked for; the caller's own array if
            ``out=`` was given.
        confidence: Probability of each pixel's class: (H, W), float32 in [0, 1];
            None unless asked for.
        classes: Name and colour of each label.
        timing, stamp_ns, sources, degraded, reason: See `Result`.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None
    classes: tuple[Class, ...]
    _name: str = field(repr=False)
    _frame: NDArray[Any] | None = field(repr=False)
    _palette: NDArray[np.uint8] = field(repr=False)
    _ignore: int = field(repr=False)
    _takes_frame: bool = field(default=False, repr=False)

    def __getitem__(self, name: str) -> Any:
        return self if name == self._name else super().__getitem__(name)

    def keys(self) -> Iterable[str]:
        return [self._name, *super().keys()]

    def with_frame(self) -> Segmentation:
        """The same result, but one that takes its colour frame along when pickled.

        Without this a pickled result leaves the camera's frame behind, and `overlay`
        has to be given one: what goes through a queue is the labels.
        """
        return replace(self, _takes_frame=True)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({} if self._takes_frame else {"_frame": None})

    def __copy__(self) -> Segmentation:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Segmentation:
        made = {
            f.name: copy.deepcopy(getattr(self, f.name), memo) for f in fields(self)
        }
        return Segmentation(**made)

    def overlay(
        self, frame: NDArray[np.uint8] | None = None, alpha: float = 0.5
    ) -> NDArray[np.uint8]:
        """Paint the labels over the colour frame.

        Args:
            frame: Colour frame to paint on: (H, W, 3), uint8, the size of the labels,
                in the channel order of the camera. By default the (first) colour
                frame given to the call that made this result, without its alpha; it
                is referenced, not copied: draw before you reuse its memory.
            alpha: Weight of the class colours, 0 (frame only) to 1 (labels only).

        Returns:
            A new image, (H, W, 3), uint8, in the frame's channel order.

        Raises:
            ArgumentError: no ``frame``, and the call had no fresh colour frame.
            ShapeError: the frame has another size than the labels.
        """
        if frame is None and self._frame is not None:
            frame = _three_channels(self._frame)
        if frame is None:
            raise ArgumentError(
                "frame must be given, because these labels were made without a fresh "
                "colour frame: overlay(frame=...), or colour the labels alone with "
                "fuseg.ops.overlay."
            )
        if isinstance(frame, np.ndarray) and frame.shape[:2] != self.labels.shape:
            raise ShapeError(
                f"frame must have the labels' size {self.labels.shape}, got "
                f"{frame.shape[:2]}: resize it, or ask for the labels at its size "
                "with size=."
            )
        return ops.overlay(
            self.labels,
            palette=self._palette,
            frame=frame,
            alpha=alpha,
            ignore=self._ignore,
        )


def _three_channels(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frame.ndim == 2 or frame.shape[2] == 1:
        return np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2)
    return frame if frame.shape[2] == 3 else np.ascontiguousarray(frame[..., :3])
