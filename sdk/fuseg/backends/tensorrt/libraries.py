"""The two libraries that make and run engines: TensorRT, and TensorRT for RTX.

TensorRT builds on the GPU that will run the engine. TensorRT for RTX builds anywhere,
for all GPUs that it runs on, and finishes the kernels where the engine is loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ...errors import BackendError

__all__ = ["RTX", "TENSORRT", "Library", "load_library"]


@dataclass(frozen=True)
class Library:
    """One of the two.

    Attributes:
        module: What is imported.
        title: Its name in a sentence.
        install: How to install it.
        is_portable: Whether one engine is for all GPUs that it runs on.
    """

    module: str
    title: str
    install: str
    is_portable: bool = False


TENSORRT = Library(
    "tensorrt",
    "TensorRT",
    "on a Jetson, sudo apt install python3-libnvinfer; on x86-64, pip install "
    '"fuseg[tensorrt]"',
)
RTX = Library(
    "tensorrt_rtx_bindings",
    "TensorRT for RTX",
    'on x86-64 Linux, pip install "fuseg[tensorrt-rtx]"',
    is_portable=True,
)


def load_library(library: Library) -> Any:
    """Import it.

    Raises:
        BackendError: it cannot be imported; the sentence says how to get it.
    """
    try:
        return importlib.import_module(library.module)
    except (ImportError, OSError) as err:
        raise BackendError(
            f"{library.title} cannot be imported ({err}): {library.install}."
        ) from err
