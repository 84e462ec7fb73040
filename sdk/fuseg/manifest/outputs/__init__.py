"""The manifest's outputs, a record for each kind: how tensors become results."""

from __future__ import annotations

from typing import Union

from .boxes import BoxesOutput
from .classes import ClassesOutput
from .embedding import EmbeddingOutput
from .form import Form
from .palette import prompt_classes
from .plane import PlaneOutput
from .segmentation import Background, Class, SegmentationOutput, Tail, Upsample
from .tensor import TensorOutput
from .tokens import TokensOutput

__all__ = [
    "Background",
    "BoxesOutput",
    "Class",
    "ClassesOutput",
    "EmbeddingOutput",
    "Form",
    "Output",
    "PlaneOutput",
    "SegmentationOutput",
    "Tail",
    "TensorOutput",
    "TokensOutput",
    "Upsample",
    "prompt_classes",
    "tensors_of",
]

Output = Union[  # noqa: UP007  told apart by their kind
    SegmentationOutput,
    EmbeddingOutput,
    ClassesOutput,
    BoxesOutput,
    PlaneOutput,
    TokensOutput,
    TensorOutput,
]


def tensors_of(output: Output) -> dict[str, str]:
    """The tensors that an output is made of, by the key that names them."""
    found = {"tensor": output.tensor}
    if isinstance(output, EmbeddingOutput):
        found["vectors"] = output.vectors
    return found
