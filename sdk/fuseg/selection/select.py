"""Which engine runs which variant of a bundle, and whether its labels are right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..backends import Backend, GpuBackend, registry
from ..backends.base import is_on_gpu, require_threads
from ..bundle import Bundle
from ..dataset import metrics
from ..errors import ArgumentError, BackendError
from ..manifest import Variant
from ..results import Segmentation
from ..runtime.pipeline import Pipeline
from . import tuning_cache
from .background_build import Later

LEAST_AGREEMENT = 0.995  # with the samples' labels, which are those of fp32
_NO_SAMPLES = "the bundle holds no samples to check its labels with."

_log = logging.getLogger("fuseg")

PredictFn = Callable[..., Segmentation]
Engine = Backend | GpuBackend


@dataclass(frozen=True)
class Started:
    """An engine that runs.

    Attributes:
        pipeline: Frames to labels with it.
        variant: What it runs.
        fallback: Why that is not what was chosen first; None if it is.
        later: A TensorRT engine that is still to be built, to take this one's place.
    """

    pipeline: Pipeline
    variant: Variant
    fallback: str | None = None
    later: Later | None = None


@dataclass(frozen=True)
class Candidate:
    """An engine's name, the variant it would run, and why these."""

    backend: str
    variant: Variant
    why: str


def start(
    bundle: Bundle,
    *,
    backend: str | Engine,
    variant: str | None,
    threads: int | None,
    device: int,
    serve_while_building: bool,
    allow_spinning: bool = True,
    trusted: bool = False,
    bind: Callable[[Engine], Pipeline],
    segmenter: Callable[[Engine, Variant], PredictFn],
) -> Started:
    """Choose engine and variant, and make the engine; one line of the log says which.

    The first time a variant is loaded here, it has to give the labels of the bundle's
    samples (on a CPU of the first one, in a process with limits: see `first_run`).
    Else the next candidate takes its place, or the call is refused if there is none.

    Args:
        backend: A name, ``"auto"``, or an object, which is taken as it is.
        trusted: Whether the first run needs no limits, so that it is done here.
        bind: Makes a pipeline of an engine.
        segmenter: Makes what labels frames with an engine and a variant.

    Raises:
        ArgumentError: no such backend or variant; ``threads`` is no count, or was
            given with an object.
        BackendError: no candidate can be made and gives the labels that it must.
    """
    if not isinstance(backend, str):
        if threads is not None:
            raise ArgumentError(
                "threads must be omitted with a backend object: it has its own."
            )
        if not allow_spinning:
            raise ArgumentError(
                "allow_spinning must be omitted with a backend object: how its threads "
                "wait was settled when it was made."
            )
        return Started(bind(backend), _named(bundle, variant) or _first(bundle))
    found = candidates(
        bundle, backend, variant, threads, device, allow_spinning=allow_spinning
    )
    later = None
    if serve_while_building and found[0].backend == "tensorrt":
        others = found[1:]
        if not others and any(v.fits_cpu for v in bundle.manifest.variants):
            others = _for_cpu(bundle, "auto", None, "meanwhile")
        if others:
            with suppress(BackendError):  # it is met again, and told, below
                later = _later(bundle, found[0], device, segmenter)
        if later is not None:
            found = others
    doubts: list[str] = []
    for number, chosen in enumerate(found, 1):
        name, kind = chosen.backend, chosen.variant
        if doubts:
            told = (bundle.path, kind.name, name, "; ".join(doubts))
            _log.warning("%s: %s on %s instead: %s", *told)
        else:
            told = (bundle.path, kind.name, name, chosen.why)
            _log.info("%s: variant %s on %s, %s", *told)
        try:
            doubt = _doubt_on_cpu(bundle, name, kind, trusted)
            if doubt is None:
                engine = registry.load(
                    bundle,
                    name,
                    kind,
                    threads=threads,
                    allow_spinning=allow_spinning,
                    device=device,
                )
                doubt = _doubt_on_gpu(bundle, engine, kind, segmenter)
            if doubt is None:
                fallback = "; ".join(doubts) or None
                return Started(bind(engine), kind, fallback, later)
        except BackendError as err:
            if number == len(found):
                raise
            doubt = str(err)
        doubts.append(f"variant {kind.name} does not run on {name}: {doubt}")
    raise BackendError(doubts[-1])


def candidates(
    bundle: Bundle,
    backend: str,
    variant: str | None,
    threads: int | None,
    device: int,
    *,
    allow_spinning: bool = True,
) -> list[Candidate]:
    """What `start` tries, in this order; nothing is measured, built or loaded.

    Raises:
        ArgumentError: see `start`.
        BackendError: the ``backend`` that was asked for is not here.
    """
    registry.require_known(backend)
    asked = _named(bundle, variant)
    if threads is not None:
        threads = require_threads(threads)
    if registry.runs_on_gpu(backend):
        lacks = registry.unavailable(backend, device)
        if lacks is not None:
            raise BackendError(f"backend {backend} cannot run here: {lacks}.")
        chosen = registry.variant_for(bundle, backend, variant)
        return [Candidate(backend, chosen, "as asked")]
    if backend != "auto" and asked is not None:
        return [Candidate(backend, asked, "as asked")]
    tuned, note = _tuned(bundle, backend, variant, threads, device, allow_spinning)
    if tuned is not None:
        return [tuned, *_spare(bundle, backend, asked, tuned)]
    if backend != "auto":
        return _for_cpu(bundle, backend, asked, f"by default: {note}")
    on_gpu, without = _on_gpu(bundle, asked, device)
    why = f"by default: {without}{note}"
    found = [replace(candidate, why=why) for candidate in on_gpu]
    if not found or any(v.fits_cpu for v in bundle.manifest.variants):
        found += _for_cpu(bundle, backend, asked, why)
    return found


