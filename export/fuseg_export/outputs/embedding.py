# ruff: noqa: ARG002 - the protocol says more than this kind asks for
"""Features of every pixel and of every text: their products are the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m
from fuseg.errors import ArgumentError, ManifestError

from .. import reference
from ..network.outputs import Shapes, require_planes
from ..passes.cut_tail import CutTail
from .base import OutputRequest, Prediction, Reader
from .label_task import LabelTask
from .segmentation import Segmentation

__all__ = ["Embedding", "EmbeddingTask"]


@dataclass(frozen=True)
class Embedding(Segmentation):
    """See `ExportedOutput`; judged by its labels, as a segmentation.

    The graph gives the features, then the texts' vectors. Nothing is cut off: what
    enlarges features must go before lengths are divided by.
    """

    @classmethod
    def of(
        cls,
        request: OutputRequest,
        returned: Tensor,
        inputs: Shapes,
        *further: Tensor,
    ) -> Embedding:
        """See `ExportedOutput`: features (1, D, h, w); then vectors (texts, D)."""
        require_planes(returned, inputs)
        (vectors,) = further
        height, width = returned.shape[-2:]
        fixed = {
            "name": request.name,
            "tensor": request.name,
            "vectors": f"{request.name}_vectors",
            "tail": {"removed": [], "size": (height, width)},
            "upsample": {"align_corners": False},
        }
        try:
            made = m.EmbeddingOutput.from_json(
                {"ignore": 255, **request.settings, **fixed}
            )
            made.require_fits(_type(returned), tuple(returned.shape))
            made.require_vectors(
                m.Tensor.from_json(
                    {"shape": ["texts", *vectors.shape[1:]], "dtype": _type(vectors)}
                ),
                m.Tensor(tuple(returned.shape)),
            )
        except ManifestError as err:
            raise ArgumentError(f"output {request.name}: {err}") from err
        tail = CutTail((), (height, width), False, None)
        return cls(request, made, tail, tail)

    @property
    def record(self) -> m.EmbeddingOutput:
        """See `ExportedOutput`."""
        assert isinstance(self.made, m.EmbeddingOutput), "`of` makes it"
        return self.made

    @property
    def exported_as(self) -> tuple[str, ...]:
        """See `ExportedOutput`."""
        return (f"{self.name}_features", f"{self.name}_vectors")

    def cut(
        self, model: onnx.ModelProto, index: int
    ) -> tuple[onnx.ModelProto, Embedding]:
        """See `ExportedOutput`; nothing is."""
        tensor, vectors = (model.graph.output[i].name for i in (index, index + 1))
        return model, replace(
            self, made=replace(self.record, tensor=tensor, vectors=vectors)
        )

    def followed(self, stages: Sequence[onnx.ModelProto], index: int) -> Embedding:
        """See `ExportedOutput`."""
        return self

    def of_torch(
        self, returned: Tensor, reduced: Sequence[Tensor], *further: Tensor
    ) -> Prediction:
        """See `ExportedOutput`."""
        return self._compared(returned.numpy(), *(t.numpy() for t in further))

    def reader(self, model: onnx.ModelProto, index: int) -> Reader:
        """See `ExportedOutput`."""
        names = tuple(model.graph.output[i].name for i in (index, index + 1))
        return Reader(names, lambda arrays: self._compared(*(arrays[n] for n in names)))

    def task(self, *, mapped: bool) -> LabelTask:
        """See `ExportedOutput`."""
        return EmbeddingTask.of(self.record, mapped=mapped)

    def _compared(self, features: NDArray[Any], vectors: NDArray[Any]) -> Prediction:
        record = self.record
        scores = _scores(features, vectors, record.normalize, record.background)
        return Prediction(scores, reference.labels(scores))


@dataclass(frozen=True)
class EmbeddingTask(LabelTask):
    """See `LabelTask`; its scores are those of the features and the vectors."""

    vectors: str = ""
    normalize: str = "none"

    @classmethod
    def of(cls, output: Any, *, mapped: bool = True) -> EmbeddingTask:
        """See `LabelTask.of`."""
        made = super().of(output, mapped=mapped)
        return replace(made, vectors=output.vectors, normalize=output.normalize)

    def tensor_of(self, found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """See `LabelTask.tensor_of`."""
        own = found[self.tensor], found[self.vectors]
        return _scores(*own, self.normalize, self.background)[None]


def _scores(
    features: NDArray[Any],
    vectors: NDArray[Any],
    normalize: str,
    background: m.Background | None,
) -> NDArray[np.float32]:
    """(1 + texts, h, w), the background's first."""
    found = reference.compared(features[0], vectors, normalize=normalize)
    assert background is not None, "the manifest wants it"
    return reference.with_background(found, background.score).astype(np.float32)


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
