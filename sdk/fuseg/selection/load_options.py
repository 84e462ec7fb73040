"""How a bundle is loaded: the arguments of `fuseg.load`, as one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..backends import Backend, GpuBackend
from ..bundle.signing import Trust
from ..runtime.policies import Changes


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What `fuseg.load` says of each; mappings are copied, so that they stay as is."""

    backend: str | Backend | GpuBackend = "auto"
    variant: str | None = None
    threads: int | None = None
    allow_spinning: bool = True
    device: int = 0
    serve_while_building: bool = False
    units: Mapping[str, str | Mapping[str, str]] | None = None
    channels: Mapping[str, str] | None = None
    rates: Mapping[str, int] | None = None
    missing: Changes | None = None
    hold: bool = True
    trust: Trust | None = None

    def __post_init__(self) -> None:
        for name in ("units", "channels", "rates", "missing"):
            object.__setattr__(self, name, _copied(getattr(self, name)))

    def for_clone(self, backend: Backend | GpuBackend, variant: str) -> LoadOptions:
        """The same about frames, for a backend that is loaded already."""
        return replace(
            self,
            backend=backend,
            variant=variant,
            threads=None,
            allow_spinning=True,
            serve_while_building=False,
            trust=None,
        )


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return value
