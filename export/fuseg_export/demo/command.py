"""``fuseg demo``: the shipped network, frames to try it on, and their labels."""

from __future__ import annotations

import json as jsonlib
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

import fuseg
from fuseg.cli.options import JsonOption
from fuseg.cli.printing import print_json
from fuseg.dataset import metrics
from fuseg.dataset.images import write_labels, write_png
from fuseg.dataset.pictures import sheet, with_legend
from fuseg.errors import InputFileError, OutputFileError
from fuseg.host.files import write_file
from fuseg.manifest import SegmentationOutput

from ..frames.rendered import CAMERA
from ..models.shipped import shipped_weights
from ..network.target import NetworkOptions
from ..pipeline import export_bundle
from ..scenes import HELD_OUT_SEEDS, Scene, render
from ..stdout import foreign_prints_to_stderr, progress_on_terminal

__all__ = ["Demo", "demo", "make_demo", "shipped_checkpoint"]

FRAMES = 8
# Of rooms that neither the training nor the export's own check has seen.
ROOMS = HELD_OUT_SEEDS[-120 : FRAMES - 120]
PICTURE_ROWS = 4
ALPHA = 0.7
FARTHEST_MM = 6000.0  # drawn darkest
_RECORD = "demo.json"
_FOLDERS = ("rgb", "depth", "truth")
_STDERR = 2


@dataclass(frozen=True)
class Demo:
    """What `make_demo` made.

    Attributes:
        folder: Where it lies.
        bundle, digest: The bundle and its sha256.
        frames: How many pairs of rgb/NNNN.png (RGB) and depth/NNNN.png (uint16,
            millimetres, 0 is no reading) there are; truth/NNNN.png are their labels.
        miou: Of fuseg's labels on these frames, at the camera's size.
        backend: The backend that ran it.
        picture: Colour, depth, truth and labels side by side.
        seconds: What making it took.
    """

    folder: str
    bundle: str
    digest: str
    frames: int
    miou: float
    backend: str
    picture: str
    seconds: float


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for all of it.")
    ] = Path("fuseg-demo"),
    json: JsonOption = False,
) -> None:
    """Try fuseg: make a bundle, eight frames to run it on, and their labels.

    Exports the shipped RGB-D network (half a minute on one core), renders frames of
    rooms that it was not trained on, labels them, and prints what to type next. Needs
    neither a GPU nor the internet.
    """
    with progress_on_terminal() as progress:
        made = make_demo(out, progress=progress)
    following = next_commands(made)
    if json:
        print_json({**asdict(made), "next": following})
        return
    print(f"{made.bundle}: the network in one file, verified stage by stage")
    print(f"{out}/rgb, depth, truth: {made.frames} frames of rooms it has never seen")
    print(f"labelled with {made.backend}: mIoU {made.miou:.4f} on these frames")
    print(f"picture: {made.picture}")
    print(f"took {made.seconds:.0f} s; next:\n")
    for command in following:
        print(f"  {command}")


def make_demo(out: Path, *, progress: Callable[[str], None] = lambda _: None) -> Demo:
    """Write the demo into the folder ``out``; an earlier one there is replaced.

    The same installation gives the same files, but for the seconds in ``demo.json``.

    Raises:
        InputFileError: This installation has no weights.
        OutputFileError: ``out`` cannot be written, or holds other people's frames.
    """
    started = perf_counter()
    checkpoint = shipped_checkpoint()
    _claim(out)
    bundle = out / "rgbd.fuseg"
    with foreign_prints_to_stderr():
        export_bundle(NetworkOptions("rgbd", checkpoint), bundle, progress=progress)
    progress("rendering frames")
    scenes = [render(seed, *CAMERA) for seed in ROOMS]
    segmenter = fuseg.load(bundle)
    output = segmenter.manifest.label_outputs[0]
    colors = [entry.color for entry in output.classes]
    for number, scene in enumerate(scenes):
        name = f"{number:04}.png"
        write_png(out / "rgb" / name, scene.color)
        write_png(out / "depth" / name, scene.depth)
        write_labels(out / "truth" / name, scene.labels, colors)
    progress("labelling")
    labels = [segmenter(rgb=s.color, depth=s.depth).labels for s in scenes]
    picture = out / "overlay.png"
    write_png(picture, _picture(scenes[:PICTURE_ROWS], labels, output))
    made = Demo(
        folder=str(out),
        bundle=str(bundle),
        digest=segmenter.bundle.digest,
        frames=len(scenes),
        miou=_miou(scenes, labels, output),
        backend=segmenter.backend_name,
        picture=str(picture),
        seconds=perf_counter() - started,
    )
    _record(out, asdict(made))
    return made


