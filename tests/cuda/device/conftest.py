"""A GPU in five ways: two bindings on the double, one emulated, two on hardware."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doubles import Machine, install
from doubles.bounded import bounded  # noqa: F401

from fuseg.cuda import Device, launch, open_device
from fuseg.errors import BackendError

ON_DOUBLE = ["pycuda", "native"]
ON_REAL = ["pycuda on a GPU", "native on a GPU"]


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.check()


@pytest.fixture(params=ON_DOUBLE)
def binding(request, monkeypatch, machine) -> str:
    """Which binding is to be opened, on ``machine``."""
    install(monkeypatch, machine)
    return request.param


@pytest.fixture
def on_double(binding) -> Device:
    return open_device(binding=binding)


@pytest.fixture(
    params=[
        *ON_DOUBLE,
        "native on the emulator",
        *(pytest.param(way, marks=pytest.mark.gpu) for way in ON_REAL),
    ]
)
def device(request, monkeypatch) -> Iterator[Device]:
    """GPU 0, opened; what was made on a double must have been given back at the end."""
    binding, *where = request.param.split()
    if where == ["on", "a", "GPU"]:
        yield _real(binding)
        return
    if where:
        module = request.getfixturevalue("emulated")
        monkeypatch.setattr(launch, "kernels", lambda: module)
        before = module.memory_info()
        yield open_device(binding=binding)
        assert module.memory_info() == before
        return
    machine = request.getfixturevalue("machine")
    install(monkeypatch, machine)
    yield open_device(binding=binding)
    assert not machine.live()


def _real(binding: str) -> Device:
    try:
        return open_device(binding=binding)
    except BackendError as err:
        pytest.skip(f"no real GPU through {binding}: {err}")


class Bench:
    """A machine with the usual things on it."""

    def __init__(self, monkeypatch, machine):
        self.machine = install(monkeypatch, machine)
        self.kernels = launch.kernels()
        self.stream = machine.create_stream()
        self.there = machine.allocate(1000)
        self.pinned = machine.allocate_pinned(1000)

    def upload(self):
        self.machine.copy(self.there, self.pinned, 1000, self.stream)

    def graph(self):
        self.machine.begin_capture(self.stream)
        self.upload()
        return self.machine.end_capture(self.stream)

    def work(self, **touches):
        self.machine.enqueue(self.stream, "work", lambda: None, **touches)


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch, Machine(devices=2))
