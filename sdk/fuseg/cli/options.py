"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A .fuseg file.", show_default=False)
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=PATH",
        help="A file, a folder, or a pattern with one star (in quotes), for each "
        "input of the bundle.",
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
        help="RGB or BGR: how the files hold colour, if not as usual.",
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
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout."),
]
