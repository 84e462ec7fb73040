"""``fuseg run``: label the frames in files."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from .. import ops
from ..errors import ArgumentError
from ..images import write_labels, write_png
from ..pairs import PairedFrame, Pairs, pair
from ..segmentation import Segmentation
from ..segmenter import load
from .frames import (
    FrameReader,
    assignments,
    label,
    policies,
    report_unpaired,
    require_names,
    unpaired_json,
)
from .options import (
    AlphaOption,
    BackendOption,
    BundleArgument,
    ChannelsOption,
    DeviceOption,
    InputOption,
    JsonOption,
    MissingOption,
    ThreadsOption,
    UnitOption,
    VariantOption,
)
from .printing import plural, print_json, print_table, progress, report, say

STAGES = ("pack", "engine", "label", "total")


def run(
    bundle: BundleArgument,
    out: Annotated[
        Path, typer.Option(help="Folder for labels/KEY.png and overlay/KEY.png.")
    ],
    input: InputOption = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    missing: MissingOption = None,
    alpha: AlphaOption = 0.5,
    threads: ThreadsOption = None,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    device: DeviceOption = 0,
    json: JsonOption = False,
) -> None:
    """Label frames and write a label map and an overlay for each.

    A label map is a palette PNG: its pixels are the classes' numbers.

    One file per input is one frame, whatever the names.

    Of folders and patterns, files with the same key are one frame.

    The key is what the star stood for; in a folder, the name without its suffix.
    """
    from ..pictures import with_legend

    orders = assignments("--channels", channels)
    segmenter = load(
        bundle,
        backend=backend,
        variant=variant,
        threads=threads,
        device=device,
        units=assignments("--unit", unit),
        channels=orders,
        missing=policies(missing),
        hold=False,
    )
    sources = assignments("--input", input)
    require_names(segmenter.manifest, sources)
    pairs = pair(sources)
    _spare_the_inputs(pairs, out)
    report_unpaired(pairs)

    read = FrameReader(segmenter.manifest, orders)
    done = []
    for frame in progress(pairs.frames, what="labelling", total=len(pairs.frames)):
        arrays = read(frame)
        result = label(segmenter, frame.key, arrays)
        labels, overlay = _paths(out, frame)
        write_labels(labels, result.labels, [c.color for c in result.classes])
        painted = _painted(result, read.rgb(arrays), alpha)
        caption = f"{frame.key}: {result.reason}" if result.degraded else frame.key
        write_png(
            overlay, with_legend(painted, result.classes, [result.labels], caption)
        )
        done.append(_record(frame, result, labels, overlay))

    if json:
        print_json({"frames": done, "unpaired": unpaired_json(pairs)})
    else:
        _show(done, out)
    if not done:
        report("error", "no frame has a file from every input.")
        raise typer.Exit(1)


def _paths(out: Path, frame: PairedFrame) -> tuple[Path, Path]:
    name = f"{frame.key}.png"
    return out / "labels" / name, out / "overlay" / name


def _spare_the_inputs(pairs: Pairs, out: Path) -> None:
    read = {os.path.realpath(f) for frame in pairs.frames for f in frame.files.values()}
    for frame in pairs.frames:
        for path in _paths(out, frame):
            if os.path.realpath(path) in read:
                raise ArgumentError(
                    f"--out must be another folder, got {out}: {path} is an input of "
                    "this run and would be overwritten."
                )


def _painted(
    result: Segmentation, rgb: NDArray[np.uint8] | None, alpha: float
) -> NDArray[np.uint8]:
    """The overlay, in RGB at the labels' size; without colour, the labels alone."""
    from PIL import Image

    height, width = result.labels.shape
    if rgb is not None and rgb.shape[:2] != (height, width):
        image = Image.fromarray(np.ascontiguousarray(rgb))
        rgb = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
    palette = np.array([entry.color for entry in result.classes], np.uint8)
    frame = None if rgb is None else np.ascontiguousarray(rgb)
    return ops.overlay(result.labels, palette=palette, frame=frame, alpha=alpha)


def _record(
    frame: PairedFrame, result: Segmentation, labels: Path, overlay: Path
) -> dict[str, Any]:
    counts = np.bincount(result.labels.ravel(), minlength=len(result.classes))
    shares = counts / result.labels.size
    return {
        "key": frame.key,
        "labels": str(labels),
        "overlay": str(overlay),
        "degraded": result.degraded,
        "reason": result.reason,
        "made_from": {name: asdict(s) for name, s in result.made_from.items()},
        "classes": {
            entry.name: float(share)
            for entry, share in zip(result.classes, shares, strict=True)
        },
        "timing_ms": {s: getattr(result.timing, f"{s}_ms") for s in STAGES},
    }


def _show(done: list[dict[str, Any]], out: Path) -> None:
    if not done:
        return
    say(f"{plural(len(done), 'frame')} labelled: {out}/labels {out}/overlay")
    degraded = Counter(frame["reason"] for frame in done if frame["degraded"])
    for reason, count in degraded.items():
        say(f"degraded: {plural(count, 'frame')}: {reason}")
    rows = []
    for name in done[0]["classes"]:
        share = sum(frame["classes"][name] for frame in done) / len(done)
        rows.append((name, f"{share:.2%}"))
    print_table(("class", "of the pixels"), rows, right=("of the pixels",))
    times = {s: median(frame["timing_ms"][s] for frame in done) for s in STAGES}
    say("ms per frame (median): " + "  ".join(f"{s} {t:.2f}" for s, t in times.items()))
