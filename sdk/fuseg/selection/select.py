"""Which backend runs which variant of a bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from ..backends import Backend, GpuBackend, registry
from ..backends.base import is_on_gpu, require_threads
from ..bundle import Bundle
from ..errors import ArgumentError, BackendError
from ..manifest import Variant
from ..runtime.executor import Executor
from . import label_check, tuning_cache
from .background_build import BackgroundBuild
from .load_options import LoadOptions

_log = logging.getLogger("fuseg")


@dataclass(frozen=True)
class Selection:
    """A backend that runs.

    Attributes:
        executor: Frames to labels with it.
        variant: What it runs.
        fallback: Why that is not the first choice; None if it is.
        background: A build under way, whose result is to take this one's place.
    """

    executor: Executor
    variant: Variant
    fallback: str | None = None
    background: BackgroundBuild | None = None


@dataclass(frozen=True)
class Candidate:
    """A backend's name, the variant it would run, and why these."""

    backend: str
    variant: Variant
    why: str


def select_backend(
    bundle: Bundle,
    options: LoadOptions,
    bind: Callable[[Backend | GpuBackend], Executor],
) -> Selection:
    """Choose backend and variant, and load it; one line of the log says which.

    The first time a variant is loaded here, it has to give the labels of the bundle's
    samples (on a CPU of the first one, in a process with limits: see `first_run`).
    Else the next candidate takes its place, or the call is refused if there is none.

    Args:
        bind: Makes an executor of a backend.

    Raises:
        ArgumentError: no such backend or variant; ``threads`` is no count, or was
            given with an object.
        BackendError: no candidate can be made and gives the labels that it must.
    """
    if not isinstance(options.backend, str):
        return Selection(
            bind(_as_given(options.backend, options)),
            _named(bundle, options.variant) or _first(bundle),
        )
    found = candidates(bundle, options)
    background = None
    if options.serve_while_building:
        others = found[1:]
        if not others and any(v.fits_cpu for v in bundle.manifest.variants):
            others = _on_cpu(bundle, "auto", None, "meanwhile")
        if others:
            with suppress(BackendError):  # raised again and logged below
                background = _background(bundle, found[0], options, bind)
        if background is not None:
            found = others
    reasons: list[str] = []
    for number, chosen in enumerate(found, 1):
        name, variant = chosen.backend, chosen.variant
        log_args = (bundle.path, variant.name, name)
        if reasons:
            _log.warning("%s: %s on %s instead: %s", *log_args, "; ".join(reasons))
        else:
            _log.info("%s: variant %s on %s, %s", *log_args, chosen.why)
        try:
            backend, reason = _load(bundle, chosen, options)
            if backend is not None:
                fallback = "; ".join(reasons) or None
                return Selection(bind(backend), variant, fallback, background)
        except BackendError as err:
            if number == len(found):
                raise
            reason = str(err)
        reasons.append(f"variant {variant.name} does not run on {name}: {reason}")
    raise BackendError(reasons[-1])


def candidates(bundle: Bundle, options: LoadOptions) -> list[Candidate]:
    """What `select_backend` tries, in this order; nothing is measured or loaded.

    Args:
        options: With the name of a backend, or ``"auto"``.

    Raises:
        ArgumentError: see `select_backend`.
        BackendError: the backend that was asked for is not here.
    """
    backend = str(options.backend)
    registry.require_known(backend)
    wanted = _named(bundle, options.variant)
    if options.threads is not None:
        options = replace(options, threads=require_threads(options.threads))
    if registry.runs_on_gpu(backend):
        lacks = registry.unavailable(backend, options.device)
        if lacks is not None:
            raise BackendError(f"backend {backend} cannot run here: {lacks}.")
        chosen = registry.variant_for(bundle, backend, options.variant)
        return [Candidate(backend, chosen, "as asked")]
    if backend != "auto" and wanted is not None:
        return [Candidate(backend, wanted, "as asked")]
    tuned, note = _tuned(bundle, backend, options)
    if tuned is not None:
        return [tuned, *_spare(bundle, backend, wanted, tuned)]
    if backend != "auto":
        return _on_cpu(bundle, backend, wanted, f"by default: {note}")
    on_gpu, without = _on_gpu(bundle, options)
    why = f"by default: {without}{note}"
    found = [replace(candidate, why=why) for candidate in on_gpu]
    if not found or any(v.fits_cpu for v in bundle.manifest.variants):
        found += _on_cpu(bundle, backend, wanted, why)
    return found


