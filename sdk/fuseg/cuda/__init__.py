"""One GPU: its memory, its streams, the copies between it and the CPU, its graphs.

Two implementations of one protocol: PyCUDA's, which shares the device with other code
that uses PyCUDA, and fuseg's own module. PyCUDA alone serves a backend: memory, pinned
memory, streams and their order, copies. It cannot capture graphs, nor let a stream wait
for one of another library; for these, and for the kernels of `fuseg.ops`, fuseg's own
module is asked whichever of the two was opened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._check import require_choice
from ..errors import ArgumentError, BackendError, DeviceError
from .device import Device, DeviceProperties, Pinned

__all__ = ["Device", "DeviceProperties", "Pinned", "count", "open_device"]

_BINDINGS = ("auto", "pycuda", "native")

_log = logging.getLogger("fuseg")


def open_device(ordinal: int = 0, *, binding: str = "auto") -> Device:
    """Open one GPU; one line of the log says what it is and through what.

    Args:
        ordinal: Which GPU, from 0, among those that CUDA shows to the process.
        binding: ``"pycuda"``; ``"native"``, fuseg's own CUDA module; or ``"auto"``:
            PyCUDA where it can be imported, else the other.

    Raises:
        ArgumentError: There are GPUs, but not this one, or ``binding`` is none of
            these.
        DeviceError: There is no GPU, or it refuses.
        BackendError: PyCUDA was asked for and cannot be imported, or there is no driver
            or no CUDA module.
    """
    require_choice("binding", binding, _BINDINGS)
    device, because = None, ", as asked"
    if binding != "native":
        device, because = _through_pycuda(ordinal, binding)
    if device is None:
        from . import native

        _require_ordinal(ordinal, native.count(), native.why_none)
        device = native.NativeDevice(ordinal)
    through = "PyCUDA" if device.name == "pycuda" else "fuseg's own module"
    _log.info(
        "GPU %d, %s: memory and streams through %s%s.",
        *(ordinal, device.properties.name, through, because),
    )
    return device


def count() -> int:
    """How many GPUs CUDA shows to the process; 0 without a driver or CUDA module."""
    from . import native

    try:
        return native.count()
    except BackendError:
        return 0


def _through_pycuda(ordinal: int, binding: str) -> tuple[Device | None, str]:
    """A device, or None; and the rest of the log's line."""
    from . import pycuda

    try:
        _require_ordinal(ordinal, pycuda.count(), lambda: "its driver starts")
        return pycuda.PycudaDevice(ordinal), ", as asked" if binding == "pycuda" else ""
    except ImportError as err:
        if binding == "pycuda":
            raise BackendError(
                "PyCUDA must be installed for binding 'pycuda', and cannot be imported "
                f"({err}). Install it where nvcc is found: pip install pycuda. Or pass "
                "binding='native'."
            ) from err
        return None, f": PyCUDA cannot be imported ({err})"


def _require_ordinal(ordinal: int, found: int, why_none: Callable[[], str]) -> None:
    if found == 0:
        raise DeviceError(
            f"CUDA shows no GPU here ({why_none()}). See that `nvidia-smi` lists one, "
            "that its driver is as new as the CUDA fuseg was built with, and that "
            "CUDA_VISIBLE_DEVICES does not hide it."
        )
    if ordinal not in range(found):
        raise ArgumentError(
            f"ordinal must be from 0 to {found - 1}, the GPUs that CUDA shows, got "
            f"{ordinal!r}."
        )
