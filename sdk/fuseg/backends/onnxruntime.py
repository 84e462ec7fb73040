"""ONNX Runtime on the CPU: the backend that is always there."""

from __future__ import annotations

import functools
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels import native_call
from ..errors import BackendError
from ..host.process import never_destroy_in_child
from .base import (
    Arrays,
    CpuBackendInfo,
    Spinning,
    dtypes_of,
    require_from,
    require_in_place,
    require_tensors,
    shapes_of,
)

_log = logging.getLogger("fuseg")

# Packages that all install the one folder ``onnxruntime``.
_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
}

_BRIEFLY_US = "100"  # longer than from one operator to the next, far below a frame

# ONNX, y (1, 1) int32 = a (1, 4) uint8 x four int8 of 127: the largest sum of products.
_PROBE = (
    b'\x08\x04:X\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulInteger\x12\x01g*\x0f\x08\x04'
    b"\x08\x01\x10\x03B\x01bJ\x04\x7f\x7f\x7f\x7fZ\x13\n\x01a\x12\x0e\n\x0c\x08"
    b"\x02\x12\x08\n\x02\x08\x01\n\x02\x08\x04b\x13\n\x01y\x12\x0e\n\x0c\x08\x06"
    b"\x12\x08\n\x02\x08\x01\n\x02\x08\x01B\x04\n\x00\x10\n"
)


class OnnxRuntimeBackend:
    """An ONNX Runtime session whose inputs and outputs are bound once.

    Args:
        session: From `open_session`. Several backends may share one: a session may
            run from several threads at once, its bindings may not.

    Attributes:
        session: The ``onnxruntime.InferenceSession``.
    """

    name = "onnxruntime"

    def __init__(self, session: Any) -> None:
        self.session = session
        # A child process has none of the session's threads.
        self.survives_fork = session.get_session_options().intra_op_num_threads == 1
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """See `Backend.bind`. Runs the network once, so that ONNX Runtime makes its
        own buffers now and not while the first frame waits."""
        require_in_place(inputs, outputs)
        given, made = self.session.get_inputs(), self.session.get_outputs()
        for what, nodes, arrays in (
            ("input", given, inputs),
            ("output", made, outputs),
        ):
            found = tensors_of(nodes)
            require_tensors(what, found, shapes_of(arrays), dtypes_of(arrays))
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self._binding = self.session.io_binding()
        for bind, arrays in (
            (self._binding.bind_input, self.inputs),
            (self._binding.bind_output, self.outputs),
        ):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self.run()

    def run(self) -> None:
        """See `Backend.run`. Other Python threads run meanwhile."""
        try:
            native_call(self.session.run_with_iobinding, self._binding)
        except Exception as err:  # its exceptions have no common base but this one
            require_from("onnxruntime", err)
            raise BackendError(
                f"ONNX Runtime failed to run the network: {err}"
            ) from err

    def clone(self) -> OnnxRuntimeBackend:
        """See `Backend.clone`."""
        return OnnxRuntimeBackend(self.session)


def open_session(
    model: bytes, *, threads: int | None, spinning: Spinning = "always"
) -> Any:
    """Make an ``onnxruntime.InferenceSession`` on the CPU, quiet and sequential.

    Args:
        model: A serialised ONNX model without external data.
        threads: Threads of one operator, the calling one included. None: ONNX
            Runtime's own choice, the machine's physical cores.
        spinning: How threads wait for work. ``"briefly"`` needs ONNX Runtime 1.26;
            they sleep at once with an older one.

    Raises:
        BackendError: onnxruntime cannot be imported, or refuses the model; its own
            error is the cause.
    """
    warn_of_clash()
    try:
        import onnxruntime
    except ImportError as err:
        raise BackendError(
            f"ONNX Runtime cannot be imported ({err}): pip install onnxruntime."
        ) from err
    options = session_options(onnxruntime)
    if threads is not None:
        options.intra_op_num_threads = threads
    if spinning == "briefly" and _release(onnxruntime) >= (1, 26):
        options.add_session_config_entry(
            "session.intra_op.spin_duration_us", _BRIEFLY_US
        )
    elif spinning != "always":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        if saturates():
            # Slower integer products, and right ones. Not for every CPU: one that is
            # right anyway would lose half of what int8 gains.
            options.add_session_config_entry("session.x64quantprecision", "1")
        providers = ["CPUExecutionProvider"]
        make = onnxruntime.InferenceSession
        session = native_call(make, model, options, providers=providers)
        never_destroy_in_child(session)
        return session
    except Exception as err:  # its exceptions have no common base but this one
        require_from("onnxruntime", err)
        raise BackendError(f"ONNX Runtime refuses the network: {err}") from err


def clashing_packages() -> dict[str, str]:
    """The versions of all packages that put an ``onnxruntime`` here, if several do.

    pip does not see that they are one another's rivals: the files are those of the
    package that was installed last, and to uninstall one takes the other's away.
    """
    from importlib import metadata  # slow to import, and not needed by `import fuseg`

    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found if len(found) > 1 else {}


@functools.cache
def warn_of_clash() -> None:
    """Say in the log, once, that several packages share ONNX Runtime's folder."""
    found = clashing_packages()
    if not found:
        return
    _log.warning(
        "%s are installed and share one folder, so either may run; keep "
        "one: pip uninstall -y %s; pip install onnxruntime-gpu (or onnxruntime, where "
        "there is no NVIDIA GPU; fuseg doctor says which)",
        " and ".join(f"{name} {version}" for name, version in found.items()),
        " ".join(found),
    )


@functools.cache
def saturates() -> bool:
    """Whether sums of uint8 x int8 products overflow here, as ONNX Runtime adds them.

    They do on x86 without VNNI (pairs are added in 16 bits that stick at 32,767); the
    labels of a quantized network are others then. Asked of ONNX Runtime itself: what
    an operating system tells of a CPU is not always what this process may use.
    """
    import onnxruntime

    options = session_options(onnxruntime)
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = native_call(
        onnxruntime.InferenceSession, _PROBE, options, providers=providers
    )
    given = {"a": np.full((1, 4), 255, np.uint8)}
    (total,) = native_call(session.run, None, given)
    return int(total.item()) != 4 * 255 * 127


def session_options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # failures arrive as exceptions, not on stderr
    return options


def tensors_of(nodes: list[Any]) -> dict[str, tuple[str, tuple[Any, ...]]]:
    return {n.name: (_TYPES.get(n.type, n.type), tuple(n.shape)) for n in nodes}


def _release(onnxruntime: Any) -> tuple[int, ...]:
    major, minor, *_ = onnxruntime.__version__.split(".")
    return int(major), int(minor)


def _load(model: bytes, threads: int | None, spinning: Spinning) -> OnnxRuntimeBackend:
    session = open_session(model, threads=threads, spinning=spinning)
    return OnnxRuntimeBackend(session)


INFO = CpuBackendInfo(
    name="onnxruntime",
    module="onnxruntime",
    packages=("onnxruntime", "onnxruntime-gpu"),
    load=_load,
    import_library=saturates,
    impact="run, verify, bench: nothing can run",
    install="pip install onnxruntime",
    survives_fork=True,
    required=True,
)
