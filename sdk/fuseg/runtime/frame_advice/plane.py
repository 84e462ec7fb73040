"""Maps of numbers in other element types and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...cuda.array_view import CudaArrayView
from ...manifest import PlaneInput
from .advice import ANOTHER_SENSOR, NONE, Advice

__all__ = ["PlaneAdvice"]


class PlaneAdvice:
    """See `KindAdvice`."""

    def __init__(self, spec: PlaneInput) -> None:
        self.name, self._spec = spec.name, spec

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (np.dtype(self._spec.dtype),)

    @property
    def no_value_for_masked(self) -> str:
        return (
            "The bundle has no raw value for no reading; if they may be 0: "
            f"{self.name}.filled(0)."
        )

    def shape(self, array: Any) -> tuple[str | int, ...]:  # noqa: ARG002
        return self._spec.frame_shape

    def how_to_convert(self, found: np.dtype[Any]) -> Advice:
        name, own = self.name, self._spec.dtype
        if found.kind not in "iuf":
            return NONE
        if own == "float32":
            return Advice(f"Convert it: {name}.astype(np.float32).", "Save it so.")
        top = np.iinfo(own).max
        return Advice(
            f"If its values are 0 to {top}: np.rint({name}).astype(np.{own}).",
            f"Save it so, if its values are 0 to {top}.",
        )

    def how_to_reshape(self, array: Any) -> Advice:
        name, planes = self.name, self._spec.planes
        if planes == 1 and array.ndim == 3 and array.shape[2] == 1:
            return Advice(
                f"Drop the last axis: {name}[..., 0].", "Save it without the last axis."
            )
        first = array.ndim == 3 and array.shape[0] == planes > 1
        if first and not isinstance(array, CudaArrayView):
            return Advice(
                f"Its planes come first: np.moveaxis({name}, 0, -1).",
                "Save it with the planes last.",
            )
        return NONE

    def what_it_may_be(self, array: Any) -> Advice:  # noqa: ARG002
        return ANOTHER_SENSOR
