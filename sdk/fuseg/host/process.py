"""What the end of a process, and a copy that fork makes of it, must not cut through.

Exit: threads that nobody joined end where they stand, and in native code that aborts
the process. So exit waits for the native calls in flight, and none begins after that.

Fork: the copy has one thread. A lock that another one held stays held, and who waits
for an answer of another one waits for ever.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import weakref
from typing import Any

from .. import _kernels

__all__ = ["forks", "never_destroy_in_child", "was_cut"]

_cut: list[bool] = []  # for each fork that led here, whether it cut through a call
_kept: weakref.WeakSet[Any] = weakref.WeakSet()


def forks() -> int:
    """How many forks led to this process, since fuseg was imported."""
    return len(_cut)


def was_cut(since: int) -> bool:
    """Whether any fork after the first ``since`` cut through another thread's call."""
    return any(_cut[since:])


def never_destroy_in_child(owner: Any) -> None:
    """For what waits for threads of its own when it is destroyed: a child has none."""
    _kept.add(owner)


def _in_child() -> None:
    _cut.append(_kernels.after_fork())
    for owner in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


atexit.register(_kernels.finish_native_calls)  # early, so it runs after users' own
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
