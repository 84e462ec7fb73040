"""Which of the things that a network returns is the segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError

from .weight_names import some

__all__ = ["OneOutput", "choose", "require_planes"]

USUAL_KEYS = ("out", "logits")
_STRIDES = (1 / 8, 64)  # of networks that segment; 1 / 8 enlarges
_POOLED = 32  # pixels: one score for as large a picture is the picture's, not a pixel's

Key = str | int | None


class OneOutput(nn.Module):
    """A network that returns one of another network's outputs, and nothing else.

    Args:
        network: Takes its tensors positionally.
        key: Of the output in the dict or tuple that ``network`` returns; None if it
            returns a tensor.
    """

    def __init__(self, network: nn.Module, key: Key) -> None:
        super().__init__()
        self.network = network
        self.key = key
        self.train(network.training)  # exporters put back the mode of the whole

    def forward(self, *tensors: Tensor) -> Tensor:
        returned = self.network(*tensors)
        chosen: Tensor = returned if self.key is None else returned[self.key]
        return chosen


def choose(returned: Any, word: str | None) -> tuple[Key, str | None]:
    """Choose an output of what a network returned.

    Args:
        returned: A tensor, a dict, or a tuple or list.
        word: The user's ``--output``: a key or an index. May be omitted for a tensor,
            a dict with one entry or with one of ``USUAL_KEYS``, a tuple of one.

    Returns:
        The key for `OneOutput`, and a sentence if it was chosen without the user.

    Raises:
        ArgumentError: ``word`` is needed, or names nothing.
        ExportError: What was returned holds no tensor there.
    """
    if isinstance(returned, Tensor):
        if word is not None:
            raise ArgumentError(
                f"--output must be absent, as the network returns one tensor, got "
                f"{word}."
            )
        return None, None
    entries = _entries(returned)
    key, note = _pick(entries, word)
    if not isinstance(entries[key], Tensor):
        raise ExportError(
            f"the network's output {key} must be a tensor, got "
            f"{type(entries[key]).__name__}."
        )
    return key, note


def require_planes(
    output: Tensor, inputs: Mapping[str, tuple[int, int, int, int]]
) -> None:
    """Refuse an output whose last two axes are not the picture's height and width.

    They are if some stride, 1/8 to 64, leads to both from one input's height and
    width, give or take a pixel for padding; not if only the two axes before them are
    so without that pixel.

    Args:
        output: Scores (1, C, h, w) or labels (..., h, w).
        inputs: Shapes (1, C, H, W) by name.

    Raises:
        ExportError: No input has such proportions.
    """
    shape = tuple(output.shape)
    sizes = [size[2:] for size in inputs.values()]
    last, first = shape[-2:], shape[1:3] if len(shape) == 4 else None
    channels_last = first is not None and any(_is_stride(first, s) for s in sizes)
    if len(shape) < 3 or any(_is_stride(last, size) for size in sizes):
        exact = [
            [h * s[1] == w * s[0] for s in sizes] for h, w in (last, first or last)
        ]
        if any(exact[0]) or not (channels_last and any(exact[1])):
            return
    way_out = "return scores of the whole picture, not pooled, cropped or turned"
    if channels_last:
        way_out = (
            "it looks like (1, h, w, C), so return scores.permute(0, 3, 1, 2) instead"
        )
    spelled = ", ".join(f"{name} {size[2:]}" for name, size in inputs.items())
    raise ExportError(
        "the network's output must be class scores of shape (1, C, h, w), with h and w "
        f"in the proportions of an input ({spelled}), got {shape}: {way_out}."
    )


def _is_stride(small: Sequence[int], large: Sequence[int]) -> bool:
    """Whether one stride makes ``small`` (h, w) of ``large``, give or take a pixel."""
    low = max((n - 1) / side for n, side in zip(small, large, strict=True))
    high = min((n + 1) / side for n, side in zip(small, large, strict=True))
    least, most = (1 / stride for stride in reversed(_STRIDES))
    if max(small) == 1 < _POOLED <= max(large):
        return False
    return low <= high and high >= least and low <= most


def _entries(returned: Any) -> dict[Any, Any]:
    if isinstance(returned, Mapping):
        return dict(returned)
    if isinstance(returned, Sequence) and not isinstance(returned, str):
        return dict(enumerate(returned))
    raise ExportError(
        "the network must return a tensor, or a dict, tuple or list of tensors, got "
        f"{type(returned).__name__}."
    )


def _pick(entries: Mapping[Any, Any], word: str | None) -> tuple[Any, str | None]:
    by_word = {str(key): key for key in entries}
    if word is not None:
        if word not in by_word:
            raise ArgumentError(
                f"--output must be one of what the network returns, {_spell(entries)}, "
                f"got {word}."
            )
        return by_word[word], None
    usual = [key for key in USUAL_KEYS if key in by_word]
    if len(entries) == 1 or usual:
        key = by_word[usual[0]] if usual else next(iter(entries))
        others = [other for other in by_word if other != str(key)]
        dropped = f" and dropped {some(others)}" if others else ""
        return key, f"took the network's output {key}{dropped}"
    raise ArgumentError(
        f"--output must say which one is the segmentation, as the network returns "
        f"{_spell(entries) or 'nothing'}."
    )


def _spell(entries: Mapping[Any, Any]) -> str:
    return ", ".join(
        f"{key} {tuple(value.shape)}" if isinstance(value, Tensor) else str(key)
        for key, value in entries.items()
    )
