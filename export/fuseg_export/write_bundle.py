"""The last step: the finished bundle replaces the old one, or nothing does."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg import Segmenter, bundle, load
from fuseg.errors import ArgumentError, BackendError, ExportError, OutputFileError
from fuseg.runtime.outputs import adapter_of

from .bundle_draft import BundleDraft

__all__ = [
    "first_results",
    "require_distinct",
    "require_writable",
    "usable_results",
    "write_bundle",
]


def require_writable(out: Path) -> None:
    """Refuse early what could only fail at the end."""
    folder = out.absolute().parent
    try:
        if out.is_dir():
            raise OutputFileError(f"{out} cannot be written: it is a folder.")
        while not folder.exists():
            folder = folder.parent
    except PermissionError as err:
        raise OutputFileError(f"{out} cannot be written: {err.strerror}.") from err
    if not folder.is_dir():
        raise OutputFileError(f"{out} cannot be written: {folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputFileError(f"{out} cannot be written: no permission in {folder}.")


def require_distinct(
    written: Mapping[str, Path | None], read: Mapping[str, Path | None]
) -> None:
    """Refuse to write one file twice, or over one that is read.

    Args:
        written, read: By option name; None if it was not given.

    Raises:
        ArgumentError: Two of them are one file.
    """
    seen: dict[Path, str] = {}
    for name, path in [*read.items(), *written.items()]:
        if path is None:
            continue
        place = path.resolve()
        if name in written and place in seen:
            raise ArgumentError(
                f"{name} must be another file than {seen[place]}, got {path}."
            )
        seen[place] = name


def write_bundle(draft: BundleDraft, out: Path) -> tuple[str, list[str]]:
    """Write the bundle beside ``out``, replay its samples, then replace ``out``.

    Returns:
        The digest, and a warning if devices run it only with trust=.
    """
    part = out.parent / f".{secrets.token_hex(6)}.part"
    try:
        digest = bundle.write(part, draft.manifest, draft.members)
        draft.members.clear()  # they are in the file
        segmenter, warnings = _loaded(part, digest)
        for frames, expected in segmenter.bundle.samples():
            found = first_results(segmenter, frames)
            for name, array in expected.items():
                if not np.array_equal(found[name], array):
                    raise ExportError(
                        f"the finished bundle labels its own sample in another way "
                        f"than before it was written ({name}): this machine computes "
                        "unreliably."
                    )
        os.replace(part, out)
    except OSError as err:
        system = err.__cause__ if isinstance(err, OutputFileError) else err
        why = getattr(system, "strerror", None) or err
        raise OutputFileError(f"{out} cannot be written: {why}.") from err
    finally:
        part.unlink(missing_ok=True)
    return digest, warnings


def _loaded(part: Path, digest: str) -> tuple[Segmenter, list[str]]:
    """As a device loads it; beyond the limits of a first run, as one that trusts it."""
    try:
        return load(part, backend="onnxruntime", variant="fp32", threads=1), []
    except BackendError as err:
        segmenter = load(
            part, backend="onnxruntime", variant="fp32", threads=1, trust=digest
        )
        return segmenter, [f"devices load this bundle only with trust=: {err}"]


def first_results(
    segmenter: Segmenter, arrays: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """As `usable_results`, with the states at their start: what samples hold."""
    segmenter.reset()
    return usable_results(segmenter, arrays)


def usable_results(
    segmenter: Segmenter,
    arrays: Mapping[str, Any],
    size: tuple[int, int] | None = None,
) -> dict[str, NDArray[Any]]:
    """Results made of nothing but these frames, by output name.

    Raises:
        ArgumentError: A frame is not usable, and something else took its place.
    """
    result = segmenter(size=size, **arrays)
    if result.degraded:
        raise ArgumentError(
            f"--frames must be usable, but one is not ({result.reason}): leave it out."
        )
    outputs = segmenter.manifest.outputs
    return {o.name: adapter_of(o).as_array(result[o.name]) for o in outputs}
