"""What PyCUDA keeps for itself: a stack of contexts for each thread, and its errors."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .machine import Machine, Misuse, OutOfMemory, Refused


class State:
    """What pycuda keeps for itself: the contexts of each thread, beside CUDA's."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.ready = False
        self.Error = type("Error", (Exception,), {"__module__": "pycuda._driver"})
        self.errors = [self.Error]
        for name in ("MemoryError", "LogicError", "LaunchError", "RuntimeError"):
            made = type(name, (self.Error,), {"__module__": "pycuda._driver"})
            setattr(self, name, made)
            self.errors.append(made)
        self._local = threading.local()

    @property
    def stack(self) -> list[Any]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        return self._local.stack

    def current(self, call: str) -> Any:
        if not self.stack:
            raise Misuse(f"{call}: no context of pycuda is active on this thread")
        context = self.stack[-1]
        if self.machine.contexts[-1:] != [context.device]:
            raise Misuse(f"{call}: another device than the active context's is current")
        return context

    @contextmanager
    def reworded(self, routine: str) -> Iterator[None]:
        try:
            yield
        except Refused as err:
            kind = self.Error if err.name == "cudaErrorUnknown" else self.LogicError
            if isinstance(err, OutOfMemory):
                kind = self.MemoryError
            elif err.name in ("cudaErrorLaunchFailure", "cudaErrorLaunchTimeout"):
                kind = self.LaunchError
            elif err.name in ("cudaErrorNoDevice", "cudaErrorECCUncorrectable"):
                kind = self.RuntimeError
            raise kind(f"{routine} failed: {err.text}") from err

    @contextmanager
    def inside(self, context: Any, kind: str) -> Iterator[bool]:
        """As `scoped_context_activation`: whether what belongs to this context can be
        cleaned up on this thread."""
        active = bool(self.stack) and self.stack[-1] is context
        if active:
            yield True
        elif threading.get_ident() != context.thread:
            sentence = f"{kind} in out-of-thread context could not be cleaned up"
            warnings.warn(sentence, UserWarning, stacklevel=4)
            yield False
        else:
            context.push()
            try:
                yield True
            finally:
                type(context).pop()