def agreements(bundle: Bundle, segmenter: PredictFn) -> list[float]:
    """Share of the labels that are those of the bundle, for each of its samples."""
    shares = []
    for arrays, expected in bundle.samples():
        frames: dict[str, Any] = {**arrays}
        shares.append(metrics.label_agreement(expected, segmenter(**frames).labels))
    return shares


def _tuned(
    bundle: Bundle,
    backend: str,
    variant: str | None,
    threads: int | None,
    device: int,
    allow_spinning: bool,
) -> tuple[Candidate | None, str]:
    """The fastest that was measured and is wanted; else why there is none."""
    tuned = tuning_cache.stored(
        bundle.digest, threads, device, allow_spinning=allow_spinning
    )
    if tuned is None:
        return None, "nothing is tuned here (fuseg tune)"
    if tuned.outdated:
        return None, "what was tuned is of other versions (fuseg tune again)"
    known = {v.name: v for v in bundle.manifest.variants}
    for row in tuned.measured:
        found = known.get(row.variant)
        if found is None or backend not in ("auto", row.backend):
            continue
        fits = found.fits_cpu
        if registry.runs_on_gpu(row.backend):
            fits = registry.unavailable(row.backend, device) is None
        if fits and variant in (None, row.variant):
            why = f"the fastest here by fuseg tune: {row.p50_ms:.2f} ms"
            return Candidate(row.backend, found, why), ""
    return None, "nothing like it is tuned here (fuseg tune)"


def _on_gpu(
    bundle: Bundle, asked: Variant | None, device: int
) -> tuple[list[Candidate], str]:
    """The GPU's engines that are here, and in words why the others are not."""
    if not registry.gpu_count():
        return [], "no NVIDIA GPU here; "
    found, words = [], ""
    for name in (info.name for info in registry.GPU):
        try:
            lacks = registry.unavailable(name, device)
            if lacks is None:
                named = None if asked is None else asked.name
                chosen = registry.variant_for(bundle, name, named)
                found.append(Candidate(name, chosen, ""))
        except (ArgumentError, BackendError) as err:
            lacks = str(err).rstrip(".")
        if lacks is not None:
            words += f"not {name}: {lacks}; "
    return found, words


def _for_cpu(
    bundle: Bundle, backend: str, asked: Variant | None, why: str
) -> list[Candidate]:
    name = "onnxruntime" if backend == "auto" else backend
    chosen = Candidate(name, asked or _first(bundle), why)
    return [chosen, *_spare(bundle, backend, asked, chosen)]


def _spare(
    bundle: Bundle, backend: str, asked: Variant | None, chosen: Candidate
) -> list[Candidate]:
    """fp32 on the engine that is always there, unless something was asked for."""
    spare = bundle.manifest.full
    safe = "onnxruntime" if backend == "auto" else backend
    if asked is not None or spare is None:
        return []
    if (chosen.backend, chosen.variant) == (safe, spare):
        return []
    return [Candidate(safe, spare, "by default")]


def _later(
    bundle: Bundle,
    chosen: Candidate,
    device: int,
    segmenter: Callable[[Engine, Variant], PredictFn],
) -> Later | None:
    """TensorRT's engine, to be built in the background; None if it is there."""
    if not registry.must_be_built(bundle, chosen.backend, chosen.variant, device):
        return None

    def prepare() -> Engine:
        engine = registry.load(bundle, chosen.backend, chosen.variant, device=device)
        doubt = _doubt_on_gpu(bundle, engine, chosen.variant, segmenter)
        if doubt is not None:
            raise BackendError(doubt)
        return engine

    return Later(str(bundle.path), chosen.backend, chosen.variant, prepare)


def run_first(
    bundle: Bundle,
    backend: str,
    variant: Variant,
    *,
    trusted: bool = False,
) -> float | None:
    """Run a variant on a CPU engine once, unless it passed here before.

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
    from . import first_run  # what starts processes; seldom needed

    run = first_run.in_process if trusted else first_run.in_child
    share = run(bundle, backend, variant)
    if share is None or share >= LEAST_AGREEMENT:
        tuning_cache.remember_pass(bundle.digest, backend, variant.name)
    return share


def _doubt_on_cpu(
    bundle: Bundle,
    backend: str,
    variant: Variant,
    trusted: bool,
) -> str | None:
    """Why the labels are not to be trusted; None if they are, or on a GPU."""
    if registry.runs_on_gpu(backend):
        return None
    if not bundle.manifest.samples and variant is not bundle.manifest.full:
        return _NO_SAMPLES
    share = run_first(bundle, backend, variant, trusted=trusted)
    return None if share is None else _too_low(share)


def _doubt_on_gpu(
    bundle: Bundle,
    engine: Engine,
    variant: Variant,
    segmenter: Callable[[Engine, Variant], PredictFn],
) -> str | None:
    """The same of an engine on a GPU, which replays all samples; None on a CPU."""
    if not is_on_gpu(engine):
        return None
    where = registry.gpu_of(engine)
    if tuning_cache.has_passed(bundle.digest, engine.name, variant.name, where):
        return None
    if not bundle.manifest.samples:
        return None if variant is bundle.manifest.full else _NO_SAMPLES
    doubt = _too_low(min(agreements(bundle, segmenter(engine.clone(), variant))))
    if doubt is None:
        tuning_cache.remember_pass(bundle.digest, engine.name, variant.name, where)
    return doubt


def _too_low(share: float) -> str | None:
    if share >= LEAST_AGREEMENT:
        return None
    return f"{share:.6f} of the labels of a sample agree, {LEAST_AGREEMENT} must."


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
