"""What a network's tensors become, a module for each kind of output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from ...manifest import Manifest, Output
from ..preprocess import Preprocessor
from .adapter import OutputAdapter, OutputContext
from .boxes import Boxes, BoxesAdapter
from .classes import ClassesAdapter, Classification
from .embedding import EmbeddingAdapter
from .plane import PlaneAdapter
from .segmentation import SegmentationAdapter
from .tensor import TensorAdapter
from .tokens import Tokens, TokensAdapter

__all__ = [
    "Boxes",
    "Classification",
    "OutputAdapter",
    "Tokens",
    "adapter_of",
    "adapters",
    "agreements",
]

_ADAPTERS: dict[str, type[OutputAdapter]] = {
    "segmentation": SegmentationAdapter,
    "embedding": EmbeddingAdapter,
    "classes": ClassesAdapter,
    "boxes": BoxesAdapter,
    "tokens": TokensAdapter,
    "plane": PlaneAdapter,
    "tensor": TensorAdapter,
}


def adapter_of(output: Output) -> type[OutputAdapter]:
    """What makes and compares the results of an output of this kind."""
    return _ADAPTERS[output.kind]


def adapters(
    manifest: Manifest, preprocessor: Preprocessor, backend: str
) -> Sequence[OutputAdapter]:
    """One for each output, in the manifest's order.

    Args:
        backend: The name of what makes the tensors, for sentences.
    """
    context = OutputContext(manifest, preprocessor, backend)
    return [adapter_of(output)(output, context) for output in manifest.outputs]


def agreements(
    manifest: Manifest, expected: Mapping[str, NDArray[Any]], result: Any
) -> dict[str, float]:
    """How alike a result is to that of a sample, by output name: 1 is the same.

    Args:
        expected: The sample's arrays, by output name.
        result: Of a call.
    """
    found = {}
    for output in manifest.outputs:
        adapter, name = adapter_of(output), output.name
        array = adapter.as_array(result[name])
        found[name] = adapter.agreement(expected[name], array)
    return found
