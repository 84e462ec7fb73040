"""A network tried on one frame set, and wrapped so that it has one output."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fuseg.errors import ExportError
from fuseg.manifest import input_shapes

from ..errors import first_sentence
from ..frames.frame_set import FrameSet
from ..reference import preprocess
from .outputs import OneOutput, choose, require_planes
from .target import Target

__all__ = ["example_tensors", "with_one_output"]


def example_tensors(target: Target, frame: FrameSet) -> dict[str, Tensor]:
    """The network's tensors of one frame set, float32, in the order of its forward."""
    tensors = preprocess(target.inputs, frame.arrays)
    return {
        name: torch.from_numpy(tensors[name].astype(np.float32))
        for name in input_shapes(target.inputs)
    }


def with_one_output(
    target: Target, example: Mapping[str, Tensor], output: str | None
) -> tuple[OneOutput, list[str]]:
    """The network as a graph needs it, run twice to try it.

    Args:
        output: See `outputs.choose`.

    Returns:
        The network, and a note if its output was chosen without the user.

    Raises:
        ArgumentError: See `outputs.choose`.
        ExportError: It fails, gives no scores of a picture or no finite ones, or gives
            two results for one input.
    """
    given = ", ".join(f"{name} {tuple(t.shape)}" for name, t in example.items())
    try:
        with torch.inference_mode():
            returned = target.network(*example.values())
            again = target.network(*example.values())
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"the network's forward failed on {given}: {first_sentence(err)}."
        ) from err
    key, note = choose(returned, output)
    one, two = (r if key is None else r[key] for r in (returned, again))
    require_planes(one, input_shapes(target.inputs))
    if not one.isfinite().all():
        raise ExportError(
            "the network gives scores that are NaN or infinite: look at its weights, "
            "and at the inputs' scale, mean and std."
        )
    if not torch.equal(one, two):
        raise ExportError(
            "the network gives two results for one input, so no graph can be verified "
            "against it: draw random numbers once, when it is built."
        )
    return OneOutput(target.network, key), [note] if note else []
