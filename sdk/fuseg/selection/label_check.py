"""Whether a backend gives the labels of the bundle's samples on this machine.

What passed is remembered by `tuning_cache`, and not tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._kernels import native_call
from ..backends import GpuBackend, registry
from ..bundle import Bundle
from ..dataset import metrics
from ..manifest import Variant
from ..runtime.frame_loop import Request, loop_for
from ..runtime.results import Segmentation
from . import tuning_cache

LEAST_AGREEMENT = 0.995  # with the samples' labels, which are those of fp32
_NO_SAMPLES = "the bundle holds no samples to check its labels with."


def agreements(bundle: Bundle, segment: Callable[..., Segmentation]) -> list[float]:
    """Share of the labels that are those of the bundle, for each of its samples.

    Args:
        segment: Called with a sample's frames by name, as a Segmenter is.
    """
    shares = []
    for arrays, expected in bundle.samples():
        frames: dict[str, Any] = {**arrays}
        shares.append(metrics.label_agreement(expected, segment(**frames).labels))
    return shares


def first_run(
    bundle: Bundle, backend: str, variant: Variant, *, trusted: bool = False
) -> float | None:
    """Run a variant on a CPU backend once, unless it passed here before.

    Args:
        trusted: Whether to do it in this process and without limits.

    Returns:
        The share of the first sample's labels that are the bundle's; None if there is
        no sample, or it passed.

    Raises:
        BackendError, BundleError: See `first_run.in_child`.
    """
    if tuning_cache.has_passed(bundle.digest, backend, variant.name):
        return None
    from . import first_run as module  # what starts processes; seldom needed

    run = module.in_process if trusted else module.in_child
    share = run(bundle, backend, variant)
    if share is None or share >= LEAST_AGREEMENT:
        tuning_cache.remember_pass(bundle.digest, backend, variant.name)
    return share


def reason_against_cpu(
    bundle: Bundle, backend: str, variant: Variant, *, trusted: bool
) -> str | None:
    """Why the labels of a CPU backend are not to be trusted; None if they are.

    Raises:
        BackendError, BundleError: See `first_run.in_child`.
    """
    if not bundle.manifest.samples and variant is not bundle.manifest.full:
        return _NO_SAMPLES
    share = first_run(bundle, backend, variant, trusted=trusted)
    return None if share is None else _too_low(share)


def reason_against_gpu(
    bundle: Bundle, backend: GpuBackend, variant: Variant
) -> str | None:
    """The same of a GPU backend, of which a clone replays all samples."""
    gpu = registry.gpu_of(backend)
    if tuning_cache.has_passed(bundle.digest, backend.name, variant.name, gpu):
        return None
    if not bundle.manifest.samples:
        return None if variant is bundle.manifest.full else _NO_SAMPLES
    loop = loop_for(bundle.manifest, backend.clone())

    def segment(**frames: Any) -> Segmentation:
        return native_call(loop.label, Request(frames))

    reason = _too_low(min(agreements(bundle, segment)))
    if reason is None:
        tuning_cache.remember_pass(bundle.digest, backend.name, variant.name, gpu)
    return reason


def _too_low(share: float) -> str | None:
    if share >= LEAST_AGREEMENT:
        return None
    return f"{share:.6f} of the labels of a sample agree, {LEAST_AGREEMENT} must."
