# ruff: noqa: ARG002 - the protocols say more than every kind asks for
"""What all kinds but segmentation have in common: their tensor is compared as it is.

A kind adds its record, what it makes of the tensor, and how alike two results are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m
from fuseg.errors import ArgumentError, ExportError, ManifestError

from ..precision.options import Budget
from .base import OutputRequest, Prediction, Reader, Size, StageResult
from .comparison import Comparison, Evaluation, worst_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Plain", "record_of"]

MAX_DIFFERENCE = 1e-3  # of one value between two stages, for values up to 1


@dataclass(frozen=True)
class Plain(ABC):
    """See `ExportedOutput` and `Task`.

    Attributes:
        record: The manifest's.
        EQUAL: What the agreement counts, as the end of "0.99 of the ...".
        LEAST_BETWEEN_STAGES: How alike the results of two stages must be.
        LEAST: How alike a variant's must be to fp32's.
    """

    record: Any

    EQUAL: ClassVar[str]
    LEAST_BETWEEN_STAGES: ClassVar[float]
    LEAST: ClassVar[float]

    @abstractmethod
    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """What the kind makes of the tensor: its definition, in float64."""

    @abstractmethod
    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """How alike two results are, 0 to 1."""

    @property
    def name(self) -> str:
        return str(self.record.name)

    @property
    def tensor(self) -> str:
        return str(self.record.tensor)

    @property
    def exported_as(self) -> tuple[str, ...]:
        return (self.tensor,)

    @property
    def is_cut(self) -> bool:
        return False

    def cut(self, model: onnx.ModelProto, index: int) -> tuple[onnx.ModelProto, Self]:
        """Nothing is cut off."""
        tensor = model.graph.output[index].name
        return model, replace(self, record=replace(self.record, tensor=tensor))

    def followed(self, stages: Sequence[onnx.ModelProto], index: int) -> Self:
        return self

    def notes(self) -> tuple[str, ...]:
        return ()

    def of_torch(
        self, returned: Tensor, reduced: Sequence[Tensor], *further: Tensor
    ) -> Prediction:
        return self._predicted(returned.numpy())

    def reader(self, model: onnx.ModelProto, index: int) -> Reader:
        name = model.graph.output[index].name
        return Reader((name,), lambda arrays: self._predicted(arrays[name]))

    def at_camera(self, prediction: Prediction, camera: Size, size: Size) -> Prediction:
        """The result as it is, unless a kind's depends on the camera."""
        return prediction

    @property
    def members(self) -> Mapping[str, bytes]:
        """None, unless a kind has some."""
        return {}

    def require_usable(self, prediction: Prediction) -> None:
        if not np.isfinite(prediction.tensor).all():
            raise ExportError(
                f"the network gives values that are NaN or infinite as its output "
                f"{self.name} on a frame: look at its weights and at the inputs' "
                "scale, mean and std."
            )

    def differences(self) -> _Differences:
        return _Differences(self)

    def task(self, *, mapped: bool) -> Self:
        return self

    def tensor_of(self, found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return found[self.tensor]

    def tally(self, variants: Collection[str]) -> _Tally:
        return _Tally(self, variants)

    def _predicted(self, tensor: NDArray[Any]) -> Prediction:
        return Prediction(tensor, self.result(tensor))


def record_of(
    record: type[Any], request: OutputRequest, returned: Tensor, **given: Any
) -> Any:
    """A kind's record of what the user said, for what forward returns.

    Args:
        given: What the user need not say.

    Raises:
        ArgumentError: A key is not the record's, or a value is not allowed.
    """
    dtype, shape = str(returned.dtype).removeprefix("torch."), returned.shape
    fixed = {"name": request.name, "tensor": request.tensor or request.name}
    try:
        made: m.Output = record.from_json({**given, **request.settings, **fixed})
        made.require_fits(dtype, tuple(shape))
    except ManifestError as err:
        raise ArgumentError(f"output {request.name}: {err}") from err
    return made


class _Differences:
    """What differs between two stages, over all frames so far."""

    def __init__(self, output: Plain) -> None:
        self._output = output
        self._equal: list[float] = []
        self._scale, self._difference = 1.0, 0.0

    def add(
        self, expected: Prediction, got: Prediction, truth: NDArray[np.uint8] | None
    ) -> None:
        self._equal.append(self._output.agreement(expected.result, got.result))
        self._scale = max(self._scale, float(np.abs(expected.tensor).max(initial=0)))
        self._difference = _largest(self._difference, expected.tensor, got.tensor)

    def result(self, stage: str, against: str) -> StageResult:
        if not self._equal:
            raise ExportError(f"stage {stage} was compared on no frame at all.")
        agreement, output = float(np.mean(self._equal)), self._output
        most, least = MAX_DIFFERENCE * self._scale, output.LEAST_BETWEEN_STAGES
        if agreement < least or not self._difference <= most:  # NaN is over it
            raise ExportError(
                f"stage {stage} computes something else than {against} on "
                f"{len(self._equal)} frames: of output {output.name} {agreement:.6f} "
                f"of the {output.EQUAL} (at least {least} must), values differ by up "
                f"to {self._difference:.2g} (at most {most:.2g})."
            )
        return StageResult(
            stage=stage,
            against=against,
            output=output.name,
            frames=len(self._equal),
            label_agreement=agreement,
            max_abs_logit_diff=self._difference,
            largest_gap=0.0,
        )


@dataclass(frozen=True)
class _Comparison(Comparison):
    """See `Comparison`; it has a budget of its own.

    Attributes:
        least: How alike the results must be.
        equal: See `Plain.EQUAL`.
    """

    least: float = 1.0
    equal: str = ""

    def over(self, budget: Budget) -> str | None:
        """What is over the budget, in words; None if nothing is."""
        least = 1 - (1 - self.least) * budget.share
        faults = []
        if not np.isfinite(self.max_abs_logit_diff):
            faults.append("it gives values that are NaN or infinite")
        if self.agreement < least:
            faults.append(
                f"{self.agreement:.4f} of the {self.equal}, fewer than {least:g}"
            )
        return "; ".join(faults) or None


class _Tally:
    """See `Tally`."""

    def __init__(self, output: Plain, variants: Collection[str]) -> None:
        self._output, self._frames = output, 0
        self._equal: dict[str, list[float]] = {name: [] for name in variants}
        self._differs = dict.fromkeys(variants, 0.0)

    def add(
        self,
        truth: NDArray[np.uint8] | None,
        fp32: NDArray[Any],
        variants: Mapping[str, NDArray[Any]],
    ) -> None:
        self._frames += 1
        expected = self._output.result(fp32)
        for name, tensor in variants.items():
            found = self._output.result(tensor)
            self._equal[name].append(self._output.agreement(expected, found))
            self._differs[name] = _largest(self._differs[name], fp32, tensor)

    def done(self) -> Evaluation:
        compared: dict[str, Comparison] = {
            name: _Comparison(
                len(equal),
                float(np.mean(equal)),
                self._differs[name],
                worst_frames=worst_of(equal),
                least=self._output.LEAST,
                equal=self._output.EQUAL,
            )
            for name, equal in self._equal.items()
        }
        return Evaluation(self._frames, None, {}, compared)


def _largest(before: float, one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference so far; NaN if there was one."""
    difference = np.abs(one.astype(np.float64) - other).max(initial=0)
    return float(np.maximum(before, difference))
