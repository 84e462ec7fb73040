"""Which of the things that a network returns is the segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError

__all__ = ["OneOutput", "choose"]

USUAL_KEYS = ("out", "logits")

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
        dropped = f" and dropped {', '.join(others)}" if others else ""
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
