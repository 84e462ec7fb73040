"""``fuseg explain``: which sensor each class comes from, and where."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray

from ..bundle import Bundle
from ..dataset.frame_matching import FrameFiles
from ..dataset.label_ids import TruthReader
from ..errors import ArgumentError
from ..explain import Contributions, contributions, occlusion
from ..host.files import write_file
from ..manifest import (
    Manifest,
    SegmentationOutput,
    image_inputs,
)
from ..robustness import Spoiler, require_few
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .explain_frames import draw_frame
from .explain_page import Occluded, as_html, refused_sets
from .frame_reader import (
    FrameReader,
    assignments,
    hertz,
    match_files,
    nothing_matches,
    one_by_one,
    policies,
    report_unmatched,
    require_names,
    set_texts,
)
from .labelled_frames import TRUTH
from .options import (
    BackendOption,
    BundleArgument,
    ChannelsOption,
    InputOption,
    JsonOption,
    MatchOption,
    MissingOption,
    PlaneOption,
    RateOption,
    ReferenceOption,
    SlopOption,
    TextOption,
    ThreadsOption,
    TrustOption,
    TruthMapOption,
    UnitOption,
    VariantOption,
)
from .printing import plural, print_json, print_table, progress, say

_SHOWN = 2  # frames on the page


def explain(
    bundle: BundleArgument,
    input: InputOption = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The HTML page to write.")
    ] = Path("explained.html"),
    truth: Annotated[
        str | None,
        typer.Option(
            help="The true labels, to compare with instead of the labels made from "
            "all sensors."
        ),
    ] = None,
    truth_map: TruthMapOption = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Also find the pixels that this class comes from: patches of the "
            "first frame that has it are hidden, one at a time.",
        ),
    ] = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    missing: MissingOption = None,
    plane: PlaneOption = None,
    rate: RateOption = None,
    text: TextOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    threads: ThreadsOption = None,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Say which sensor each class comes from, and show where.

    Shares are exact Shapley values: the labels are made from every set of sensors, the
    others being gone, and compared with those made from all of them.
    """
    orders, units = assignments("--channels", channels), assignments("--unit", unit)
    opened = Bundle.open(bundle)
    output = _labels_of(opened.manifest)
    require_few(opened.manifest, "fuseg explain")
    classes = opened.manifest.classes_of(output)
    names = [entry.name for entry in classes]
    if label is not None and label not in names:
        raise ArgumentError(
            f"--class must be one of {', '.join(names)}, got {label!r}."
        )
    if truth_map is not None and truth is None:
        raise ArgumentError("--truth-map needs --truth, the labels that it explains.")
    read_truth = TruthReader(classes, output.ignore, truth_map) if truth else None
    options = LoadOptions(
        backend=backend,
        variant=variant,
        threads=threads,
        units=units,
        channels=orders,
        rates=hertz(rate),
        missing=one_by_one(opened.manifest, missing),
        hold=bool(opened.manifest.states),
        trust=trust,
    )
    segmenter = Segmenter(opened, options)
    sources = assignments("--input", input)
    require_names(segmenter.manifest, sources, all_of_them=True)
    planes = assignments("--plane", plane)
    read = FrameReader(segmenter.manifest, orders, planes, hertz(rate))
    set_texts(segmenter, text)
    known = {**sources, TRUTH: truth} if truth else sources
    matched = match_files(known, match, slop, reference, policies(missing))
    report_unmatched(matched)
    if not matched.frames:
        raise ArgumentError(nothing_matches(matched))

    def frames() -> Iterator[tuple[FrameFiles, dict[str, Any]]]:
        for frame in matched.frames:
            files = {n: path for n, path in frame.files.items() if n != TRUTH}
            yield frame, read(FrameFiles(frame.key, files))

    def with_truth() -> Iterator[tuple[dict[str, Any], NDArray[Any] | None]]:
        count = len(matched.frames)
        for frame, given in progress(frames(), what="explaining", total=count):
            path = frame.files.get(TRUTH)
            yield given, read_truth(path) if read_truth and path else None

    found = contributions(segmenter, with_truth())
    shown = {
        frame.key: draw_frame(segmenter, given, orders)
        for frame, given in itertools.islice(frames(), _SHOWN)
    }
    seen = None
    if label is not None:
        spoilers = {
            entry.name: Spoiler(entry, units.get(entry.name), orders.get(entry.name))
            for entry in image_inputs(segmenter.manifest.sensors)
        }
        seen = _occluded(segmenter, frames(), spoilers, label, names.index(label))
    made = as_html(opened, found, classes, shown, seen)
    write_file(out, made.encode())
    if json:
        print_json(
            {
                "bundle": str(bundle),
                "digest": opened.digest,
                "page": str(out),
                **_as_json(found),
                "occlusion": None if seen is None else seen.as_json(),
            }
        )
    else:
        _show(found, out)


def _labels_of(manifest: Manifest) -> SegmentationOutput:
    if not manifest.label_outputs:
        names = ", ".join(output.name for output in manifest.outputs)
        raise ArgumentError(
            f"fuseg explain needs labels, but this bundle gives {names} alone: give "
            "another bundle."
        )
    return manifest.label_outputs[0]


def _occluded(
    segmenter: Segmenter,
    frames: Iterable[tuple[FrameFiles, Mapping[str, Any]]],
    spoilers: Mapping[str, Spoiler],
    name: str,
    label: int,
) -> Occluded:
    """What hidden patches lose of a class, in the first frame that has it.

    Raises:
        ArgumentError: No frame has it.
    """
    for frame, given in frames:
        lost = {}
        for sensor, spoiler in spoilers.items():
            found = occlusion(segmenter, given, sensor, spoiler, label)
            if found is None:
                break
            lost[sensor] = found
        if lost:
            return Occluded(name, frame.key, lost)
    raise ArgumentError(
        f"--class must be one that a frame shows, got {name!r}, which none does: give "
        "other frames."
    )


def _as_json(found: Contributions) -> dict[str, Any]:
    def spelled(one: Any) -> Any:
        values = {" + ".join(subset): v for subset, v in one.values.items()}
        return {**asdict(one), "values": values}

    return {
        "frames": found.frames,
        "against": found.against,
        "sensors": list(found.sensors),
        "classes": {
            name: None if one is None else spelled(one)
            for name, one in found.classes.items()
        },
        "refused": {" + ".join(s): count for s, count in found.refused.items()},
    }


def _show(found: Contributions, out: Path) -> None:
    rows = []
    for name, one in found.classes.items():
        if one is None:
            rows.append((name, *["does not occur"] + [""] * len(found.sensors)))
            continue
        shares = one.shares or {}
        cells = [f"{shares[s]:.1%}" if s in shares else "" for s in found.sensors]
        rows.append((name, *cells, f"{one.total:.4f}"))
    title = f"shares, {plural(found.frames, 'frame')}"
    headings = ("class", *found.sensors, "IoU")
    print_table(headings, rows, right=headings[1:], title=title)
    for sentence in refused_sets(found):
        say(sentence)
    say(f"page: {out}")
