"""docs/recipes: from a family's files to its tensors and labels, as its loader does it.

Each definition is that loader in our words: float64, at the network's own size, where
no loader resizes. The files lie where the page's command says.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer.main
from PIL import Image

import fuseg
from fuseg.cli.training_half import load
from fuseg.dataset.label_ids import TruthReader
from fuseg_export.frames.files import FileDataset, FileOptions
from fuseg_export.frames.packing import Packer
from fuseg_export.network.inputs import read_inputs
from fuseg_export.network.spec import read_spec

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
INDOOR = (
    np.array([0.4850042694973687, 0.41627756261047333, 0.3981809741523051]),
    np.array([0.26415541082494515, 0.2728415392982039, 0.2831175140191598]),
)
RNG = np.random.default_rng(0)


def normalised(pixels, mean, std):
    """(H, W) or (H, W, C) of 0 to 255 as (C, H, W)."""
    values = (np.atleast_3d(pixels).astype(np.float64) / 255 - mean) / std
    return np.moveaxis(values, -1, 0)


def from_1(ids):
    """``gt - 1`` of uint8: 0 becomes 255."""
    return (ids.astype(np.uint8) - np.uint8(1)).astype(np.uint8)


def as_they_are(ids):
    return ids


# What OpenCV reads, BGR, whatever its second argument says; what Pillow reads, RGB.
def bgr(path):
    return cv2.imread(str(path), cv2.COLOR_BGR2RGB)


def rgb(path):
    return np.asarray(Image.open(path))


def millimetres(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float64)


def tripled(path):
    return np.dstack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)] * 3)


def esanet(files):
    return {
        "rgb": normalised(rgb(files["rgb"]), *IMAGENET),
        "depth": (millimetres(files["depth"])[None] - 2841.94941272766)
        / 1417.2594281672277,
    }


def cmx_nyuv2(files):
    return {n: normalised(bgr(files[n]), *IMAGENET) for n in ("rgb", "hha")}


def cmx_mfnet(files):
    return {
        "rgb": normalised(bgr(files["rgb"]), *IMAGENET),
        "thermal": normalised(tripled(files["thermal"]), *IMAGENET),
    }


def dformer(files):
    return {
        "rgb": normalised(bgr(files["rgb"]), *IMAGENET),
        "depth": normalised(tripled(files["depth"]), 0.48, 0.28),
    }


def cmnext(files):
    others = {n: normalised(rgb(files[n]), 0, 1) for n in ("depth", "event", "lidar")}
    return {"img": normalised(rgb(files["img"]), *IMAGENET), **others}


def mfnet(files):
    return {"rgb_thermal": normalised(rgb(files["rgb"]), 0, 1)}  # RGBA


def sgfnet(files):
    heat = Image.open(files["thermal"]).convert("RGB")
    return {
        "rgb": normalised(rgb(files["rgb"]), *IMAGENET),
        "thermal": normalised(np.asarray(heat), 0.449, 0.226),
    }


def metres(depth):
    return (depth[None] - 2.8424503515351494) / 0.9932836506164299


def acnet(files):
    return {
        "rgb": normalised(np.load(files["rgb"]), *INDOOR),
        "depth": metres(np.load(files["depth"]).astype(np.float64)),
    }


def asymformer(files):
    return {
        "rgb": normalised(rgb(files["rgb"]), *INDOOR),
        "depth": metres(millimetres(files["depth"]) / 1000),
    }


def asymformer_enhanced(files):
    depth = millimetres(files["depth"]) / 1000
    mask = depth > 1e-6
    low, high = np.quantile(depth[mask], [0.02, 0.98])
    middle, half = (low + high) / 2, (high - low) / 2 + 1e-6
    values = np.where(mask, (np.clip(depth, low, high) - middle) / half, 0)
    return {"rgb": normalised(rgb(files["rgb"]), *INDOOR), "depth": values[None]}


def rangenet(files):
    """Where there is no point theirs has -1, and multiplies with a mask."""
    scan = np.load(files["scan"]).astype(np.float64)
    mask = np.isfinite(scan[..., 0])
    scan = np.where(mask[..., None], scan, -1)
    mean, std = [12.12, 10.88, 0.23, -1.04, 0.21], [12.32, 11.47, 6.91, 0.86, 0.16]
    return {"scan": np.moveaxis((scan - mean) / std * mask[..., None], -1, 0)}


def imagenet(files):
    """torchvision's and transformers' own preprocessing, without their resizing."""
    return {"rgb": normalised(rgb(files["rgb"]), *IMAGENET)}


CITYSCAPES = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def cityscapes(ids):
    """The 19 classes of 34 ids, in their order."""
    found = np.full(ids.shape, 255, np.uint8)
    for index, id in enumerate(CITYSCAPES):
        found[ids == id] = index
    return found


def kitti(ids):
    """Without unlabeled, 0, which the evaluation leaves out."""
    known = {10: 1, 252: 1, 11: 2, 40: 9, 60: 9, 81: 19, 259: 5}
    return np.vectorize(lambda i: known.get(i, 255))(ids).astype(np.uint8)


def colours(size):
    return RNG.integers(0, 256, (*size, 3), np.uint8)


def four(size):
    return RNG.integers(0, 256, (*size, 4), np.uint8)


def heat(size):
    return RNG.integers(0, 256, size, np.uint8)


def depth16(size):
    depth = RNG.integers(300, 9000, size).astype(np.uint16)
    depth[:5], depth[-5:] = 0, 65535  # readings, for all of them
    return depth


def depth_m(size):
    return (depth16(size) / 1000).astype(np.float32)


def points(size):
    scan = RNG.normal(5, 10, (*size, 5)).astype(np.float32)
    scan[RNG.random(size) < 0.3] = np.nan
    return scan


NYU, DELIVER, MFNET = (from_1, 40), (from_1, 25), (as_they_are, 9)
FAMILIES = {
    "esanet-nyuv2": (esanet, {"rgb": colours, "depth": depth16}, NYU),
    "emsanet-nyuv2": (esanet, {"rgb": colours, "depth": depth16}, NYU),
    "rangenet-kitti": (rangenet, {"scan": points}, (kitti, 20)),
    "voc": (imagenet, {"rgb": colours}, (as_they_are, 21)),
    **dict.fromkeys(
        ("cityscapes", "mask2former-cityscapes"),
        (imagenet, {"rgb": colours}, (cityscapes, 19)),
    ),
    "cmx-nyuv2": (cmx_nyuv2, {"rgb": colours, "hha": colours}, NYU),
    "cmx-mfnet": (cmx_mfnet, {"rgb": colours, "thermal": heat}, MFNET),
    "dformer-nyuv2": (dformer, {"rgb": colours, "depth": heat}, NYU),
    "cmnext-deliver": (
        cmnext,
        dict.fromkeys(("img", "depth", "event", "lidar"), colours),
        DELIVER,
    ),
    "mfnet": (mfnet, {"rgb": four, "thermal": four}, MFNET),
    "sgfnet-mfnet": (sgfnet, {"rgb": colours, "thermal": heat}, MFNET),
    "acnet-nyuv2": (acnet, {"rgb": colours, "depth": depth_m}, NYU),
    "asymformer-enhanced-nyuv2": (
        asymformer_enhanced,
        {"rgb": colours, "depth": depth16},
        NYU,
    ),
    "asymformer-nyuv2": (asymformer, {"rgb": colours, "depth": depth16}, NYU),
}


def drawn_ids(label, count, size):
    if label is kitti:
        return RNG.choice([0, 1, 10, 11, 40, 52, 60, 81, 252, 259], size).astype(
            np.uint16
        )
    if label is cityscapes:
        return RNG.integers(0, 34, size).astype(np.uint8)
    first = 1 if label is from_1 else 0
    return RNG.integers(0, count + first, size).astype(np.uint8)


@dataclass
class Command:
    """What a page's line says of frames; the options that name them, and the spec."""

    inputs: tuple = ()
    stacks: tuple = ()
    sources: dict = field(default_factory=dict)
    planes: dict = field(default_factory=dict)
    truth: str = ""

    def write(self, made):
        """Files where it looks for them; the label map is as large as the first."""
        files = {}
        for name, source in {**self.sources, "truth": self.truth}.items():
            arrays = "float32" in str(self.inputs) or "plane" in str(self.inputs)
            path = Path(source.replace("*", "7"))
            path = path if path.suffix else path / ("7.npy" if arrays else "7.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".npy":
                np.save(path, made[name])
            elif not path.exists():  # two inputs may have one file
                Image.fromarray(made[name]).save(path)
            files[name] = path
        return files


def commands():
    """By the name of their spec."""
    found, alone = {}, typer.Typer(add_completion=False)
    alone.command("export")(load("export"))
    parser = typer.main.get_command(alone)
    for page in sorted(RECIPES.glob("*.md")):
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^fuseg export .*$", text, re.MULTILINE):
            said = parser.make_context("export", shlex.split(line)[2:]).params
            pairs = {
                key: dict(word.split("=", 1) for word in said[key] or ())
                for key in ("frames", "plane")
            }
            if not said["spec"]:
                continue
            found[Path(said["spec"]).stem] = Command(
                tuple(said["input"]),
                tuple(said["stack"] or ()),
                pairs["frames"],
                pairs["plane"],
                said["truth"],
            )
    return found


SAID = commands()


def test_every_spec_file_has_a_command_and_a_definition():
    assert set(SAID) == set(FAMILIES) == {path.stem for path in RECIPES.glob("*.json")}


@pytest.mark.parametrize("name", FAMILIES)
def test_files_become_the_family_s_tensors_and_labels(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    define, draw, (label, count) = FAMILIES[name]
    said, spec = SAID[name], read_spec(RECIPES / f"{name}.json")
    inputs = read_inputs(said.inputs, said.stacks, spec.inputs).pictures
    size = (inputs[0].resize.height, inputs[0].resize.width)
    made = {n: draws(size) for n, draws in draw.items()}
    made["truth"] = drawn_ids(label, count, size)
    files = said.write(made)
    dataset = FileDataset(
        inputs, said.sources, said.truth, files=FileOptions(planes=said.planes)
    ).with_truth(TruthReader(spec.classes, 255))
    frame = dataset[0]
    wanted = define(files)
    found = Packer(inputs, "--frames")(0, frame.arrays)
    assert list(found) == list(wanted), "the order of forward's arguments"
    for tensor, values in wanted.items():
        np.testing.assert_allclose(found[tensor][0], values, rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(frame.truth, label(made["truth"]))
    assert len(spec.classes) == count


def test_an_array_of_four_channels_is_colour_and_heat(make_bundle):
    """As docs/recipes/rgb-thermal.md says."""
    said, spec = SAID["mfnet"], read_spec(RECIPES / "mfnet.json")
    inputs = read_inputs(said.inputs, said.stacks, spec.inputs).pictures
    segmenter = fuseg.load(make_bundle(*inputs).path, channels={"rgb": "RGBA"})
    frame = four((480, 640))
    found = segmenter.preprocess(rgb=frame, thermal=np.ascontiguousarray(frame[..., 3]))
    wanted = np.moveaxis(frame / 255, -1, 0)
    np.testing.assert_allclose(found["rgb_thermal"][0], wanted, atol=1e-6)


def test_raw_depth_of_esanet_is_0_where_there_is_none():
    said, spec = SAID["esanet-nyuv2"], read_spec(RECIPES / "esanet-nyuv2.json")
    page = (RECIPES / "esanet.md").read_text()
    (told,) = set(re.findall(r'`"invalid":\s+(\[0\])`', page))
    raw = {
        **spec.inputs,
        "depth": {**spec.inputs["depth"], "invalid": json.loads(told)},
    }
    (_, depth) = read_inputs(said.inputs, said.stacks, raw).pictures
    frame = np.array([[0, 2842] * 320] * 480, np.uint16)
    found = Packer([depth], "--frames")(0, {"depth": frame})["depth"]
    assert (found[..., ::2] == 0).all()
    wanted = (2842 - 2841.94941272766) / 1417.2594281672277
    assert found[0, 0, 0, 1] == pytest.approx(wanted, abs=1e-6)
