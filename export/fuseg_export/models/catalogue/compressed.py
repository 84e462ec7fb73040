"""`gated-middle` made smaller: its channels removed, or a student of half its width."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from fuseg.manifest import Class

from ...scenes import CLASSES
from ..compose import compose
from ..reference_model import ReferenceModel
from ..thin import removed_channels

__all__ = ["MODELS"]

_CLASSES = [Class(c.name, c.color) for c in CLASSES]
_BOTH = ("rgb", "depth")
_WHOLE = compose("whole", _BOTH, _CLASSES, "gated", "middle", family="compressed")


def _thinned(percent: int) -> ReferenceModel:
    def build() -> nn.Module:
        network = _WHOLE.network()
        removed_channels(network, percent / 100)
        return network

    return replace(
        _WHOLE,
        name=f"thinned-{percent}",
        summary=f"gated-middle without {percent} % of its blocks' inner channels",
        build=build,
    )


MODELS = (
    _thinned(30),
    _thinned(50),
    compose(
        "half-width",
        _BOTH,
        _CLASSES,
        "gated",
        "middle",
        family="compressed",
        summary="gated-middle at half its width: a student",
        widths=(8, 16, 24, 32),
        decoder_channels=16,
    ),
)
