"""``fuseg bench``: the bundle's speed here, beside the usual recipe."""

from __future__ import annotations

import json as jsonlib
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from ..bench import (
    MOST_FRAMES,
    PAUSE_S,
    WARMUP,
    Frames,
    OtherPrograms,
    describe_noise,
    percentiles,
    time_frames,
)
from ..bundle import Bundle
from ..dataset.frame_matching import MatchedFrames
from ..errors import ArgumentError
from ..host import cpu
from ..host.files import write_file
from ..manifest import image_inputs
from ..runtime.results import Timing
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .bench_peers import RECIPE, find_peers, pre_post, unavailable
from .bench_program import ProgramCalls, rates
from .bench_report import show
from .frame_reader import (
    FrameReader,
    assignments,
    hertz,
    label,
    match_files,
    nothing_matches,
    report_unmatched,
    require_names,
    set_texts,
)
from .options import (
    BackendOption,
    BundleArgument,
    ChannelsOption,
    DeviceOption,
    InputOption,
    JsonOption,
    MatchOption,
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
from .printing import print_json, progress, report

_LIBRARIES = (
    "numpy",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "opencv-python",
    "torch",
)


def bench(
    bundle: BundleArgument,
    input: InputOption = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    plane: PlaneOption = None,
    rate: RateOption = None,
    text: TextOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    every: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="Give this input's frame in every Nth frame set alone: a slow sensor "
            "of a bundle of several graphs.",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Timed calls of each program.")
    ] = 50,
    threads: ThreadsOption = None,
    no_spinning: NoSpinningOption = False,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    device: DeviceOption = 0,
    torch: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Also time this PyTorch network, as for fuseg export.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="The weights of --torch.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also write the JSON to this file.")
    ] = None,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Time each stage from frames to labels, beside other programs.

    All of them run in this process, on the same frames, with the same number of threads
    (by default one per core). Their labels are compared first.
    """
    if (torch is None) != (checkpoint is None):
        raise ArgumentError("--torch and --checkpoint must be given together.")
    count = threads or cpu.cores()
    sources = assignments("--input", input)
    units, orders = assignments("--unit", unit), assignments("--channels", channels)
    rates_of = hertz(rate)
    of_files = {"--unit": unit, "--channels": channels, "--plane": plane}
    of_files["--rate"] = rate
    of_files["--match"] = None if match == "name" else [match]
    of_files["--slop"] = None if slop is None else [slop]
    of_files["--reference"] = None if reference is None else [reference]
    for option, value in of_files.items():
        if value and not sources:
            raise ArgumentError(f"{option} needs frames: --input.")
    require_device(backend, device)
    options = LoadOptions(
        backend=backend,
        variant=variant,
        threads=count,
        allow_spinning=not no_spinning,
        device=device,
        units=units,
        channels=orders,
        rates=rates_of,
        trust=trust,
    )
    segmenter = Segmenter(Bundle.open(bundle), options)
    manifest = segmenter.manifest
    set_texts(segmenter, text)
    program = None
    slow = rates(manifest, assignments("--every", every))
    if manifest.is_program:
        program = ProgramCalls(segmenter.clone(), slow)
    elif slow:
        raise ArgumentError("--every needs a bundle of several graphs, got one.")
    planes = assignments("--plane", plane)
    read = FrameReader(manifest, orders, planes, rates_of)
    if sources:
        require_names(manifest, sources, all_of_them=True)
        matched = match_files(sources, match, slop, reference)
        frames = _read(segmenter, matched, read)
    else:
        frames = _samples(segmenter)
    peers: list[Any] = []
    if manifest.states or manifest.dimensions or len(manifest.main_graphs) > 1:
        notes = unavailable("runs a bundle of one graph without a state.", torch)
    elif slow:
        notes = unavailable("runs on whole frame sets, without --every.", torch)
    elif [o.kind for o in manifest.outputs] != ["segmentation"]:
        notes = unavailable("makes labels, of a bundle without other outputs.", torch)
    elif len(image_inputs(manifest.sensors)) < len(manifest.inputs):
        notes = unavailable("reads pictures alone.", torch)
    elif units or orders:
        sentence = (
            "takes frames as the bundle declares them, without --unit, --channels"
        )
        notes = unavailable(f"{sentence}.", torch)
    else:
        peers, notes = find_peers(bundle, segmenter, frames, count, torch, checkpoint)
    result = {
        "bundle": str(bundle),
        "digest": segmenter.bundle.digest,
        "model": segmenter.manifest.name,
        "variant": segmenter.variant.name,
        "backend": segmenter.backend_name,
        "machine": cpu.describe(),
        "versions": _versions(),
        "settings": {
            "threads": count,
            "allow_spinning": not no_spinning,
            "rounds": rounds,
            "warmup": WARMUP,
            "pause_ms": PAUSE_S * 1e3,
            "frames": len(frames),
            "every": slow,
            "frame_shapes": {name: list(a.shape) for name, a in frames[0].items()},
        },
        **_measure(segmenter, frames, peers, notes, rounds, program),
    }
    if save is not None:
        write_file(save, (jsonlib.dumps(result, indent=1) + "\n").encode())
    if json:
        print_json(result)
    else:
        show(result)


def _samples(segmenter: Segmenter) -> list[Frames]:
    frames: list[Frames] = [given for given, _ in segmenter.bundle.samples()]
    if not frames:
        raise ArgumentError(
            "--input must be given: the bundle holds no sample frames to time."
        )
    return frames[:MOST_FRAMES]


def _read(
    segmenter: Segmenter, matched: MatchedFrames, read: FrameReader
) -> list[Frames]:
    """The first of the user's frames, each tried once so that a bad one is named."""
    report_unmatched(matched)
    if not matched.frames:
        report("error", nothing_matches(matched))
        raise typer.Exit(1)
    frames = []
    for frame in matched.frames[:MOST_FRAMES]:
        arrays = read(frame)
        label(segmenter, frame, arrays, all_of_them=True)
        frames.append(arrays)
    return frames


