"""Whether a backend gives the results of the bundle's samples on this machine.

What passed is remembered by `tuning_cache`, and not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._kernels import native_call
from ..backends import GpuBackend, registry
from ..bundle import Bundle
from ..manifest import Variant
from ..runtime import outputs
from ..runtime.frame_loop import Request, loop_for
from ..runtime.results import Result
from . import tuning_cache

_NO_SAMPLES = "the bundle holds no samples to check its labels with."


def agreements(
    bundle: Bundle, segment: Callable[..., Result], reset: Callable[[], None]
) -> list[dict[str, float]]:
    """How alike the results are to those of each sample, by output name.

    Args:
        segment: Called with a sample's frames by name, as a Segmenter is.
        reset: Called before each: a sample is the first frame of a sequence.
    """
    found = []
    for arrays, expected in bundle.samples():
        frames: dict[str, Any] = {**arrays}
        reset()
        result = segment(**frames)
        found.append(outputs.agreements(bundle.manifest, expected, result))
    return found


def first_run(
    bundle: Bundle, backend: str, variant: Variant, *, trusted: bool = False
) -> dict[str, float] | None:
    """Run a variant on a CPU backend once, unless it passed here before.

    Args:
        trusted: Whether to do it in this process and without limits.

    Returns:
        How alike the results are to those of the first sample, by output name; None if
        there is no sample, or it passed.

    Raises:
        BackendError, BundleError: See `first_run.in_child`.
    """
    if tuning_cache.has_passed(bundle.digest, backend, variant.name):
        return None
    from . import first_run as module  # what starts processes; seldom needed

    run = module.in_process if trusted else module.in_child
    found = run(bundle, backend, variant)
    if found is None or disagreement(bundle, found) is None:
        tuning_cache.remember_pass(bundle.digest, backend, variant.name)
    return found


def reason_against_cpu(
    bundle: Bundle, backend: str, variant: Variant, *, trusted: bool
) -> str | None:
    """Why the labels of a CPU backend are not to be trusted; None if they are.

    Raises:
        BackendError, BundleError: See `first_run.in_child`.
    """
    if not bundle.manifest.samples and variant is not bundle.manifest.full:
        return _NO_SAMPLES
    found = first_run(bundle, backend, variant, trusted=trusted)
    return None if found is None else disagreement(bundle, found)


def reason_against_gpu(
    bundle: Bundle, backend: GpuBackend, variant: Variant
) -> str | None:
    """The same of a GPU backend, of which a clone replays all samples."""
    gpu = registry.gpu_of(backend)
    if tuning_cache.has_passed(bundle.digest, backend.name, variant.name, gpu):
        return None
    if not bundle.manifest.samples:
        return None if variant is bundle.manifest.full else _NO_SAMPLES
    loop = loop_for(bundle, backend.clone())

    def segment(**frames: Any) -> Result:
        return native_call(loop.label, Request(frames))

    reasons = (
        disagreement(bundle, found)
        for found in agreements(bundle, segment, loop.executor.reset)
    )
    reason = next(filter(None, reasons), None)
    if reason is None:
        tuning_cache.remember_pass(bundle.digest, backend.name, variant.name, gpu)
    return reason


def disagreement(bundle: Bundle, found: Mapping[str, float]) -> str | None:
    """Why a sample's results are not to be trusted; None if they are.

    Args:
        found: See `agreements`.
    """
    for output in bundle.manifest.outputs:
        share, least = found[output.name], outputs.adapter_of(output).least_agreement
        if share < least:
            of = "the labels" if output.kind == "segmentation" else output.name
            return f"{share:.6f} of {of} of a sample agree, {least} must."
    return None
