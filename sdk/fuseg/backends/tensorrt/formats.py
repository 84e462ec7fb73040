"""TensorRT's words for types and layouts, and its log, where the rest of fuseg's begin.

Imported by the process that runs engines and by the one that builds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["LAYOUTS", "TYPES", "make_logger", "word_of"]

# By the names of `DataType` and `TensorFormat`. Before version 10 there is no INT64:
# the parser makes INT32 of it.
TYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT64": "int64",
    "INT32": "int32",
}
LAYOUTS = {"LINEAR": "linear", "CHW4": "chw4", "HWC8": "hwc8"}


def word_of(kind: Any, words: dict[str, str], value: Any) -> str:
    """Ours for a member of an enumeration; TensorRT's own if we have none."""
    for name, word in words.items():
        if value == getattr(kind, name, None):
            return word
    return str(value)


def make_logger(trt: Any, write: Callable[[str, str], None]) -> Any:
    """An ``ILogger`` that hands on the severity's name and the sentence."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            write(severity.name, msg)

    return Logger()
