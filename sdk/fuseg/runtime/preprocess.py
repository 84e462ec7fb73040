"""Camera frames to the network's input tensors, as the manifest declares.

The only place where ``(H, W, 3)`` images become ``(C, H, W)`` planes. Works in two
steps, so that a refused call changes nothing: `Preprocessor.plan` checks the frames
and decides what every tensor is made from, `Preprocessor.fill` writes the tensors.

The last good planes of a sensor with the policy ``hold`` are kept where they already
are: in its tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..cuda import Device
from ..errors import ArgumentError, Cause, Fault
from ..manifest import Manifest, image_inputs
from ..manifest.graphs import runnable
from ..manifest.outputs import tensors_of
from ..ops.placement import place
from .calibration_checks import CalibrationCheck
from .frame_set import FrameSet, result_stamp
from .inputs import ColorAdapter, FrameAdapter, InputAdapter, Read, Tensors, adapter_of
from .policies import require_mapping
from .results import Source
from .sensor_sync import SensorDecision, SyncState, age_ms, decide, sources_of

_UNITS, _CHANNELS = "{'depth': 'mm'}", "{'rgb': 'BGR'}"  # examples
_RATES = "{'sound': 48000}"


class FramePlan(NamedTuple):
    """What one call is made from, and what to remember once it is written."""

    decisions: dict[str, SensorDecision]
    sources: dict[str, Source]
    stamp_ns: int
    sync_state: SyncState
    gone: frozenset[str] = frozenset()  # tensors that graphs must do without


class Preprocessor:
    """The pack kernels of one manifest, with what the user said about the cameras.

    Args:
        manifest: Its inputs are followed word by word.
        read: Gives the content of a member of the bundle.
        units: By input name, the unit the camera really delivers; the values are
            scaled to the manifest's unit. See `fuseg.load`.
        channels: By input name, what a colour camera really delivers: ``"RGB"``,
            ``"BGR"``, ``"RGBA"``, ``"BGRA"`` (alpha is not read) or ``"GRAY"``.
        rates: By input name, at how many samples a second a microphone delivers.

    Attributes:
        read: What it was given, for outputs that need members.

    Raises:
        ArgumentError: no mapping; a name that is no input, or none that has a unit
            (channels); a unit that is unknown or measures something else.
    """

    def __init__(
        self,
        manifest: Manifest,
        read: Read,
        *,
        units: Mapping[str, str | Mapping[str, str]] | None = None,
        channels: Mapping[str, str] | None = None,
        rates: Mapping[str, int] | None = None,
    ) -> None:
        self.read = read
        self._sensors = {i.name: adapter_of(i, read) for i in manifest.sensors}
        if units is not None:
            for name, unit in require_mapping("units", units, _UNITS).items():
                self._named("units", name).set_unit(unit)
        if channels is not None:
            for name, order in require_mapping("channels", channels, _CHANNELS).items():
                self._named("channels", name).set_channels(order)
        if rates is not None:
            for name, rate in require_mapping("rates", rates, _RATES).items():
                self._named("rates", name).set_rate(rate)
        self._checks = {
            name: CalibrationCheck(name, sensor.input.statistics, sensor.strange)
            for name, sensor in self._sensors.items()
            if isinstance(sensor, FrameAdapter)
        }
        self._cameras = {
            name: sensor
            for name, sensor in self._sensors.items()
            if isinstance(sensor, ColorAdapter)
        }
        # Results are of the picture of the first of them.
        self._first = next(iter(image_inputs(manifest.sensors)), None)
        self._manifest = manifest

    def plan(
        self, frame_set: FrameSet, state: SyncState, *, device: Device | None
    ) -> FramePlan:
        """Check a call's frames and decide what each input is made from.

        Args:
            device: The GPU whose memory frames may be in. Nobody looks for valid
                pixels there: such frames are taken to have some.

        Raises:
            DTypeError, ShapeError, LayoutError: an array is not what the manifest
                declares; the sentence names the input.
            FrameError: an input has no usable frame and its policy is to refuse.
            ArgumentError: the result's stamp cannot be known.
        """
        causes: dict[str, Cause] = {}
        for name, sensor in self._sensors.items():
            if name not in frame_set.arrays:
                causes[name] = "absent"
                continue
            array = sensor.take(frame_set.arrays[name], device=device)
            frame_set.arrays[name] = array
            if not sensor.has_reading(array):
                causes[name] = "invalid"
        stamp_ns, against = result_stamp(frame_set, causes)
        decisions, gone = {}, set()
        for name, sensor in self._sensors.items():
            stamp, held = frame_set.stamps.get(name), state.held.get(name)
            decision = decisions[name] = decide(
                sensor.input.missing,
                cause=causes.get(name),
                nothing_valid=sensor.nothing_valid,
                age_ms=None if stamp is None else age_ms(stamp_ns, stamp),
                held_age_ms=None if held is None else age_ms(stamp_ns, held),
                against=against,
            )
            if decision.state == "absent":
                gone.add(sensor.input.tensor)
        sources = sources_of(decisions, self._needed(decisions, gone) if gone else ())
        state = self._remember(frame_set, state, decisions)
        return FramePlan(decisions, sources, stamp_ns, state, frozenset(gone))

    def fill(
        self, plan: FramePlan, arrays: Mapping[str, Any], tensors: Tensors
    ) -> None:
        """Write what `plan` decided into ``tensors``; every plane is then valid."""
        for name, decision in plan.decisions.items():
            if decision.state == "fresh":
                self._sensors[name].write(arrays[name], tensors)
            elif decision.state == "substituted":
                self._sensors[name].substitute(tensors)

    def check_calibration(self, plan: FramePlan, arrays: Mapping[str, Any]) -> None:
        """See whether fresh frames are like those the bundle was made with."""
        for name, decision in plan.decisions.items():
            if decision.state == "fresh" and name in self._checks:
                self._checks[name].check(arrays[name])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What `check_calibration` found, a sentence an input at most."""
        found = (check.warning for check in self._checks.values())
        return tuple(warning for warning in found if warning is not None)

    def fresh_color(self, plan: FramePlan) -> str | None:
        """The first colour input that is fresh, in the manifest's order."""
        for name in self._cameras:
            if plan.decisions[name].state == "fresh":
                return name
        return None

    def camera_channels(self) -> str:
        """The channels of the first colour camera; "RGB" if there is none."""
        return next((camera.channels for camera in self._cameras.values()), "RGB")

    def placed(
        self, camera: tuple[int, int] | None
    ) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """(H, W) of the network's input, and where in it the first camera's picture
        lies: (top, left, height, width).

        Without an image input both are of the results' own size.
        """
        size, fit = self._manifest.own_size, "stretch"
        if self._first is not None:
            resize = self._first.resize
            size, fit = (resize.height, resize.width), resize.fit
        if camera is None or fit == "stretch":
            return size, (0, 0, *size)
        return size, place(camera, size, fit=fit).picture

    def shown(self, camera: tuple[int, int] | None) -> dict[str, Any]:
        """Where the first camera's picture lies in its tensor, for UpsampleArgmax.

        Nothing if it lies everywhere.
        """
        size, picture = self.placed(camera)
        if picture == (0, 0, *size):
            return {}
        return {"crop": picture, "input_size": size}

    def adapter(self, name: str) -> InputAdapter:
        """The adapter of one input."""
        return self._sensors[name]

    def _needed(
        self, decisions: Mapping[str, SensorDecision], gone: Collection[str]
    ) -> Sequence[str]:
        """The absent inputs, if no graph makes some output without all of them."""
        _, lost = runnable(self._manifest.graphs, gone)
        results = (n for o in self._manifest.outputs for n in tensors_of(o).values())
        if lost.isdisjoint(results):
            return ()
        return [name for name, d in decisions.items() if d.state == "absent"]

    def _remember(
        self,
        frame_set: FrameSet,
        state: SyncState,
        decisions: Mapping[str, SensorDecision],
    ) -> SyncState:
        held = dict(state.held)
        for name, decision in decisions.items():
            if self._sensors[name].input.missing.policy != "hold":
                continue
            if decision.state == "fresh":
                held[name] = frame_set.stamps[name]
            elif decision.state in ("substituted", "absent"):
                held.pop(name, None)  # `fill` overwrites its planes, or it is too old
        camera = state.camera
        first = self._first
        # What is held was placed as its own camera's size asks for.
        if (
            first is not None
            and first.name in frame_set.arrays
            and decisions[first.name].state != "held"
        ):
            height, width = frame_set.arrays[first.name].shape[:2]
            camera = int(height), int(width)
        return SyncState(frame_set.clock, held, camera)

    def _named(self, argument: str, name: str) -> InputAdapter:
        if name not in self._sensors:
            problem = (
                f"must name inputs of the bundle ({', '.join(self._sensors)}), got "
                f"{name!r}."
            )
            raise ArgumentError.of(Fault(argument, None, problem))
        return self._sensors[name]
