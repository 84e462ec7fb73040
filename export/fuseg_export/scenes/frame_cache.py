"""Rendered frames in files, until a source that made them changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache as remembered
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cached_arrays", "sources_digest"]


def cached_arrays(
    folder: Path,
    stem: str,
    names: Iterable[str],
    make: Callable[[], Mapping[str, NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """Arrays from ``FOLDER/STEM-DIGEST-NAME.npy``, made if one is missing.

    The digest is of the renderer's sources and NumPy's version. Arrays are
    memory-mapped, read only. Those of another digest stay: they are the user's to
    delete.

    Args:
        folder: Made if missing.
        stem: What ``make`` depends on beside the sources: seeds and size.
        names: Of the arrays.
        make: Gives them all, by name.
    """
    paths = {n: folder / f"{stem}-{sources_digest()[:12]}-{n}.npy" for n in names}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        made = make()
        for name, path in paths.items():
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, np.asarray(made[name]))
            unfinished.replace(path)
    return {name: np.load(path, mmap_mode="r") for name, path in paths.items()}


@remembered
def sources_digest() -> str:
    """SHA-256 of this package's modules and NumPy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
