"""How a network is called, and its factory: ``--call``, ``--constant``, ``--arg``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fuseg.errors import ArgumentError, InputFileError

from .random_draws import Draws
from .training_machine import StayOnCpu

__all__ = ["CALLS", "Call", "make_call", "parse_values", "require_arguments", "spelled"]

CALLS = ("positional", "list", "dict", "keywords")


@dataclass(frozen=True)
class Call:
    """How forward takes its tensors.

    Attributes:
        style: One of `CALLS`: each by itself, or all in a list, in a dict by name, or
            as keyword arguments.
        names: Theirs, in order.
        constants: What it takes beside them, by name: in the dict, or as keyword
            arguments.
        copies: Whether it changes what it is given: it gets copies.
        on_cpu: Whether it wants a GPU: its tensors stay on the CPU.
        seed: Of the random numbers that it draws in every call; None: it must not.
        draws: Those numbers, in the order of its draws, once it was fitted.
    """

    style: str = "positional"
    names: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    copies: bool = False
    on_cpu: bool = False
    seed: int | None = None
    draws: tuple[Tensor, ...] = ()

    def __call__(self, network: Callable[..., Any], tensors: Sequence[Any]) -> Any:
        """What the network returns for these tensors."""
        if self.copies:
            tensors = [None if t is None else t.clone() for t in tensors]
        with ExitStack() as stack:
            if self.draws:
                stack.enter_context(Draws(self.draws))
            if self.on_cpu:
                stack.enter_context(StayOnCpu())
            return self._called(network, tensors)

    def fitted(
        self, network: Callable[..., Any], tensors: Sequence[Tensor]
    ) -> tuple[Call, tuple[str, ...]]:
        """This call as the network needs it, and a sentence on each thing it does.

        It is run once on copies of these tensors.
        """
        given = [tensor.clone() for tensor in tensors]
        draws: tuple[Tensor, ...] = ()
        with ExitStack() as stack:
            drawn = None
            if self.seed is not None:
                drawn = stack.enter_context(Draws.seeded(self.seed))
            watched = stack.enter_context(StayOnCpu())
            self._called(network, given)
            draws = () if drawn is None else tuple(drawn.made)
        pairs = zip(self.names, tensors, given, strict=True)
        changed = [name for name, before, after in pairs if not _equal(before, after)]
        notes = []
        if changed:
            notes.append(
                f"forward changes {', '.join(changed)} in place: it gets copies"
            )
        if watched.used:
            notes.append("forward moves tensors to a GPU: they stayed on the CPU")
        if self.seed is not None and not draws:
            raise ArgumentError(
                "--freeze-random must be for a forward that draws random numbers, and "
                "this one draws none: leave it out."
            )
        if draws:
            notes.append(
                f"forward draws random numbers, {len(draws)} times: they are constants "
                f"now, those of seed {self.seed}"
            )
        fitted = replace(self, copies=bool(changed), on_cpu=watched.used, draws=draws)
        return fitted, tuple(notes)

    def _called(self, network: Callable[..., Any], tensors: Sequence[Any]) -> Any:
        if self.style in ("dict", "keywords"):
            named = {**dict(zip(self.names, tensors, strict=True)), **self.constants}
            return network(named) if self.style == "dict" else network(**named)
        if self.style == "list":
            return network([*tensors], **self.constants)
        return network(*tensors, **self.constants)


def make_call(
    style: str | None,
    constants: Mapping[str, Any],
    names: Sequence[str],
    seed: int | None = None,
) -> Call:
    """Check how forward is to be called.

    Args:
        style: One of `CALLS`; None: positional.
        constants: See `parse_values`; a text ``@FILE.npy`` is the tensor in that file.
        names: Of the network's inputs, then of its states.
        seed: See `Call`.

    Raises:
        ArgumentError: There is no such style, or a constant has an input's name.
        InputFileError: A file cannot be read.
    """
    if style is None:
        style = CALLS[0]
    if style not in CALLS:
        raise ArgumentError(f"--call must be one of {', '.join(CALLS)}, got {style}.")
    for name in constants:
        if name in names:
            raise ArgumentError(
                f"--constant must have a name that no input has, got {name}."
            )
    read = {name: _read(value) for name, value in constants.items()}
    return Call(style, tuple(names), read, seed=seed)


def parse_values(
    option: str, words: Sequence[str], said: Mapping[str, Any]
) -> dict[str, Any]:
    """Read ``--arg`` or ``--constant``, and the spec file's object of them.

    Args:
        option: Its name.
        words: ``NAME=VALUE``: a number, true, false, null, a list or an object, as in
            JSON; all else is a text. ``@`` begins what others read.
        said: By name, the same values as JSON; a word goes before it.

    Raises:
        ArgumentError: A word has another form, or comes twice.
    """
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(
                f"{option} must be NAME=VALUE with a name of Python, got {word}."
            )
        if name in given:
            raise ArgumentError(
                f"{option} must give every name once, got {name} twice."
            )
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    return {**said, **given}


def spelled(values: Mapping[str, Any]) -> tuple[str, ...]:
    """``NAME=VALUE`` for each, as `parse_values` reads it; of a tensor its dtype and
    shape."""
    return tuple(
        f"{name}={value.dtype} {tuple(value.shape)}"
        if isinstance(value, torch.Tensor)
        else f"{name}={json.dumps(value)}"
        for name, value in values.items()
    )


def require_arguments(
    word: str, factory: Callable[..., Any], arguments: Mapping[str, Any]
) -> None:
    """Refuse arguments that a factory does not take, or fewer than it needs.

    Raises:
        ArgumentError: In one sentence, which.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return  # of a builtin: calling it will tell
    try:
        signature.bind(**arguments)
    except TypeError as err:
        takes = ", ".join(map(str, signature.parameters.values()))
        raise ArgumentError(
            f"{word}({takes}) must get what it takes, each by --arg NAME=VALUE: {err}."
        ) from err


def _equal(one: Tensor, two: Tensor) -> bool:
    return torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)


def _read(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    path = Path(value[1:])
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except OSError as err:
        why = err.strerror or err
        raise InputFileError(f"--constant {path} cannot be read: {why}.") from err
    except (TypeError, ValueError) as err:
        raise InputFileError(
            f"--constant {path} must be a .npy file of numbers, as of numpy.save."
        ) from err
