"""Networks that hear, remember, know two styles or have three sensors, as bundles."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import fuseg
from fuseg.errors import FusegError
from fuseg_export.frames.selection import FrameOptions
from fuseg_export.models import REFERENCE
from fuseg_export.network.target import NetworkOptions
from fuseg_export.pipeline import export_bundle

NAMES = ("sound", "video", "domains", "hot-rgb-depth-thermal", "kinds-rgb-range")


@pytest.fixture
def exported(tmp_path, quick):
    """``exported(name)``: the network, whose labels vary, and its bundle, loaded."""
    del quick

    def export(name, **options):
        torch.manual_seed(3)
        network = REFERENCE[name].network().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var *= 0.5
        for head in network.modules():
            if isinstance(head, nn.Conv2d) and head.out_channels in (6, 7):
                head.weight.data -= head.weight.data.mean(1, keepdim=True)
                head.weight.data *= 20
        if name == "sound":
            network.bias.bias.data += 0.05
        weights = tmp_path / "weights.safetensors"
        save_file(network.state_dict(), weights)
        given = NetworkOptions(target=name, checkpoint=weights, **options)
        export_bundle(given, tmp_path / "b.fuseg", frames=FrameOptions())
        return network, fuseg.load(tmp_path / "b.fuseg", backend="onnxruntime")

    return export


def frames_of(name, count):
    model = REFERENCE[name]
    dataset = model.scenes(model.inputs, range(count))
    return [dataset[number].given for number in range(count)]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "video"])
def test_a_bundle_labels_as_torch_does(exported, name):
    network, segmenter = exported(name)
    (graph,) = segmenter.manifest.graphs
    assert graph.networks["fp32"].opset == 17  # what TensorRT 8.6 reads
    order = REFERENCE[name].given.tensors
    seen = set()
    for given in frames_of(name, 2):
        tensors = segmenter.preprocess(**given)
        with torch.inference_mode():
            made = network(*(torch.tensor(tensors[tensor]) for tensor in order))
        made = made if isinstance(made, tuple) else (made,)
        result = segmenter(**given)
        for output, scores in zip(segmenter.manifest.outputs, made, strict=True):
            found = result[output.name]
            if output.kind == "classes":
                wanted = scores[0].softmax(0).numpy()
                np.testing.assert_allclose(found.scores, wanted, atol=1e-5)
                continue
            one = scores.shape[1] == 1
            wanted = (scores[0, 0] > 0 if one else scores[0].argmax(0)).numpy()
            assert np.mean(found.labels == wanted) > 0.999
            seen |= set(np.unique(found.labels).tolist())
    assert len(seen) > 1


def test_a_video_remembers_until_it_is_reset(exported):
    network, segmenter = exported("video")
    frames = frames_of("video", 3)
    memory = torch.zeros(1, network.channels, 24, 32)
    first = segmenter(**frames[0]).labels
    segmenter.reset()
    for given in frames:
        (tensor,) = segmenter.preprocess(**given).values()
        with torch.inference_mode():
            scores, memory = network(torch.tensor(tensor), memory)
        labels = segmenter(**given).labels
        assert np.mean(labels == scores[0].argmax(0).numpy()) > 0.999
    again = segmenter(**frames[0]).labels
    assert (again != first).any()
    segmenter.reset()
    np.testing.assert_array_equal(segmenter(**frames[0]).labels, first)


def test_a_video_that_changes_its_size_starts_anew(exported):
    """As docs/bundle.md says of states: it may be another camera."""
    _, segmenter = exported("video")
    *before, last = (given["rgb"] for given in frames_of("video", 6))
    alone = segmenter(rgb=last).labels
    larger = last.repeat(2, 0).repeat(2, 1)  # resized, it is the same again
    for frame, starts_anew in ((last, False), (larger, True)):
        segmenter.reset()
        for earlier in before:
            segmenter(rgb=earlier)
        labels = segmenter(rgb=frame, size=(96, 128)).labels
        assert np.array_equal(labels, alone) == starts_anew


def test_a_state_of_another_shape_is_refused_in_one_sentence(exported, tmp_path):
    said = {"tensor": "memory", "output": 1, "shape": [48, 10, 10]}
    (tmp_path / "spec.json").write_text(json.dumps({"states": [said]}))
    with pytest.raises(FusegError) as refused:
        exported("video", spec=tmp_path / "spec.json")
    sentence = str(refused.value)
    assert "memory (1, 48, 10, 10)" in sentence
    assert sentence.count(". ") == 0
