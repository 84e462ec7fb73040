"""One finding of `fuseg doctor`, and the machine it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

JETPACK = "sudo apt install nvidia-jetpack"
NEW_DRIVER = "sudo ubuntu-drivers install"
NO_GPU = "; no NVIDIA GPU here"


@dataclass(frozen=True)
class Finding:
    """One thing that fuseg may use.

    ``state`` is "ok", "missing", "broken" or, of clocks, "slow"; ``impact`` says what
    does not work, ``fix`` what to do. Both are None if all is well; ``fix`` also where
    nothing can be done on this machine.
    """

    name: str
    state: str
    detail: str
    required: bool = False
    impact: str | None = None
    fix: str | None = None

    @property
    def not_needed(self) -> bool:
        """Whether it is missing together with the hardware it would be for."""
        return self.state == "missing" and self.fix is None and not self.required


@dataclass(frozen=True)
class Machine:
    """The machine, as far as a fix depends on it."""

    root: Path
    is_jetson: bool
    has_gpu: bool  # on the bus, with or without driver
    cuda: tuple[int, int] | None  # the newest that the driver supports
    arch: str
