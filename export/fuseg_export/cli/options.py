"""Options of ``fuseg export`` that no other command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..network.outputs import LAYOUTS
from ..precision.calibrate import METHODS
from ..precision.options import Budget
from ..to_onnx import EXPORTERS

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A reference model (see fuseg models), package.module:factory, an ONNX "
        "file, a torch.export archive (.pt2), a folder of transformers, or a library's "
        "network: smp:NAME, torchvision:NAME.",
        show_default=False,
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The trained weights: safetensors, or a state dict of torch.save. Needed "
        "unless the target is a file or folder that holds them.",
        show_default=False,
    ),
]
WeightsKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY.KEY",
        help="Where in the checkpoint the weights are, if it holds several dicts of "
        "them.",
        show_default="state_dict, model, ..., or the only one",
    ),
]
IgnoreWeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Names in the checkpoint to leave out, as in 'criterion.*'. Can be "
        "repeated.",
        show_default=False,
    ),
]
OwnLoadOption = Annotated[
    bool,
    typer.Option(
        "--own-load-state-dict",
        help="Let the network's own load_state_dict rename what the checkpoint holds.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="BUNDLE",
        help="The bundle to write.",
        show_default=False,
    ),
]
NetworkInputOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND:SIZE",
        help="An input of your own network, in the order of forward's arguments: "
        "name, kind (color, depth, thermal, range or plane) and the network's size, as "
        "in rgb=color:480x640, or thermal=thermal:480x640:uint8 where its frames are "
        "of another type; a text of so many tokens, as in prompt=text:16; or "
        "sound, as bands and frames or as samples: sound=audio:80x100, "
        "sound=audio:16000.",
        show_default=False,
    ),
]
ArgOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="An argument of the factory, as in n_class=9: a number, true, false, "
        "null, a list or an object as in JSON, or a text; @package.module:name is what "
        "that module has by this name. Can be repeated.",
        show_default=False,
    ),
]
CallOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="How forward takes its inputs: positional, list, dict (by their names) or "
        "keywords.",
        show_default="positional",
    ),
]
ConstantOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="What forward takes beside its inputs, always the same, as in --arg, or "
        "@FILE.npy for a tensor: in the dict with --call dict, else as a keyword "
        "argument. Can be repeated.",
        show_default=False,
    ),
]
FreezeRandomOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="SEED",
        help="Make constants of the random numbers that forward draws in every call: "
        "those of this seed.",
        show_default=False,
    ),
]
StackOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Inputs that the network takes as one tensor, in this order.",
        show_default=False,
    ),
]
SplitOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="An input that is slower than others: what depends on it alone becomes a "
        "graph of its own, which runs only for its new frames. Can be repeated.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND:PATH",
        help="An output: its name, its kind, and where it is in what the network "
        "returns, as in scene=classes:1 or labels=segmentation:semantic.out. Can be "
        "repeated. KEY alone is the one segmentation.",
        show_default="labels=segmentation, of out or logits",
    ),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(LAYOUTS),
        help="How the network returns its outputs: nhwc is (1, h, w, C), chw is "
        "(C, h, w).",
        show_default="nchw",
    ),
]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH[:CxHxW]",
        help="A tensor that the network takes after its inputs and whose next value it "
        "returns at PATH; without a shape forward must take None in its place. Can be "
        "repeated.",
        show_default=False,
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|A,B,C",
        help="Class names: separated by commas, or a file with one per line.",
        show_default="class_0, class_1, ...",
    ),
]
SpecOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='JSON that overrides the inputs\' defaults: {"inputs": {"depth": '
        '{"unit": "0.1mm", "scale": 0.0001}}}; also "outputs", "states", "classes" and '
        '"ignore".',
        show_default=False,
    ),
]
FramesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH",
        help="Frames to verify on: for each input a file, a folder, or a quoted "
        "pattern. The first two become the bundle's samples.",
        show_default="rendered rooms",
    ),
]
OpsetOption = Annotated[
    int, typer.Option(help="ONNX opset; 17 is the newest that TensorRT 8.6 reads.")
]
ExporterOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(EXPORTERS),
        help="Only this exporter of torch.",
        show_default="torchscript; dynamo where that fails",
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        metavar="A,B|auto",
        help="Variants besides fp32: fp16, int8, or both, separated by a comma; "
        "auto makes all and drops those that lose too much or are not faster.",
    ),
]
CalibrationOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH",
        help="Frames to calibrate INT8 on, for each input, as --frames; not the "
        "same ones, which the variants are evaluated on.",
        show_default="rendered rooms, or --frames",
    ),
]
CalibrationMethodOption = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help=f"One of {', '.join(METHODS)}.",
        show_default="minmax",
    ),
]
CalibrationCacheOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Cache the ranges here, for the same network and frames.",
        show_default=False,
    ),
]
TruthOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="True labels of --frames: fp32 and the variants are scored on them, "
        "and variants must keep their mIoU, too.",
        show_default=False,
    ),
]
MaxMiouDropOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="How much mIoU a variant may lose, and each class four times as much; "
        "layers go back to float until it does not lose more.",
        show_default=str(Budget.miou_drop),
    ),
]
MinAgreementOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Where no truth is known: the share of labels of a variant that must be "
        "fp32's.",
        show_default=str(Budget.agreement),
    ),
]
RobustnessOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="FRAMES",
        help="How many frames with true labels the bundle's robustness card is "
        "measured on: every set of sensors, lost pixels and noise. 0 leaves it out.",
        show_default="8, where true labels are known",
    ),
]
CheckTensorrtOption = Annotated[
    bool | None,
    typer.Option(
        "--check-tensorrt/--no-check-tensorrt",
        help="Build each variant for TensorRT with TensorRT for RTX, which needs no "
        "GPU.",
        show_default="where fuseg[tensorrt-rtx] is installed",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write an HTML page: stages, variants, IoU of each class if there is "
        "truth, and frames with their labels.",
        show_default=False,
    ),
]
