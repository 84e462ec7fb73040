"""Camera frames to the network's input tensors, as the manifest declares.

The only place where ``(H, W, 3)`` images become ``(C, H, W)`` planes. Works in two
steps, so that a refused call changes nothing: `Preprocessor.plan` checks the frames
and decides what every tensor is made from, `Preprocessor.fill` writes the tensors.

The last good planes of a sensor with the policy ``hold`` are kept where they already
are: in its tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._check import require_choice, require_rows
from ._device import Borrowed, borrow
from .errors import ArgumentError, DTypeError, FusegError, ShapeError
from .frames import (
    NO_FRAME,
    NO_VALID_PIXEL,
    Decision,
    Memory,
    Received,
    Source,
    age_ms,
    decide,
    moment_of,
    sources,
)
from .manifest import Input, Manifest
from .manifest.units import unit_factor
from .ops.pack_color import CHANNELS, ColorPacker
from .ops.pack_depth import DepthPacker
from .ops.placement import place

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """What one call is made from, and what to remember once it is written."""

    decisions: dict[str, Decision]
    made_from: dict[str, Source]
    stamp_ns: int
    memory: Memory


class Preprocessor:
    """The pack kernels of one manifest, with what the user said about the cameras.

    Args:
        manifest: Its inputs are followed word by word.
        units: By input name, the unit the camera really delivers; the values are
            scaled to the manifest's unit. ``invalid`` stays as it is: raw values.
        channels: By input name, what a colour camera really delivers: ``"RGB"``,
            ``"BGR"``, ``"RGBA"``, ``"BGRA"`` (alpha is not read) or ``"GRAY"``.

    Raises:
        ArgumentError: a name that is no input, or none that has a unit (channels); a
            unit that is unknown or measures something else.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        units: Mapping[str, str] | None = None,
        channels: Mapping[str, str] | None = None,
    ) -> None:
        self._sensors = {i.name: Sensor(i) for i in manifest.inputs}
        for name, unit in (units or {}).items():
            self._named("units", name).deliver_unit(unit)
        for name, order in (channels or {}).items():
            self._named("channels", name).deliver_channels(order)
        self._first = manifest.inputs[0]

    def plan(self, received: Received, memory: Memory, *, on_gpu: bool) -> Plan:
        """Check a call's frames and decide what each input is made from.

        Args:
            on_gpu: Whether frames that are on the GPU can be read. Nobody looks for
                valid pixels in those: they are taken to have some.

        Raises:
            DTypeError, ShapeError, LayoutError: an array is not what the manifest
                declares; the sentence names the input.
            FrameError: an input has no usable frame and its policy is to refuse.
            ArgumentError: the result's moment cannot be known.
        """
        faults = {}
        for name, sensor in self._sensors.items():
            if name not in received.arrays:
                faults[name] = NO_FRAME
            elif not sensor.usable(received.arrays[name], on_gpu=on_gpu):
                faults[name] = NO_VALID_PIXEL
        moment = moment_of(received, faults)
        decisions = {}
        for name, sensor in self._sensors.items():
            stamp, held = received.stamps.get(name), memory.held.get(name)
            decisions[name] = decide(
                sensor.input.missing,
                fault=faults.get(name),
                age_ms=None if stamp is None else age_ms(moment, stamp),
                held_age_ms=None if held is None else age_ms(moment, held),
            )
        made_from = sources(decisions)
        memory = self._remember(received, memory, decisions)
        return Plan(decisions, made_from, moment, memory)

    def fill(self, plan: Plan, arrays: Mapping[str, Any], tensors: Tensors) -> None:
        """Write what `plan` decided into ``tensors``; every plane is then valid."""
        for name, decision in plan.decisions.items():
            if decision.state == "fresh":
                self._sensors[name].write(arrays[name], tensors)
            elif decision.state == "substituted":
                self._sensors[name].substitute(tensors)

    def fresh_color(self, plan: Plan) -> str | None:
        """The first colour input that is fresh, in the manifest's order."""
        for name, decision in plan.decisions.items():
            if decision.state == "fresh" and self._sensors[name].input.kind == "color":
                return name
        return None

    def camera_channels(self) -> str:
        """The channels of the first colour camera; "RGB" if there is none."""
        sensors = self._sensors.values()
        return next((s.channels for s in sensors if s.input.kind == "color"), "RGB")

    def shown(self, camera: tuple[int, int] | None) -> dict[str, Any]:
        """Where the first input's camera lies in its tensor, in a Labeler's words.

        Nothing if it lies everywhere.
        """
        resize = self._first.resize
        if camera is None or resize.fit == "stretch":
            return {}
        size = (resize.height, resize.width)
        return {
            "crop": place(camera, size, fit=resize.fit).picture,
            "input_size": size,
        }

    def packer(self, name: str, **form: Any) -> ColorPacker | DepthPacker:
        """The pack kernel of one input for planes in another form than float32.

        Args:
            form: ``dtype`` and what else the packers know of their result.
        """
        return self._sensors[name].packer(**form)

    def filler(self, name: str, **form: Any) -> ColorPacker | DepthPacker:
        """A pack kernel that makes the input's ``fill`` of any (1, 1) uint8 frame."""
        return self._sensors[name].filler(**form)

    def _remember(
        self, received: Received, memory: Memory, decisions: Mapping[str, Decision]
    ) -> Memory:
        held = dict(memory.held)
        for name, decision in decisions.items():
            if self._sensors[name].input.missing.policy != "hold":
                continue
            if decision.state == "fresh":
                held[name] = received.stamps[name]
            elif decision.state == "substituted":
                held.pop(name, None)  # `fill` overwrites its planes
        camera = memory.camera
        if self._first.name in received.arrays:
            height, width = received.arrays[self._first.name].shape[:2]
            camera = int(height), int(width)
        return Memory(received.clock, held, camera)

    def _named(self, argument: str, name: str) -> Sensor:
        if name not in self._sensors:
            raise ArgumentError(
                f"{argument} must name inputs of the bundle "
                f"({', '.join(self._sensors)}), got {name!r}."
            )
        return self._sensors[name]


