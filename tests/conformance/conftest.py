"""The real TensorRT bindings, and what fuseg used of their doubles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def real() -> Callable[[str], Any]:
    """``real(version) -> Api`` of the real bindings; skips where they cannot be had."""
    from conformance import bindings

    def load(version: str) -> bindings.Api:
        try:
            return bindings.load(version)
        except bindings.Unavailable as reason:
            pytest.skip(str(reason))

    return load


@pytest.fixture(scope="session")
def recorded_uses(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """``recorded_uses(version)``: what the scenario took of that version's double."""
    from conformance.scenario import scenario

    @functools.cache
    def record(version: str) -> set[Any]:
        return scenario(version, tmp_path_factory.mktemp("scenario"))

    return record
