"""Which of the things that a network returns are its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError

from .call import Call
from .weight_names import some

__all__ = [
    "LAYOUTS",
    "SelectedOutputs",
    "Shapes",
    "Source",
    "choose",
    "find",
    "require_planes",
]

LAYOUTS = ("nchw", "nhwc", "chw")
_AXES = {"nhwc": 4, "chw": 3}  # that an output of the layout has
USUAL_KEYS = ("out", "logits")
_STRIDES = (1 / 8, 64)  # of networks that segment; 1 / 8 enlarges
_POOLED = 32  # pixels: one score for as large a picture is the picture's, not a pixel's

Path = tuple[str | int, ...]  # keys and indices, from the outside in
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Source:
    """Where an output is in what a network returns, and what is made of it.

    What is no float32 but another float becomes float32.

    Attributes:
        path: Its own.
        layout: One of `LAYOUTS`: nhwc is (1, h, w, C) and chw is (C, h, w), without a
            batch; both become (1, C, h, w).
        masks: Where (1, Q, h, w) is, the logits of Q masks; at ``path`` is (1, Q, C +
            1) then, the logits of their classes and, at the end, of none. They become
            scores (1, C, h, w), see `class_scores`.
    """

    path: Path = ()
    layout: str = LAYOUTS[0]
    masks: Path | None = None

    def __call__(self, returned: Any) -> Tensor:
        """The output, of what the network returned."""
        found: Tensor = _take(returned, self.path)
        if self.masks is not None:
            found = class_scores(found, _take(returned, self.masks))
        if self.layout == "nhwc":
            found = found.permute(0, 3, 1, 2)
        elif self.layout == "chw":
            found = found[None]
        is_other = found.is_floating_point() and found.dtype != torch.float32
        return found.float() if is_other else found

    def dtype(self, returned: Any) -> torch.dtype:
        """Of what the network returned there."""
        found: torch.dtype = _take(returned, self.path).dtype
        return found

    def require_fits(self, name: str, returned: Any) -> None:
        """Refuse what the network returned there, if it has another form.

        Args:
            name: Of the output, for error messages.

        Raises:
            ExportError: In one sentence, which form it must have.
        """
        shape = tuple(_take(returned, self.path).shape)
        if self.masks is not None:
            masks = tuple(_take(returned, self.masks).shape)
            if not (len(shape) == 3 and len(masks) == 4 and shape[:2] == masks[:2]):
                raise ExportError(
                    f"output {name} must be made of the classes of queries (1, Q, C + "
                    f"1) and their masks (1, Q, h, w), got {shape} and {masks}: say "
                    "where forward returns each, with path and masks."
                )
        elif len(shape) != _AXES.get(self.layout, len(shape)):
            raise ExportError(
                f"output {name} must have {_AXES[self.layout]} axes to be of layout "
                f"{self.layout}, got {shape}: leave the layout out."
            )


class SelectedOutputs(nn.Module):
    """A network that returns some of another network's outputs, in a tuple.

    It takes its tensors positionally.

    Args:
        network: The other one.
        sources: Of the outputs in what ``network`` returns.
        call: How ``network`` takes its tensors.
    """

    network: nn.Module
    sources: tuple[Source, ...]

    def __init__(
        self, network: nn.Module, sources: Sequence[Source], call: Call | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.sources = tuple(sources)
        self.call = call or Call()
        self.train(network.training)  # exporters put back the mode of the whole

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        returned = self.call(self.network, tensors)
        return tuple(source(returned) for source in self.sources)


def class_scores(queries: Tensor, masks: Tensor) -> Tensor:
    """Scores (1, C, h, w) of a mask-classification head, at the masks' size.

    Of a class it is the sum over all queries of its probability times the mask's:
    semantic inference in section 3.4 of Cheng, Schwing and Kirillov, "Per-Pixel
    Classification is Not All You Need for Semantic Segmentation", 2021.

    Args:
        queries: Logits (1, Q, C + 1), of no class at the end.
        masks: Logits (1, Q, h, w).
    """
    return torch.einsum(
        "bqc,bqhw->bchw", queries.softmax(-1)[..., :-1], masks.sigmoid()
    )


def _take(returned: Any, path: Path) -> Any:
    for key in path:
        returned = returned[key]
    return returned


def find(returned: Any, word: str, option: str) -> Path:
    """Find an output by its keys and indices, joined by dots.

    Args:
        word: As in ``semantic.out`` or ``0.1``; empty for what is one tensor.
        option: What the user calls it, for error messages.

    Raises:
        ArgumentError: It names nothing.
        ExportError: What it names is no tensor.
    """
    path: list[str | int] = []
    rest, here = word, returned
    while rest:
        entries = {str(key): key for key in _entries(here)}
        fitting = [k for k in entries if rest == k or rest.startswith(f"{k}.")]
        if not fitting:
            raise ArgumentError(
                f"{option} must be one of what the network returns, "
                f"{_spell(_entries(here))}, got {rest}."
            )
        key = max(fitting, key=len)  # a key may have dots of its own
        path.append(entries[key])
        rest, here = rest[len(key) + 1 :], here[entries[key]]
    if not isinstance(here, Tensor):
        inside = f": it holds {_spell(_entries(here))}" if _is_group(here) else ""
        raise ExportError(
            f"{option} must lead to a tensor, got {type(here).__name__}{inside}."
        )
    return tuple(path)


def choose(returned: Any, word: str | None) -> tuple[Path, str | None]:
    """Choose the one output of what a network returned.

    Args:
        returned: A tensor, a dict, or a tuple or list.
        word: The user's ``--output``, see `find`. May be omitted for a tensor, a dict
            with one entry or with one of ``USUAL_KEYS``, a tuple of one.

    Returns:
        Its path, and a sentence if the user did not choose.

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
        return (), None
    if word is not None:
        return find(returned, word, "--output"), None
    entries = _entries(returned)
    key, note = _pick(entries)
    if not isinstance(entries[key], Tensor):
        raise ExportError(
            f"the network's output {key} must be a tensor, got "
            f"{type(entries[key]).__name__}."
        )
    return (key,), note


def require_planes(output: Tensor, inputs: Shapes) -> None:
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
        way_out = "it looks like (1, h, w, C), so say --layout nhwc if it is"
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


def _is_group(returned: Any) -> bool:
    return isinstance(returned, (Mapping, list, tuple))


def _entries(returned: Any) -> dict[Any, Any]:
    if isinstance(returned, Mapping):
        return dict(returned)
    if isinstance(returned, Sequence) and not isinstance(returned, str):
        return dict(enumerate(returned))
    raise ExportError(
        "the network must return a tensor, or a dict, tuple or list of tensors, got "
        f"{type(returned).__name__}."
    )


def _pick(entries: Mapping[Any, Any]) -> tuple[Any, str | None]:
    by_word = {str(key): key for key in entries}
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
