"""A double of ``onnxruntime`` with its CUDA provider, on a `Machine`, without a GPU.

`make` gives a module with the installed ONNX Runtime's own names. A session that asks
for the CUDA provider checks what it is given as the real one does, and runs the network
on the CPU when the stream comes to it. All other sessions are the real ones.
"""

from __future__ import annotations

import types
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import onnxruntime as real
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from .faults import Refused
from .memory import Misuse
from .onnxruntime_cuda_run import IOBinding, Provider

__all__ = ["KEYS", "NO_WAITING", "PROVIDER", "make"]

PROVIDER = "CUDAExecutionProvider"
NO_WAITING = "disable_synchronize_execution_providers"

# What the provider's own parser takes.
_OLDEST = {
    "device_id",
    "has_user_compute_stream",
    "user_compute_stream",
    "gpu_mem_limit",
    "arena_extend_strategy",
    "cudnn_conv_algo_search",
    "do_copy_in_default_stream",
    "gpu_external_alloc",
    "gpu_external_free",
    "gpu_external_empty_cache",
    "cudnn_conv_use_max_workspace",
    "enable_cuda_graph",
    "cudnn_conv1d_pad_to_nc1d",
    "tunable_op_enable",
    "tunable_op_tuning_enable",
    "tunable_op_max_tuning_duration_ms",
    "enable_skip_layer_norm_strict_mode",
    "prefer_nhwc",
    "use_ep_level_unified_stream",
    "use_tf32",
}
KEYS = {
    "1.18.1": _OLDEST,
    "1.31.1": _OLDEST | {"sdpa_kernel", "fuse_conv_bias", "enable_cudnn"},
}


@dataclass
class State:
    """What the module is, and what it was given.

    ``provider``: "loads"; "does not load", and sessions are on the CPU then; or
    "raises", and sessions fall back unless that was forbidden.
    """

    machine: Any
    version: str
    provider: str = "loads"
    sessions: list[dict[str, str]] = field(default_factory=list)  # provider options
    runs: list[dict[str, str]] = field(default_factory=list)  # run options

    @property
    def number(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


def make(
    machine: Any,
    version: str = "1.31.1",
    *,
    offered: bool = True,
    provider: str = "loads",
) -> Any:
    """A module like ``onnxruntime`` of one of the versions in `KEYS`.

    Args:
        offered: Whether it was built with the CUDA provider.
        provider: What becomes of that, see `State`.
    """
    state = State(machine, version, provider)
    module = types.ModuleType("onnxruntime", "A double of onnxruntime-gpu.")
    vars(module).update(
        {name: getattr(real, name) for name in dir(real) if not name.startswith("_")},
        __version__=version,
        __spec__=real.__spec__,
        state=state,
    )
    names = real.get_available_providers()
    module.get_available_providers = lambda: [PROVIDER, *names] if offered else names
    module.InferenceSession = type(
        "InferenceSession", (InferenceSession,), {"_state": state, "_offered": offered}
    )
    if state.number < (1, 21):
        vars(module).pop("preload_dlls", None)
    else:
        module.preload_dlls = _preloader(state)
    return module


def _preloader(state: State) -> Any:
    def preload_dlls(
        cuda: bool = True, cudnn: bool = True, msvc: bool = True, directory: Any = None
    ) -> None:
        del cudnn, msvc, directory
        if cuda and state.provider != "loads":
            print("Failed to load libcublasLt.so.13: cannot open shared object file")

    return preload_dlls


class InferenceSession(real.InferenceSession):
    """The installed one, but for sessions with the CUDA provider."""

    _state: State
    _offered: bool

    def __init__(
        self,
        path_or_bytes: Any,
        sess_options: Any = None,
        providers: Any = None,
        provider_options: Any = None,
        **kwargs: Any,
    ) -> None:
        self._cuda: Provider | None = None
        wanted = dict(p if isinstance(p, tuple) else (p, {}) for p in providers or ())
        if PROVIDER in wanted and self._offered:
            fallback = int(kwargs.get("enable_fallback", 1)) == 1
            fallback = fallback or self._state.number < (1, 23)
            given = {str(key): str(value) for key, value in wanted[PROVIDER].items()}
            try:
                self._cuda = self._begin(given)
            except (ValueError, RuntimeError) as err:
                if not fallback:
                    raise
                print("*************** EP Error ***************")
                print(f"EP Error {err} when using {providers}")
                print("Falling back to ['CPUExecutionProvider'] and retrying.")
                print("****************************************")
            providers = ["CPUExecutionProvider"]
        super().__init__(
            path_or_bytes, sess_options, providers, provider_options, **kwargs
        )
        if self._cuda is not None:
            weakref.finalize(self, self._cuda.end).atexit = False

    def get_providers(self) -> Any:
        found = super().get_providers()
        return found if self._cuda is None else [PROVIDER, *found]

    def io_binding(self) -> Any:
        return super().io_binding() if self._cuda is None else IOBinding(self)

    def run_with_iobinding(self, iobinding: Any, run_options: Any = None) -> None:
        if self._cuda is None:
            super().run_with_iobinding(iobinding, run_options)
            return
        if iobinding.session is not self:
            raise ValueError("IOBinding must be used with the session that created it.")
        if not isinstance(run_options, real.RunOptions | None):
            raise TypeError("run_with_iobinding(): incompatible function arguments.")
        waits = True
        if run_options is not None:
            with suppress(RuntimeError):  # the option is not set
                waits = run_options.get_run_config_entry(NO_WAITING) != "1"
        self._state.runs.append({NO_WAITING: "0" if waits else "1"})
        self._cuda.run(self, iobinding, waits)

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
        if self._cuda is not None:
            raise Misuse("run: a session on the GPU is given arrays of the CPU")
        return super().run(output_names, input_feed, run_options)

    def _begin(self, given: dict[str, str]) -> Provider | None:
        """What the provider makes of its options, or None if it does not load."""
        state = self._state
        state.sessions.append(given)
        try:
            state.machine.maybe_fail("InferenceSession")
        except Refused as err:
            raise Fail(f"[ONNXRuntimeError] : 1 : FAIL : {err}") from None
        if state.provider == "raises":
            raise RuntimeError("CUDA_PATH is set but CUDA wasn't able to be loaded.")
        if state.provider == "does not load":
            return None
        for key, value in given.items():
            if key not in KEYS[state.version]:
                raise _failed(f'Unknown provider option: "{key}".')
            if key in ("device_id", "user_compute_stream") and not value.isdecimal():
                raise _failed(f'Failed to parse provider option "{key}": "{value}"')
            if key == "use_tf32" and value not in ("0", "1"):
                raise _failed(f'Failed to parse provider option "{key}": "{value}"')
        device, devices = int(given.get("device_id", 0)), state.machine.devices
        if device not in range(devices):
            raise _failed(
                f"Invalid device ID: {device}, must be between 0 (inclusive) and "
                f"{devices} (exclusive)."
            )
        return Provider(state, device, int(given.get("user_compute_stream", 0)))


def _failed(what: str) -> RuntimeError:
    return RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {what}")
