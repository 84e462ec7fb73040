"""An exception at any line of a call: no place is lost, no stamp is of other pixels.

A trace function raises at the n-th line that fuseg runs in a call, for every n. Then
depth is asked for from what is held; the labels have to be those of the frame whose age
the result tells, by a Segmenter that holds nothing.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import doubles
import numpy as np
import pytest

import fuseg
from fuseg.errors import ArgumentError

SDK = str(Path(fuseg.__file__).parent)
CAMERA = (20, 26)
MS = 1_000_000
CALLS = ("call", "submit", "result", "preprocess", "clone", "resized")


class Interrupt(Exception):
    """As a timeout's signal handler raises it."""


def interrupted(call: Callable[[], Any], line: int) -> tuple[int, str]:
    """Raise at this line that ``call`` comes to; how many it came to, and where."""
    seen, where = 0, ""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen, where
        if not frame.f_code.co_filename.startswith(SDK):
            return None
        if event == "line":
            seen += 1
            if seen == line:
                where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise Interrupt
        return trace

    before = sys.gettrace()
    made = None  # whose destructors are no part of the call
    gc.disable()  # nor are those of what other tests left behind
    sys.settrace(trace)
    try:
        made = call()
    except Interrupt:
        pass
    finally:
        sys.settrace(before)
        gc.enable()
    del made
    return seen, where


class Story:
    """One Segmenter whose calls are interrupted, and what its labels must be."""

    def __init__(self, segmenter: fuseg.Segmenter, cpu: fuseg.Segmenter) -> None:
        self.segmenter, self.cpu = segmenter, cpu
        self.depths: dict[int, np.ndarray] = {}  # every frame given, by its stamp
        self.now = 0
        self.rng = np.random.default_rng(0)
        self.held = 0

    def frames(self, camera: tuple[int, int] = CAMERA) -> dict[str, Any]:
        self.now += 10 * MS
        depth = self.rng.integers(300, 6000, camera).astype(np.uint16)
        rgb = self.rng.integers(0, 256, (*camera, 3)).astype(np.uint8)
        self.depths[self.now] = depth
        frame = fuseg.Frame
        return {"rgb": frame(rgb, self.now), "depth": frame(depth, self.now)}

    def check(self, result: fuseg.Segmentation, rgb: Any, where: str) -> None:
        """The labels are of the depth frame whose age is given, and of this colour."""
        source = result.sources["depth"]
        depth = None
        if source.state != "substituted":
            stamp = result.stamp_ns - round(source.age_ms * MS)
            self.held += source.state == "held"
            depth = fuseg.Frame(self.depths[stamp], result.stamp_ns)
        words = {"stamp_ns": result.stamp_ns, "size": result.labels.shape}
        wanted = self.cpu(rgb=rgb, depth=depth, **words).labels
        np.testing.assert_array_equal(result.labels, wanted, err_msg=where)

    def interrupt(self, kind: str, line: int) -> int:
        """Interrupt one call of this kind there; then look at everything."""
        segmenter = self.segmenter
        first = self.frames()
        segmenter(**first)  # something is held
        camera = (24, 30) if kind == "resized" else CAMERA
        given = self.frames(camera)
        ticket = None
        if kind == "result":
            ticket = segmenter.submit(**given)
        call = {
            "call": lambda: segmenter(**given),
            "resized": lambda: segmenter(**given, confidence=True),
            "submit": lambda: segmenter.submit(**given),
            "result": lambda: segmenter.result(ticket),
            "preprocess": lambda: segmenter.preprocess(**given),
            "clone": segmenter.clone,
        }[kind]
        seen, where = interrupted(call, line)
        if seen < line:
            if ticket is not None:
                with pytest.raises(ArgumentError, match="was not taken yet"):
                    segmenter.result(ticket)
            return 0
        if ticket is not None:  # it is still good
            self.check(segmenter.result(ticket), given["rgb"], where)
        self.now += 10 * MS
        rgb = fuseg.Frame(given["rgb"].array, self.now)
        size = camera
        self.check(segmenter(rgb=rgb, stamp_ns=self.now, size=size), rgb, where)
        tickets, colors = [], []
        for _ in range(2):  # both places are free
            more = self.frames()
            colors.append(more["rgb"])
            tickets.append(segmenter.submit(**more))
        for one, color in zip(tickets, colors, strict=True):
            self.check(segmenter.result(one), color, where)
        return 1


def interrupt_everywhere(story: Story, kind: str, first: int, step: int) -> int:
    count, line = 0, first
    while story.interrupt(kind, line):
        count, line = count + 1, line + step
    return count


@pytest.mark.parametrize("kind", CALLS)
def test_on_a_cpu(kind, held):
    load = fuseg.load
    story = Story(
        load(held.path, backend="onnxruntime", threads=1),
        load(held.path, backend="onnxruntime", threads=1, hold=False),
    )
    assert interrupt_everywhere(story, kind, 1, 1) >= 10


@pytest.fixture
def gpu_story(held, on_gpu, machine, request):
    cpu = fuseg.load(held.path, backend="onnxruntime", threads=1, hold=False)
    yield Story(on_gpu(held, binding=request.param), cpu)
    machine.check()
    # An exception on the very line of it leaves a context that nobody takes off.
    driver = sys.modules["pycuda.driver"]
    with suppress(doubles.Misuse, driver.Error):
        while True:
            driver.Context.pop()


GPU = pytest.mark.parametrize("gpu_story", ["pycuda", "native"], indirect=True)


@GPU
@pytest.mark.parametrize("kind", CALLS)
def test_on_a_gpu(kind, gpu_story):
    """At every eleventh line; the next test is about the others."""
    assert interrupt_everywhere(gpu_story, kind, 1, 11) >= 10


@GPU
@pytest.mark.slow
@pytest.mark.parametrize("first", range(2, 12))
@pytest.mark.parametrize("kind", CALLS)
def test_on_a_gpu_at_the_other_lines(kind, gpu_story, first):
    assert interrupt_everywhere(gpu_story, kind, first, 11) >= 5
