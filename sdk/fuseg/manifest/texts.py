"""What inputs of texts, dimensions and outputs of texts must be to one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ManifestError
from .inputs import Input, TextInput
from .outputs import EmbeddingOutput, Output, SegmentationOutput, TensorOutput
from .schema import require
from .tensors import Dimension, Tensor, require_dimensions

__all__ = ["require_output_of_texts", "require_texts"]

_MOST = 254  # texts: labels beside the background

Inputs = Sequence[Input]
Tensors = Mapping[str, Tensor]
Dimensions = Mapping[str, Dimension]


def require_texts(
    inputs: Inputs, tensors: Tensors, dimensions: Dimensions, *, sampled: bool
) -> None:
    """Refuse inputs of texts that cannot fill their tensors, or no other inputs.

    Args:
        sampled: Whether there are samples, which are run with the default texts.

    Raises:
        ManifestError: the sentence begins with the path.
    """
    filled = [entry.tensor for entry in inputs if not isinstance(entry, TextInput)]
    require(bool(filled), "inputs must hold one that is no text.")
    sources: list[str] = []
    for index, entry in enumerate(inputs):
        if not isinstance(entry, TextInput):
            continue
        require(
            entry.tensor in tensors and entry.tensor not in (*filled, *sources),
            f"inputs[{index}].tensor must be one of tensors that no other input "
            f"fills, got {entry.tensor[:80]!r}.",
        )
        sources.append(entry.tensor)
        tensor = tensors[entry.tensor]
        try:
            entry.require_fits(tensor, dimensions.get(str(tensor.shape[0])))
        except ManifestError as err:
            raise ManifestError(f"inputs[{index}].{err}") from None
        require(
            bool(entry.defaults) or not sampled,
            f"inputs[{index}].default is missing: samples are run with it.",
        )
    require_dimensions(dimensions, tensors, sources)


def require_output_of_texts(
    output: Output, inputs: Inputs, tensors: Tensors, dimensions: Dimensions
) -> None:
    """Refuse an output whose classes are texts unless its scores are of as many.

    Raises:
        ManifestError: the sentence begins with the key.
    """
    if not isinstance(output, SegmentationOutput) or output.classes_from is None:
        shape = tensors[output.tensor].shape
        require(
            isinstance(output, TensorOutput) or not tensors[output.tensor].dimensions,
            f"tensor must have no dimension for kind {output.kind!r}, unless its "
            f"classes are texts, got {list(shape)}.",
        )
        return
    if isinstance(output, EmbeddingOutput):
        vectors, features = tensors[output.vectors], tensors[output.tensor]
        output.require_vectors(vectors, features)
    texts = {entry.name: entry for entry in inputs if isinstance(entry, TextInput)}
    name = output.classes_from
    require(
        name in texts,
        f"classes_from must name an input of texts, {', '.join(texts) or 'none here'}, "
        f"got {name[:80]!r}.",
    )
    wanted = tensors[texts[name].tensor].shape[0]
    found = output.prompt_axis(tensors)
    require(
        found == wanted,
        f"classes_from must name an input of as many texts as there are scores, "
        f"{found}, got {name!r} of {wanted}.",
    )
    if isinstance(wanted, str):
        most = dimensions[wanted].max
        require(
            most <= _MOST,
            f"classes_from must name an input of at most {_MOST} texts, got {name!r} "
            f"of {most}.",
        )