def _measure(
    segmenter: Segmenter,
    frames: list[Frames],
    peers: list[Any],
    notes: dict[str, dict[str, Any]],
    rounds: int,
    program: ProgramCalls | None,
) -> dict[str, Any]:
    stages: list[Timing] = []
    call = program or (lambda frame: segmenter(**frame))
    programs: dict[str, Callable[[Frames], object]] = {
        "fuseg": lambda frame: stages.append(call(frame).timing)
    }
    for peer in peers:
        programs[peer.name] = peer.call
        if peer.pre is not None:
            programs[f"{peer.name}: pre"] = peer.pre
    others = OtherPrograms()
    turns = progress(range(rounds), what="timing", total=rounds)
    times = time_frames(programs, frames, turns)
    whole_programs = {name: times[name] for name in ("fuseg", *(p.name for p in peers))}
    noise = describe_noise(whole_programs, others.cores())
    stages = stages[-2 * rounds :][1::2]  # the timed calls, without the one before each

    total = percentiles(times["fuseg"])
    parts = {
        "pack": [t.pack_ms for t in stages],
        "network": [t.network_ms for t in stages],
        "label": [t.label_ms for t in stages],
    }
    parts["overhead"] = [
        whole - sum(known)
        for whole, *known in zip(times["fuseg"], *parts.values(), strict=True)
    ]
    for peer in peers:
        own = percentiles(times[peer.name])
        notes[peer.name] |= {**own, "ratio": own["p50"] / total["p50"]}
    result = {
        "total_ms": total,
        "stages_ms": {name: percentiles(values) for name, values in parts.items()},
        "peers": notes,
        "pre_post": None,
        "program": None if program is None else program.report(times["fuseg"]),
        "noise": noise,
    }
    same = segmenter.variant == segmenter.manifest.full
    if f"{RECIPE}: pre" in times and same and segmenter.backend_name == "onnxruntime":
        result["pre_post"] = pre_post(parts, times)
    return result


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in ("fuseg", *_LIBRARIES):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