def next_commands(made: Demo) -> list[str]:
    """What a newcomer types next, ready for a shell."""
    folder = Path(made.folder)
    inputs = [
        "--input",
        f"rgb={folder / 'rgb'}",
        "--input",
        f"depth={folder / 'depth'}",
    ]
    return [
        shlex.join(words)
        for words in (
            ["fuseg", "run", made.bundle, *inputs, "--out", f"{folder / 'labelled'}"],
            ["fuseg", "verify", made.bundle, *inputs, "--truth", f"{folder / 'truth'}"],
            ["fuseg", "bench", made.bundle],
        )
    ]


def shipped_checkpoint() -> Path:
    """The trained weights of the reference model ``rgbd``.

    Raises:
        InputFileError: They are neither in this package nor beside it in a checkout.
    """
    file = shipped_weights("rgbd")
    if file is None:
        raise InputFileError(
            "rgbd.safetensors is missing from this installation: it is in fuseg's "
            "wheel, and in its source under export/checkpoints."
        )
    return file


def _claim(out: Path) -> None:
    """Make ``out`` the demo's, unless it has frames that the demo did not write."""
    for name in _FOLDERS:
        if (out / name).exists() and not (out / _RECORD).exists():
            raise OutputFileError(
                f"--out must be a new folder or one of an earlier demo, got {out}, "
                f"where {name} is something else: give another folder."
            )
    _record(out, {"made_by": f"fuseg {fuseg.__version__} demo"})


def _record(out: Path, value: object) -> None:
    write_file(out / _RECORD, (jsonlib.dumps(value, indent=1) + "\n").encode())


def _miou(
    scenes: list[Scene], labels: list[NDArray[np.uint8]], of: SegmentationOutput
) -> float:
    count = len(of.classes)
    table = np.zeros((count, count), np.int64)
    for scene, ours in zip(scenes, labels, strict=True):
        table += metrics.confusion(scene.labels, ours, count, of.ignore)
    return float(metrics.miou(table))


def _picture(
    scenes: list[Scene], labels: list[NDArray[np.uint8]], output: SegmentationOutput
) -> NDArray[np.uint8]:
    """A row a scene: colour, depth, truth, labels."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(output.classes)] = [entry.color for entry in output.classes]
    shown = [(scene.labels, ours) for scene, ours in zip(scenes, labels, strict=False)]
    rows = []
    for scene, maps in zip(scenes, shown, strict=True):
        near = 255 * (1 - 0.85 * np.clip(scene.depth / FARTHEST_MM, 0, 1))
        gray = np.where(scene.depth > 0, near, 0).astype(np.uint8)
        painted = [
            fuseg.ops.overlay(m, palette=palette, frame=scene.color, alpha=ALPHA)
            for m in maps
        ]
        panes = [scene.color, np.repeat(gray[..., None], 3, axis=2), *painted]
        rows.append([_half(pane) for pane in panes])
    titles = ["colour", "depth (near is bright)", "truth", "labels by fuseg"]
    flat = [label_map for pair in shown for label_map in pair]
    return with_legend(sheet(titles, rows), output.classes, flat)


def _half(pane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pane).reduce(2), np.uint8)
