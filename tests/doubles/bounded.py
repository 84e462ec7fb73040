"""No test hangs: what has no answer after a while fails."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

SECONDS = 120


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """For the conftest.py of a folder: its tests take at most two minutes each."""

    def late(*_: object) -> None:
        raise TimeoutError(f"the test hangs: it has run for {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
