"""Outputs of the network that is exported: one file for each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fuseg.errors import ArgumentError
from fuseg.manifest import SegmentationOutput

from .base import ExportedOutput, OutputRequest
from .boxes import Boxes
from .classes import Classes
from .embedding import Embedding, EmbeddingTask
from .label_task import LabelTask
from .plane import Plane
from .segmentation import Segmentation
from .tensor import Passed
from .tokens import Tokens

__all__ = [
    "KINDS",
    "ExportedOutput",
    "OutputRequest",
    "further_paths",
    "label_task",
    "main_first",
    "truth_size",
]

# Of a request, what forward returns for it, the shapes of the pictures' tensors, and
# what it returns at `further_paths`.
Make = Callable[..., ExportedOutput]

KINDS: dict[str, Make] = {
    "segmentation": Segmentation.of,
    "embedding": Embedding.of,
    "classes": Classes.of,
    "boxes": Boxes.of,
    "plane": Plane.of,
    "tokens": Tokens.of,
    "tensor": Passed.of,
}

_FURTHER = {"embedding": ("vectors",)}


def further_paths(request: OutputRequest) -> Iterator[tuple[str, str]]:
    """Keys of a kind that say where forward returns a tensor more, and what they say.

    Raises:
        ArgumentError: One is missing.
    """
    for key in _FURTHER.get(request.kind, ()):
        said = request.settings.get(key)
        if type(said) not in (int, str):
            raise ArgumentError(
                f"--spec: outputs.{request.name}.{key} must say where forward returns "
                f"them, a key or an index, got {said!r}."
            )
        yield key, str(said)


def label_task(record: SegmentationOutput) -> LabelTask:
    """How a manifest's output that gives labels is labelled."""
    kinds = {"segmentation": LabelTask, "embedding": EmbeddingTask}
    return kinds[record.kind].of(record)


def main_first(outputs: Sequence[ExportedOutput]) -> list[ExportedOutput]:
    """The first segmentation, which true labels are of, before all others."""
    return sorted(outputs, key=lambda output: not isinstance(output, Segmentation))


def truth_size(outputs: Sequence[ExportedOutput]) -> tuple[int, int] | None:
    """(H, W) of the labels that the network gives itself; None if it gives none."""
    main = main_first(outputs)[0]
    return main.record.tail.size if isinstance(main, Segmentation) else None
