"""A row from random weights to the numbers of the table, each step kept when done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..models import REFERENCE
from ..models.cost import cost_of
from ..training.fit import fit
from .key import code_of
from .measure import measure
from .row import Row, Weights

__all__ = ["finished", "key_of", "run"]

# What is only shown; and code, see `code_of`.
_NOT_IN_KEY = ("beats", "also", "task", "prepare", "learned")


def run(
    row: Row, rows: Mapping[str, Row], work: Path, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Train, evaluate, export and time one row; what is finished is taken as it is.

    Args:
        rows: All of them, by name: the one that it starts from is trained first.
        work: Folder of frames, weights and records.
        progress: Called with what is about to be done.

    Returns:
        Its record, which lies in ``work`` as well.
    """
    done = finished(row, rows, work)
    if done is not None:
        return done
    folder = work / row.name
    weights, record = _trained(row, rows, work, progress)
    if row.exported:
        progress("exporting and timing")
        record |= measure(row, weights, folder)
    _write(folder / "record.json", {"key": key_of(row, rows), **record})
    return record | _shown(row)


def finished(row: Row, rows: Mapping[str, Row], work: Path) -> dict[str, Any] | None:
    """The record of a row that was run, by this code, to its end; None if none was."""
    record = _kept(work / row.name / "record.json", key_of(row, rows))
    return None if record is None else record | _shown(row)


def key_of(row: Row, rows: Mapping[str, Row]) -> str:
    """Of all that a row's numbers come from: itself, the rows before, code, torch."""
    names = [f.name for f in fields(row) if f.name not in _NOT_IN_KEY]
    said = {name: getattr(row, name) for name in names}
    start = key_of(rows[row.start], rows) if row.start else None
    text = json.dumps([said, start, code_of(row), torch.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _trained(
    row: Row, rows: Mapping[str, Row], work: Path, progress: Callable[[str], None]
) -> tuple[Path, dict[str, Any]]:
    folder, key = work / row.name, key_of(row, rows)
    weights, trained = folder / "weights.safetensors", folder / "trained.json"
    record = _kept(trained, key)
    if record is not None:
        return weights, record
    torch.manual_seed(row.seed)
    model = REFERENCE[row.model]
    network = model.network()
    start: Weights = {}
    if row.start is not None:
        start = load_file(_trained(rows[row.start], rows, work, progress)[0])
    row.prepare(network.train(), start)
    task = row.task(work / "frames")
    if row.learned is not None:
        task = row.learned(task, network, start)
    before = task.evaluate(network) if row.before else None
    if row.before:
        network.train()
    progress(f"training {row.steps} steps")
    settings = {"steps": row.steps, "rate": row.rate, "seed": row.seed, "key": key}
    unfinished = work / "unfinished" / key  # an edit begins anew
    record = fit(network, task, settings, unfinished / row.name)
    progress("evaluating")
    record["test"] = task.evaluate(network)
    if before is not None:
        record["before"] = before
    record["multiply_adds"] = cost_of(model).multiply_adds
    folder.mkdir(exist_ok=True)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, weights)
    _write(trained, record)
    shutil.rmtree(unfinished)
    return weights, record


def _shown(row: Row) -> dict[str, Any]:
    """What the table says of a row, however long ago it was run."""
    model = REFERENCE[row.model]
    return {
        "row": row.name,
        "model": row.model,
        "family": model.family,
        "summary": model.summary,
        "metric": row.metric,
        "beats": dict(row.beats),
        "also": [*row.also],
    }


def _kept(path: Path, key: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    return record if record.get("key") == key else None


def _write(path: Path, record: Mapping[str, Any]) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(unfinished, path)
