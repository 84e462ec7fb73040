"""How builds go in NVIDIA's own builder: progress, memory, warnings, an early end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from backends.tensorrt.networks import PRECISIONS

from fuseg.backends.tensorrt import network_check
from fuseg.backends.tensorrt.network_check import NetworkCheck
from fuseg.errors import BuildError

Events = list[dict[str, Any]]


@pytest.fixture
def build(shipped, check_network, monkeypatch) -> Callable[..., tuple[Any, Events]]:
    """``build(variant, at=call, **options)``: the check of the shipped network and the
    child's events; ``call`` sees each as it comes."""

    def make(
        name: str, at: Callable[..., object] = str, **options: int
    ) -> tuple[NetworkCheck, Events]:
        seen: Events = []

        class Child(network_check.Child):
            def events(self):
                for event in super().events():
                    seen.append({**event, "pid": self._process.pid})
                    at(seen[-1])
                    yield event

        with monkeypatch.context() as patch:
            patch.setattr(network_check, "Child", Child)
            made = check_network(shipped[name], PRECISIONS[name][1], **options)
        return made, seen

    return make


def test_progress_never_goes_back_and_ends_at_one(build):
    _, events = build("int8-trt")
    reached = [e["fraction"] for e in events if e["event"] == "progress"]
    assert reached == sorted(reached)
    assert len(set(reached)) >= 3
    assert reached[0] < 0.5
    assert reached[-1] == 1.0


def test_a_build_that_is_stopped_leaves_no_process(build):
    stopped = []

    def stop(event: dict[str, Any]) -> None:
        if event.get("fraction"):
            stopped.append(event["pid"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("int8-trt", stop)
    with pytest.raises(ProcessLookupError):
        os.kill(*stopped, 0)


def test_side_by_side_the_layers_need_more_memory(build):
    alone, crowd = (build("fp16", aux_streams=n)[0] for n in (0, 7))
    assert crowd.activation_bytes > 3 * alone.activation_bytes


def test_what_is_said_of_every_layer_is_kept_once(build):
    warnings = build("int8-trt")[0].warnings
    assert len(set(warnings)) == len(warnings)
    assert 1 <= len(warnings) <= 3
    assert any("scales to fp32" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("name", "megabytes", "streams", "words"),
    [
        ("fp16", 1, 0, "within workspace limit"),
        ("int8-trt", 8, 7, "OutOfMemory"),
    ],
)
def test_a_workspace_that_is_too_small_is_raised_by_the_advice(
    build, name, megabytes, streams, words
):
    with pytest.raises(BuildError, match=rf"{words}.*--workspace 64\.$"):
        build(name, workspace_mb=megabytes, aux_streams=streams)
    assert build(name, workspace_mb=64, aux_streams=streams)[0].kernels
