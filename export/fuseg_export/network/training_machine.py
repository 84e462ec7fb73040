"""What networks expect of the machine that they were trained on: a GPU, downloads.

While a network is built and run here, moves to a GPU leave tensors where they are, and
``torch.hub`` downloads no pretrained weights, as the checkpoint has them all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys
from torch.overrides import TorchFunctionMode

__all__ = ["StayOnCpu", "without_downloads"]


class StayOnCpu(TorchFunctionMode):
    """Moves to a GPU, and tensors made there, stay on the CPU.

    Attributes:
        used: Whether something wanted a GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is Tensor.cuda:
            self.used = True
            return args[0]
        if func is Tensor.to:
            args = (args[0], *(self._kept(a) for a in args[1:]))
        if "device" in named:
            named["device"] = self._kept(named["device"])
        return func(*args, **named)

    def _kept(self, device: Any) -> Any:
        """The CPU for a GPU, all else as it is; numbers are GPUs."""
        gpu = type(device) is int or (
            isinstance(device, (str, torch.device)) and str(device).startswith("cuda")
        )
        self.used |= gpu
        return "cpu" if gpu else device


@contextmanager
def without_downloads(noted: list[str]) -> Iterator[None]:
    """``torch.hub`` downloads no weights, and loading nothing changes nothing.

    Args:
        noted: Gets the addresses that were asked for.
    """
    original = torch.hub.load_state_dict_from_url
    load = nn.Module.load_state_dict

    def nothing(url: str, *_: Any, **__: Any) -> dict[str, Any]:
        noted.append(url)
        return {}

    def load_something(
        self: nn.Module, state: Mapping[str, Any], *args: Any, **named: Any
    ) -> Any:
        if noted and not state:
            return _IncompatibleKeys([], [])
        return load(self, state, *args, **named)

    # Whoever imported the function by name has it under some name of their own.
    places = [
        (module, name)
        for module in list(sys.modules.values())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if value is original
    ]
    with mock.patch.object(nn.Module, "load_state_dict", load_something):
        for module, name in places:
            setattr(module, name, nothing)
        try:
            yield
        finally:
            for module, name in places:
                setattr(module, name, original)
