"""Which engine runs which variant of a bundle, and whether its labels are right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import metrics, tuning
from .backends import Backend, create, require_known, require_threads
from .bundle import Bundle
from .errors import ArgumentError, BackendError
from .manifest import Variant
from .segmentation import Segmentation

LEAST_AGREEMENT = 0.995  # with the samples' labels, which are those of fp32

_log = logging.getLogger("fuseg")

Labeler = Callable[..., Segmentation]


@dataclass(frozen=True)
class Started:
    """An engine, not bound yet.

    Attributes:
        variant: What it runs.
        fallback: Why that is fp32 and not the variant that was chosen; None if it is
            the one.
    """

    engine: Backend
    variant: Variant
    fallback: str | None = None


def start(
    bundle: Bundle,
    *,
    backend: str | Backend,
    variant: str | None,
    threads: int | None,
    segmenter: Callable[[Backend, Variant], Labeler],
) -> Started:
    """Choose engine and variant, and make the engine; one line of the log says which.

    A variant of less than float32 has to give the labels of the bundle's samples, the
    first time it is loaded here. Else fp32 takes its place (on ONNX Runtime, unless
    another engine was asked for), or the call is refused if the variant was asked for.

    Args:
        backend: A name, ``"auto"``, or an object, which is taken as it is.
        segmenter: Makes what labels frames with an engine and a variant.

    Raises:
        ArgumentError: no such backend or variant; ``threads`` is no count, or was
            given with an object.
        BackendError: the engine cannot be made, or gives other labels than the
            variant must that was asked for.
    """
    if not isinstance(backend, str):
        if threads is not None:
            raise ArgumentError(
                "threads must be omitted with a backend object: it has its own."
            )
        return Started(backend, _named(bundle, variant) or _first(bundle))
    name, chosen, why = choose(bundle, backend, variant, threads)
    _log.info("%s: variant %s on %s, %s", bundle.path, chosen.name, name, why)
    spare = bundle.manifest.full
    safe = "onnxruntime" if backend == "auto" else name
    if (name, chosen) == (safe, spare):
        return Started(_make(bundle, name, chosen, threads), chosen)
    try:
        engine = _make(bundle, name, chosen, threads)
        doubt = None
        if chosen is not spare:
            doubt = _doubt(bundle, engine, chosen, segmenter)
    except BackendError as err:
        if variant is not None:
            raise
        doubt = str(err)
    if doubt is None:
        return Started(engine, chosen)
    reason = f"variant {chosen.name} does not run on {name}: {doubt}"
    if variant is not None or spare is None:
        raise BackendError(reason)
    _log.warning("%s: fp32 on %s instead: %s", bundle.path, safe, reason)
    return Started(_make(bundle, safe, spare, threads), spare, reason)


def choose(
    bundle: Bundle, backend: str, variant: str | None, threads: int | None
) -> tuple[str, Variant, str]:
    """The engine's name, the variant, and why these; nothing is measured.

    Raises:
        ArgumentError: see `start`.
    """
    require_known(backend)
    asked = _named(bundle, variant)
    if threads is not None:
        threads = require_threads(threads)
    if backend != "auto" and asked is not None:
        return backend, asked, "as asked"
    tuned = tuning.stored(bundle.digest, threads)
    if tuned is None:
        note = "nothing is tuned here (fuseg tune)"
    elif tuned.outdated:
        note = "what was tuned is of other versions (fuseg tune again)"
    else:
        note = "nothing like it is tuned here (fuseg tune)"
        fitting = {v.name: v for v in bundle.manifest.variants if v.fits_cpu}
        for row in tuned.measured:
            if (
                backend in ("auto", row.backend)
                and variant in (None, row.variant)
                and row.variant in fitting
            ):
                why = f"the fastest here by fuseg tune: {row.p50_ms:.2f} ms"
                return row.backend, fitting[row.variant], why
    name = "onnxruntime" if backend == "auto" else backend
    return name, asked or _first(bundle), f"by default: {note}"


def agreements(bundle: Bundle, segmenter: Labeler) -> list[float]:
    """Share of the labels that are those of the bundle, for each of its samples."""
    shares = []
    for arrays, expected in bundle.samples():
        frames: dict[str, Any] = {**arrays}
        shares.append(metrics.label_agreement(expected, segmenter(**frames).labels))
    return shares


def _doubt(
    bundle: Bundle,
    engine: Backend,
    variant: Variant,
    segmenter: Callable[[Backend, Variant], Labeler],
) -> str | None:
    """Why the labels are not to be trusted; None if they are, as is remembered."""
    if tuning.has_passed(bundle.digest, engine.name, variant.name):
        return None
    if not bundle.manifest.samples:
        return "the bundle holds no samples to check its labels with."
    lowest = min(agreements(bundle, segmenter(engine.clone(), variant)))
    if lowest < LEAST_AGREEMENT:
        return f"{lowest:.6f} of the labels of a sample agree, {LEAST_AGREEMENT} must."
    tuning.remember_pass(bundle.digest, engine.name, variant.name)
    return None


def _make(bundle: Bundle, name: str, variant: Variant, threads: int | None) -> Backend:
    return create(name, bundle.read(variant.file), threads=threads)


def _named(bundle: Bundle, name: str | None) -> Variant | None:
    for variant in bundle.manifest.variants:
        if name == variant.name:
            return variant
    if name is None:
        return None
    known = ", ".join(v.name for v in bundle.manifest.variants)
    raise ArgumentError(f"variant must be one of {known}, got {name!r}.")


def _first(bundle: Bundle) -> Variant:
    for variant in bundle.manifest.variants:
        if variant.fits_cpu:
            return variant
    known = ", ".join(v.name for v in bundle.manifest.variants)
    raise ArgumentError(
        f"variant must be named, one of {known}: none of them is meant for a CPU."
    )
