"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
        help="For each input of the bundle a file, a folder, or a quoted pattern: "
        "* matches part of one name, ** any folders.",
        show_default=False,
    ),
]
MatchOption = Annotated[
    str,
    typer.Option(
        "--match",
        metavar="name|stamp",
        help="Which files form one frame set. name: equal star parts (in a folder, "
        "equal names without suffix); stamp: nearest in time.",
    ),
]
SlopOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="With --match stamp, how far apart two stamps may be: 20ms, 0.05s, or a "
        "number in the names' own unit.",
        show_default="20ms",
    ),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --match stamp, the input that the others are matched to.",
        show_default="the first --input",
    ),
]
PlaneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plane",
        metavar="NAME=CHANNEL",
        help="The channel of the image files that belongs to a sensor: R, G, B, A or "
        "L; or RGB, for files whose fourth channel belongs to another sensor.",
        show_default=False,
    ),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--unit",
        metavar="NAME=UNIT",
        help="The unit of the files' values, such as depth=0.1mm.",
        show_default=False,
    ),
]
ChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        metavar="NAME=ORDER",
        help="How the files store colour, if not in the usual order: RGB, BGR, RGBA, "
        "BGRA or GRAY.",
        show_default=False,
    ),
]
MissingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="NAME=POLICY",
        help="What to do if an input has no file, or one without a valid pixel: "
        "refuse, or substitute the bundle's fill value. By default the bundle decides; "
        "nothing is held from one frame to the next.",
        show_default=False,
    ),
]
TruthMapOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What the ids in the label maps mean, if they are not class indices: "
        "lines such as '33 = bicycle', '1-40 = 0-39', '0 = ignore' or '* = ignore', "
        "with a class name or index on the right; or the same as a JSON object.",
        show_default=False,
    ),
]
AlphaOption = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, help="Weight of the class colours in the overlay."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of the backend.", show_default="its own choice"),
]
NoSpinningOption = Annotated[
    bool,
    typer.Option(
        "--no-spinning",
        help="Let the backend's waiting threads sleep instead of keeping cores busy.",
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        help=f"{', '.join(registry.KNOWN[1:])}, or auto: the fastest according to "
        "fuseg tune, else the first of these that works here."
    ),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=TEXT",
        help="A text for this input, as in prompt='a red chair'; again for several.",
    ),
]
RateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=HZ",
        help="Samples a second of this microphone, if not those of the bundle.",
    ),
]
DeviceOption = Annotated[
    int, typer.Option(min=0, help="Number of the GPU, as CUDA counts.")
]
VariantOption = Annotated[
    str | None,
    typer.Option(help="A variant of the bundle, such as fp32.", show_default=False),
]
TrustOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHA256|KEYFILE",
        help="The sha256 that the bundle must have, or the public Ed25519 key (PEM) "
        "that signed it. A trusted bundle needs no separate process for its first run.",
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
    if backend in [info.name for info in registry.CPU]:
        raise ArgumentError(
            f"--device must be left out with --backend {backend}, which runs on the "
            f"CPU, got {device}."
        )
    count = registry.gpu_count()
    if device >= count:
        raise ArgumentError(
            f"--device must be one of the {count} GPUs that fuseg can use here, from 0 "
            f"on, got {device}: `fuseg doctor` says more."
        )
