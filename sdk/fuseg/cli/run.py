"""``fuseg run``: label the frames in files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from ..bundle import Bundle
from ..dataset.frame_matching import FrameFiles, MatchedFrames
from ..errors import (
    ArgumentError,
    BackendError,
    DeviceError,
    DTypeError,
    FrameError,
    FusegError,
    InputFileError,
)
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .frame_reader import (
    FrameReader,
    assignments,
    hertz,
    label,
    match_files,
    nothing_matches,
    one_by_one,
    policies,
    report_unmatched,
    require_names,
    set_texts,
    unmatched_json,
)
from .frame_results import STAGES, ResultWriter
from .options import (
    AlphaOption,
    BackendOption,
    BundleArgument,
    ChannelsOption,
    DeviceOption,
    InputOption,
    JsonOption,
    MatchOption,
    MissingOption,
    NoSpinningOption,
    PlaneOption,
    RateOption,
    ReferenceOption,
    SlopOption,
    TextOption,
    ThreadsOption,
    TrustOption,
    UnitOption,
    VariantOption,
    require_device,
)
from .printing import plural, print_json, print_table, progress, report, say

# Errors about one frame; any other would also hit the next one.
_OF_ONE_FRAME = (ArgumentError, BackendError, DTypeError, FrameError, InputFileError)
_NAMED = 8  # failed frames that the summary names


def run(
    bundle: BundleArgument,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for labels/KEY.png, overlay/KEY.png, and what else is a file."
        ),
    ],
    input: InputOption = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    missing: MissingOption = None,
    plane: PlaneOption = None,
    rate: RateOption = None,
    text: TextOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    on_error: Annotated[
        str,
        typer.Option(
            metavar="go-on|stop",
            help="After a frame that cannot be labelled: go-on labels the others, and "
            "exits with 1; stop ends there, with 2.",
        ),
    ] = "go-on",
    alpha: AlphaOption = 0.5,
    threads: ThreadsOption = None,
    no_spinning: NoSpinningOption = False,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    device: DeviceOption = 0,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Label frames and write a label map and an overlay for each.

    A label map is a palette PNG: its pixels are class numbers.

    Other outputs of the bundle are files by their names, or in --json.

    One file per input is one frame, whatever the names.

    In folders and patterns, files with the same key form one frame.

    The key is what the stars match; in a folder, the name without its suffix.
    """
    if on_error not in ("go-on", "stop"):
        raise ArgumentError(f"--on-error must be go-on or stop, got {on_error!r}.")
    orders = assignments("--channels", channels)
    require_device(backend, device)
    opened = Bundle.open(bundle)
    options = LoadOptions(
        backend=backend,
        variant=variant,
        threads=threads,
        allow_spinning=not no_spinning,
        device=device,
        units=assignments("--unit", unit),
        channels=orders,
        rates=hertz(rate),
        missing=one_by_one(opened.manifest, missing),
        hold=bool(opened.manifest.states),  # which go on from frame to frame
        trust=trust,
    )
    segmenter = Segmenter(opened, options)
    sources = assignments("--input", input)
    require_names(segmenter.manifest, sources)
    planes = assignments("--plane", plane)
    read = FrameReader(segmenter.manifest, orders, planes, hertz(rate))
    set_texts(segmenter, text)
    matched = match_files(sources, match, slop, reference, policies(missing))
    write = ResultWriter(segmenter.manifest, out, alpha)
    _spare_the_inputs(matched, write, out)
    report_unmatched(matched)

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    stop_at_once = on_error == "stop" or len(matched.frames) == 1
    stopped: BaseException | None = None
    try:
        frames = progress(matched.frames, what="labelling", total=len(matched.frames))
        for frame in frames:
            try:
                arrays = read(frame)
                labelled = label(segmenter, frame, arrays)
                done.append(write(labelled, frame, read.rgb(arrays)))
            except _OF_ONE_FRAME as err:
                failed.append(_failure(frame, err))
                if stop_at_once or isinstance(err, DeviceError):
                    raise
                report("error", str(err))
    except (FusegError, KeyboardInterrupt) as err:  # what was done is shown anyway
        stopped = err

    if json:
        result = {
            "frames": done,
            "failed": failed,
            "unmatched": unmatched_json(matched),
        }
        if stopped is not None:
            result["error"] = _error(stopped)
        print_json(result)
    else:
        _show(done, failed, out)
    if isinstance(stopped, KeyboardInterrupt):
        left = len(matched.frames) - len(done) - len(failed)
        report("error", f"interrupted, {plural(left, 'frame')} not labelled.")
        raise typer.Exit(130)
    if stopped is not None:
        report("error", str(stopped))
        raise typer.Exit(2)
    if not matched.frames:
        report("error", nothing_matches(matched))
    if failed or not done:
        raise typer.Exit(1)


def _failure(frame: FrameFiles, err: Exception) -> dict[str, Any]:
    files = {name: str(path) for name, path in frame.files.items()}
    return {"key": frame.key, "files": files, "error": _error(err)}


def _error(err: BaseException) -> dict[str, str]:
    message = str(err) or "interrupted by Ctrl-C."
    return {"type": type(err).__name__, "message": message}


def _spare_the_inputs(matched: MatchedFrames, write: ResultWriter, out: Path) -> None:
    read = {
        os.path.realpath(f) for frame in matched.frames for f in frame.files.values()
    }
    for frame in matched.frames:
        for path in write.paths(frame).values():
            if os.path.realpath(path) in read:
                raise ArgumentError(
                    f"--out must be another folder, got {out}: {path} is an input of "
                    "this run and would be overwritten."
                )


def _show(done: list[dict[str, Any]], failed: list[dict[str, Any]], out: Path) -> None:
    if done and failed:
        keys = ", ".join(frame["key"] for frame in failed[:_NAMED])
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        say(f"{plural(len(failed), 'frame')} failed: {keys}{more}")
    if not done:
        return
    folders = [f"{out}/{name}" for name in ("labels", "overlay") if name in done[0]]
    folders += [f"{out}/outputs"] if (out / "outputs").is_dir() else []
    say(f"{plural(len(done), 'frame')} labelled: {' '.join(folders)}")
    degraded = Counter(frame["reason"] for frame in done if frame["degraded"])
    for reason, count in degraded.items():
        say(f"degraded: {plural(count, 'frame')}: {reason}")
    rows = []
    for name in done[0].get("classes", ()):
        share = sum(frame["classes"][name] for frame in done) / len(done)
        rows.append((name, f"{share:.2%}"))
    if rows:
        print_table(("class", "share of pixels"), rows, right=("share of pixels",))
    times = {s: median(frame["timing_ms"][s] for frame in done) for s in STAGES}
    say("ms per frame (median): " + "  ".join(f"{s} {t:.2f}" for s, t in times.items()))
