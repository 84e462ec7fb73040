"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import backends
from ..backends import registry
from ..errors import ArgumentError

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A .fuseg file.", show_default=False)
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=PATH",
        help="A file, a folder, or a pattern (in quotes), for each input of the "
        "bundle: * stands for a part of one name, ** for any folders.",
        show_default=False,
    ),
]
PairOption = Annotated[
    str,
    typer.Option(
        "--pair",
        metavar="name|stamp",
        help="Files are one frame if what the stars stand for (in a folder, the name "
        "without suffix) is equal: name; or if it is a time, and the nearest: stamp.",
    ),
]
SlopOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="How far apart two stamps of --pair stamp may be: 20ms, 0.05s, or in the "
        "names' own unit.",
        show_default="20ms",
    ),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The input whose frames get partners with --pair stamp.",
        show_default="the first --input",
    ),
]
PlaneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plane",
        metavar="NAME=CHANNEL",
        help="Which channel of its image files is a sensor's: R, G, B, A or L; or RGB, "
        "the colours of files whose fourth channel is another sensor's.",
        show_default=False,
    ),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--unit",
        metavar="NAME=UNIT",
        help="What one step of the files' values is, such as depth=0.1mm.",
        show_default=False,
    ),
]
ChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        metavar="NAME=ORDER",
        help="RGB, BGR, RGBA, BGRA or GRAY: how the files hold colour, if not as "
        "usual.",
        show_default=False,
    ),
]
MissingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="NAME=POLICY",
        help="What to do where an input has no file, or one without a valid pixel: "
        "refuse, or substitute the value that the bundle has for that. By default as "
        "the bundle says; nothing is held from one file to the next.",
        show_default=False,
    ),
]
TruthMapOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What the ids in the label maps mean, if they are no class indices: "
        "lines such as '33 = bicycle', '1-40 = 0-39', '0 = ignore' or '* = ignore', "
        "with a class's name or index on the right; or a JSON object of the same.",
        show_default=False,
    ),
]
AlphaOption = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Weight of the classes' colours in the overlay."
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of the engine.", show_default="its own choice"),
]
NoSpinningOption = Annotated[
    bool,
    typer.Option(
        "--no-spinning",
        help="Let the engine's waiting threads sleep, not keep their cores busy.",
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        help="The engine: tensorrt, onnxruntime-cuda, onnxruntime, openvino, or auto, "
        "the fastest by fuseg tune, else the first of these that works here."
    ),
]
DeviceOption = Annotated[
    int, typer.Option(min=0, help="Which GPU, counted as CUDA does.")
]
VariantOption = Annotated[
    str | None,
    typer.Option(help="A variant of the bundle, such as fp32.", show_default=False),
]
TrustOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHA256|KEYFILE",
        help="Digest that the bundle must have, or the public Ed25519 key (PEM) that "
        "signed it. Its first run then needs no process of its own.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout."),
]


def require_device(backend: str, device: int) -> None:
    """Refuse a GPU other than the first one where none such can be used.

    Raises:
        ArgumentError: The backend runs on the CPU, or there are fewer GPUs.
    """
    if not device:
        return
    if backend in backends.KNOWN and backend not in ("auto", *registry.GPU_ENGINES):
        raise ArgumentError(
            f"--device must be left out with --backend {backend}, which runs on the "
            f"CPU, got {device}."
        )
    count = registry.count()
    if device >= count:
        raise ArgumentError(
            f"--device must be one of the {count} GPUs that fuseg can use here, from 0 "
            f"on, got {device}: `fuseg doctor` says more."
        )
