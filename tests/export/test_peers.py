"""The peers do what one would have written, and label as the bundle does."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fuseg
from fuseg.bundle import Bundle
from fuseg.errors import CheckpointError
from fuseg_export.frames import frame_set
from fuseg_export.network.target import NetworkOptions
from fuseg_export.passes import simplify as simplify_room
from fuseg_export.passes.restore_tail import with_tail
from fuseg_export.peers import make_peers
from fuseg_export.pipeline import export_bundle
from fuseg_export.reference import preprocess

SIZE = (120, 160)
INPUTS = ("rgb=color:120x160", "depth=depth:120x160")


class Net(nn.Module):
    """Labels by the mean colour and distance around; ``end`` makes the output."""

    def __init__(self, end=lambda x: x, classes=4, planes=(3, 1)):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.convs = nn.ModuleList(nn.Conv2d(p, classes, 5, 4, 2) for p in planes)
        for conv, count in zip(self.convs, planes, strict=True):
            mix = torch.randn(classes, count, 1, 1, generator=generator)
            conv.weight.data = mix.expand(conv.weight.shape) / 25
            # Colours are around 0 already; distances are around 3 m, the last plane.
            conv.bias.data = -3 * mix[:, -1].flatten() * (count != 3)
        self.end = end

    def forward(self, *tensors):
        x = sum(conv(t) for conv, t in zip(self.convs, tensors, strict=True))
        return self.end(F.interpolate(x, SIZE, mode="bilinear", align_corners=True))


def logits():
    return Net()


def as_dict():
    return Net(lambda x: {"main": x, "aux": x[:, :1]})


def labels():
    return Net(lambda x: x.softmax(1).argmax(1))


def one_class():
    return Net(lambda x: x.sigmoid(), classes=1)


def stacked():
    return Net(planes=(4,))


ALL = {
    "logits": {},
    "as_dict": {"outputs": ["main"]},
    "labels": {},
    "one_class": {},
    "stacked": {"stacks": ["rgb,depth"]},
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Of each network above a bundle and its checkpoint; simplified by nothing."""
    folder = tmp_path_factory.mktemp("peers")
    made = {}
    copy = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_set, "STAGE_FRAMES", 1)
        patch.setattr(simplify_room, "_CHILD", copy)
        patch.setitem(sys.modules, "peers_of_this_test", sys.modules[__name__])
        for name, words in ALL.items():
            checkpoint, out = folder / f"{name}.pth", folder / f"{name}.fuseg"
            torch.save(globals()[name]().state_dict(), checkpoint)
            target = f"peers_of_this_test:{name}"
            network = NetworkOptions(target, checkpoint, inputs=INPUTS, **words)
            export_bundle(network, out)
            made[name] = out, checkpoint, target
        yield made


def peers_of(bundle, checkpoint=None, target=None):
    before = torch.get_num_threads()
    try:
        peers = make_peers(
            bundle, threads=1, torch_target=target, checkpoint=checkpoint
        )
    finally:
        torch.set_num_threads(before)
    return {peer.name: peer for peer in peers}


@pytest.mark.parametrize("name", ALL)
def test_both_peers_label_as_the_bundle_does_at_the_camera_s_size(bundles, name):
    path, checkpoint, target = bundles[name]
    peers = peers_of(path, checkpoint, target)
    assert list(peers) == ["opencv+numpy+onnxruntime", "pytorch"]
    segmenter = fuseg.load(path)
    for frames, _ in segmenter.bundle.samples():
        ours = segmenter(**frames).labels
        assert len(np.unique(ours)) > 1
        for peer in peers.values():
            theirs = peer.call(frames)
            assert (theirs.dtype, theirs.shape) == (np.uint8, (480, 640))
            assert np.mean(theirs == ours) >= 0.98  # they enlarge labels by nearest


@pytest.mark.parametrize("name", ALL)
def test_the_peers_preprocess_as_the_manifest_says(bundles, name):
    path, checkpoint, target = bundles[name]
    bundle = Bundle.open(path)
    ((frames, _),) = bundle.samples()
    expected = preprocess(bundle.manifest.inputs, frames)
    for peer in peers_of(path, checkpoint, target).values():
        tensors = peer.pre(frames)
        if isinstance(tensors, dict):
            assert list(tensors) == list(expected)
            tensors = list(tensors.values())
        for given, wanted in zip(tensors, expected.values(), strict=True):
            # OpenCV rounds resized bytes: half a step of 255, over the smallest std.
            step = 0.51 / 255 / 0.22
            np.testing.assert_allclose(np.asarray(given), wanted, atol=step)


def test_floats_without_a_reading_are_filled(bundles):
    path, checkpoint, target = bundles["logits"]
    peers = peers_of(path, checkpoint, target)
    ((frames, _),) = Bundle.open(path).samples()
    frames = frames | {"depth": frames["depth"].astype(np.float32)}
    frames["depth"][:240] = np.nan
    for peer in peers.values():
        tensors = peer.pre(frames)
        depth = tensors["depth"] if isinstance(tensors, dict) else tensors[1]
        assert (np.asarray(depth)[0, 0, :60] == 0).all()
        assert np.isfinite(np.asarray(depth)).all()


@pytest.mark.parametrize("name", ["logits", "labels", "one_class"])
def test_the_tail_is_back_in_the_recipe_s_graph(bundles, name):
    path, _, _ = bundles[name]
    bundle = Bundle.open(path)
    (output,) = bundle.manifest.outputs
    model = with_tail(bundle.read("fp32.onnx"), output)
    onnx.checker.check_model(model, full_check=True)
    ends = {
        "logits": ["Resize", "ArgMax"],
        "labels": ["Resize", "Softmax", "ArgMax"],
        "one_class": ["Resize", "Sigmoid", "Greater"],
    }
    assert [node.op_type for node in model.graph.node][-len(ends[name]) :] == ends[name]

    ((frames, _),) = bundle.samples()
    tensors = preprocess(bundle.manifest.inputs, frames)
    feed = {n: t.astype(np.float32) for n, t in tensors.items()}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (made,) = session.run(None, feed)
    with torch.inference_mode():
        returned = globals()[name]()(*(torch.from_numpy(t) for t in feed.values()))
    if name == "logits":
        returned = returned.argmax(1)
    if name == "one_class":
        returned = returned > 0.5
    agree = made.reshape(SIZE) == returned.reshape(SIZE).numpy()
    assert agree.mean() >= 0.9995


def test_without_opencv_the_recipe_says_what_to_install(bundles, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    recipe = peers_of(bundles["logits"][0])["opencv+numpy+onnxruntime"]
    assert recipe.call is None
    assert recipe.unavailable == (
        "OpenCV is not installed: pip install opencv-python-headless."
    )


def test_without_a_target_pytorch_says_what_to_give(bundles):
    peer = peers_of(bundles["logits"][0])["pytorch"]
    assert peer.call is None
    assert peer.unavailable == "give --torch TARGET and --checkpoint FILE."


def test_a_checkpoint_of_another_network_is_refused(bundles):
    path, _, target = bundles["logits"]
    with pytest.raises(CheckpointError, match="does not fit the network"):
        peers_of(path, bundles["stacked"][1], target)
