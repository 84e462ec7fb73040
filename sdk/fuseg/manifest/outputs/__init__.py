"""The manifest's outputs, a record for each kind: how tensors become results."""

from __future__ import annotations

from typing import Union

from .classes import ClassesOutput
from .form import Form
from .segmentation import Class, SegmentationOutput, Tail, Upsample
from .tensor import TensorOutput

__all__ = [
    "Class",
    "ClassesOutput",
    "Form",
    "Output",
    "SegmentationOutput",
    "Tail",
    "TensorOutput",
    "Upsample",
]

Output = Union[  # noqa: UP007  told apart by their kind
    SegmentationOutput,
    ClassesOutput,
    TensorOutput,
]