class Sensor:
    """One input: its checks, and its planes of a tensor.

    Tensors are ``{tensor name: (1, C, h, w) float32}``. `write` takes frames that
    `usable` let pass.
    """

    def __init__(self, spec: Input) -> None:
        self.input = spec
        self._order: str = spec.channels or "RGB"  # of the planes, and unless told else
        self.channels: str = self._order  # of the camera
        self._unit = spec.unit
        self._scale = spec.scale
        self._pack = self.packer()

    def deliver_unit(self, unit: str) -> None:
        name, declared = self.input.name, self.input.unit
        if declared is None:
            raise ArgumentError(f"units must name depth-like inputs, got {name!r}.")
        try:
            factor = unit_factor(unit, declared)
        except ArgumentError as err:
            raise ArgumentError(f"units[{name!r}]: {err}") from None
        self._unit = unit
        self._scale = self.input.scale * factor
        self._pack = self.packer()

    def deliver_channels(self, order: str) -> None:
        if self.input.kind != "color":
            raise ArgumentError(
                f"channels must name colour inputs, got {self.input.name!r}."
            )
        require_choice(f"channels[{self.input.name!r}]", order, tuple(CHANNELS))
        self.channels = order
        self._pack = self.packer()

    def usable(self, array: Any, *, on_gpu: bool = False) -> bool:
        """Whether the frame has one valid pixel where it is sampled.

        Raises:
            DTypeError, ShapeError, LayoutError: the kernels cannot read it; the
                sentence names the input, and a way out.
        """
        try:
            if not isinstance(array, np.ndarray):
                array = borrow(self.input.name, array)
            if isinstance(array, Borrowed):
                self._check_on_gpu(array, on_gpu)
                return True
            if isinstance(self._pack, ColorPacker):
                self._pack.check(array)
                return True
            return self._pack.has_reading(array)
        except FusegError:
            self._refuse(array)
            raise

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        """Bring a usable frame into its planes."""
        planes = self._planes(tensors)
        if isinstance(self._pack, ColorPacker):
            self._pack(array, planes)
        else:
            self._pack(array, planes[0])

    def substitute(self, tensors: Tensors) -> None:
        self._planes(tensors).fill(self.input.fill)

    def _check_on_gpu(self, frame: Borrowed, on_gpu: bool) -> None:
        name = self.input.name
        if not on_gpu:
            raise DTypeError(
                f"{name} must be in the memory of the CPU, as the engine that runs is "
                "there, got an array on the GPU. Copy it to a NumPy array."
            )
        if isinstance(self._pack, ColorPacker):
            self._pack.check(frame)  # type: ignore[arg-type]
        else:
            require_rows(name, frame, (self.input.dtype,), ("H", "W"))

    def packer(self, **form: Any) -> ColorPacker | DepthPacker:
        """The kernel that brings a frame into its planes; ``form`` is the planes'."""
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            return ColorPacker(
                size=size,
                scale=spec.scale,
                mean=spec.mean,
                std=spec.std,
                channels=self.channels,
                planes=self._order,
                filter=spec.resize.filter,
                fit=spec.resize.fit,
                fill=spec.fill,
                **form,
            )
        return DepthPacker(
            np.dtype(spec.dtype),
            size=size,
            scale=self._scale,
            mean=spec.mean[0],
            std=spec.std[0],
            invalid=spec.invalid,
            fill=spec.fill,
            filter=spec.resize.filter,
            fit=spec.resize.fit,
            **form,
        )

    def filler(self, **form: Any) -> ColorPacker | DepthPacker:
        """As `packer`, for a (1, 1) uint8 frame: times 0, plus ``fill``."""
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            mean = (-spec.fill,) * 3
            return ColorPacker(size=size, scale=0.0, mean=mean, channels="GRAY", **form)
        return DepthPacker(
            np.uint8, size=size, scale=0.0, mean=-spec.fill, invalid=(), **form
        )

    def _planes(self, tensors: Tensors) -> NDArray[Any]:
        tensor = self.input.tensor
        first = tensor.channel
        return tensors[tensor.name][0, first : first + self.input.planes]

    def _refuse(self, array: Any) -> None:
        """Say what is wrong with a frame in the words of the manifest."""
        name, spec = self.input.name, self.input
        shape: tuple[str | int, ...] = ("H", "W")
        if spec.kind == "color":
            count = CHANNELS[self.channels]
            if count > 1 or getattr(array, "ndim", 2) == 3:
                shape = ("H", "W", count)
        try:
            require_rows(name, array, (spec.dtype,), shape)
        except DTypeError as err:
            raise DTypeError(f"{err} {self._how_to_convert(array)}") from None
        except ShapeError as err:
            raise ShapeError(f"{err}{self._how_to_reshape(array)}") from None

    def _how_to_convert(self, array: Any) -> str:
        name, wanted = self.input.name, self.input.dtype
        if isinstance(array, Borrowed):
            return "Convert it where it is."
        if not isinstance(array, np.ndarray):
            return f"Convert it: np.asarray({name})."
        if array.dtype.kind != "f" or wanted == "float32":
            return f"Convert it: {name}.astype(np.{wanted})."
        if self.input.kind == "color":
            return f"If it is 0 to 1: np.rint({name} * 255).astype(np.uint8)."
        if self._unit in (None, "1"):
            return f"If it is raw counts: {name}.astype(np.{wanted})."
        base = next(unit for unit in ("m", "K", "C") if self._unit.endswith(unit))
        steps = f"{name} * {unit_factor(base, self._unit):g}"
        return (
            f"Frames must be in {self._unit}; if these are in {base} with NaN for no "
            f"reading: np.nan_to_num(np.rint({steps}), posinf=0).astype(np.{wanted})."
        )

    def _how_to_reshape(self, array: NDArray[Any]) -> str:
        name = self.input.name
        if self.input.kind != "color":
            one = array.ndim == 3 and array.shape[2] == 1
            return f" Drop the last axis: {name}[..., 0]." if one else ""
        if array.ndim == 3 and array.shape[0] == 3:
            return f" Copy it: np.ascontiguousarray({name}.transpose(1, 2, 0))."
        found = (array.shape[2:] or (1,)) if array.ndim > 1 else ()
        for order, count in CHANNELS.items():
            if found == (count,):
                return f" Say so when loading: channels={{{name!r}: {order!r}}}."
        return ""