def _tuned(
    bundle: Bundle, backend: str, options: LoadOptions
) -> tuple[Candidate | None, str]:
    """The fastest that was measured and is wanted; else why there is none."""
    tuned = tuning_cache.stored(
        bundle.digest,
        options.threads,
        options.device,
        allow_spinning=options.allow_spinning,
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
            fits = registry.unavailable(row.backend, options.device) is None
        if fits and options.variant in (None, row.variant):
            why = f"the fastest here by fuseg tune: {row.p50_ms:.2f} ms"
            return Candidate(row.backend, found, why), ""
    return None, "nothing like it is tuned here (fuseg tune)"


def _on_gpu(bundle: Bundle, options: LoadOptions) -> tuple[list[Candidate], str]:
    """The GPU backends that are here, and in words why the others are not."""
    if not registry.gpu_count():
        return [], "no NVIDIA GPU here; "
    found, words = [], ""
    for info in registry.GPU:
        try:
            lacks = registry.unavailable(info.name, options.device)
            if lacks is None:
                chosen = registry.variant_for(bundle, info.name, options.variant)
                found.append(Candidate(info.name, chosen, ""))
        except (ArgumentError, BackendError) as err:
            lacks = str(err).rstrip(".")
        if lacks is not None:
            words += f"not {info.name}: {lacks}; "
    return found, words


def _on_cpu(
    bundle: Bundle, backend: str, wanted: Variant | None, why: str
) -> list[Candidate]:
    name = registry.CPU[0].name if backend == "auto" else backend
    chosen = Candidate(name, wanted or _first(bundle), why)
    return [chosen, *_spare(bundle, backend, wanted, chosen)]


def _spare(
    bundle: Bundle, backend: str, wanted: Variant | None, chosen: Candidate
) -> list[Candidate]:
    """fp32 on the backend that is always there, unless something was asked for."""
    spare = bundle.manifest.full
    safe = registry.CPU[0].name if backend == "auto" else backend
    if wanted is not None or spare is None:
        return []
    if (chosen.backend, chosen.variant) == (safe, spare):
        return []
    return [Candidate(safe, spare, "by default")]


def _load(
    bundle: Bundle, chosen: Candidate, options: LoadOptions
) -> tuple[Backend | GpuBackend, None] | tuple[None, str]:
    """The backend, if it gives the samples' labels; else why it does not."""
    name, variant = chosen.backend, chosen.variant
    if not registry.runs_on_gpu(name):
        trusted = options.trust is not None
        reason = label_check.reason_against_cpu(bundle, name, variant, trusted=trusted)
        if reason is not None:
            return None, reason
    backend = registry.load(
        bundle,
        name,
        variant,
        threads=options.threads,
        allow_spinning=options.allow_spinning,
        device=options.device,
    )
    if is_on_gpu(backend):
        reason = label_check.reason_against_gpu(bundle, backend, variant)
        if reason is not None:
            return None, reason
    return backend, None


def _background(
    bundle: Bundle,
    chosen: Candidate,
    options: LoadOptions,
    bind: Callable[[Backend | GpuBackend], Executor],
) -> BackgroundBuild | None:
    """What builds the candidate's engine; None if it has one, or needs none."""
    name, variant = chosen.backend, chosen.variant
    if not registry.must_be_built(bundle, name, variant, options.device):
        return None

    def make() -> Executor:
        backend, reason = _load(bundle, chosen, options)
        if backend is None:
            raise BackendError(reason)
        return bind(backend)

    return BackgroundBuild(str(bundle.path), name, variant, make)


def _as_given(
    backend: Backend | GpuBackend, options: LoadOptions
) -> Backend | GpuBackend:
    """A backend object, which has its own threads."""
    if options.threads is not None:
        raise ArgumentError(
            "threads must be omitted with a backend object: it has its own."
        )
    if not options.allow_spinning:
        raise ArgumentError(
            "allow_spinning must be omitted with a backend object: how its threads "
            "wait was settled when it was made."
        )
    return backend


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
