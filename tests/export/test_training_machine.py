"""Networks that want a GPU, download weights or change what they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fuseg.bundle import Bundle
from fuseg_export.network.training_machine import StayOnCpu

MORE = '''
from torch.hub import load_state_dict_from_url as fetch
from torch.utils import model_zoo

class OnAGpu(TwoInputs):
    def __init__(self):
        super().__init__()
        self.cuda()
        self.color = self.color.to("cuda:0", torch.float32)
    def forward(self, color, depth):
        one = torch.ones(1, device="cuda") + torch.zeros(1, device=torch.device("cuda"))
        return super().forward(color.cuda(), depth.to("cuda", non_blocking=True) * one)

class Pooled6(OnAGpu):
    """Only torch's newer exporter takes this pool."""
    def forward(self, color, depth):
        scores = super().forward(color, depth)["out"]
        pooled = F.adaptive_avg_pool2d(scores, (7, 9))
        return scores + F.interpolate(pooled, scores.shape[2:], mode="bilinear")

class InPlace(TwoInputs):
    def forward(self, color, depth):
        depth *= 0.5
        color.sub_(0.25)
        return super().forward(color, depth)

def pretrained():
    network = TwoInputs()
    network.load_state_dict(fetch("https://example.org/one.pth", progress=False))
    kept = {n: t for n, t in model_zoo.load_url("https://example.org/two.pth").items()}
    network.color.load_state_dict(kept, strict=True)
    return network
'''


@pytest.fixture
def exported(export_two, home, monkeypatch):
    """``exported(target)``: labels of the first sample, and what was adapted."""
    path = home / "foreign.py"
    path.write_text(path.read_text() + MORE)

    def refuse(*_, **__):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)

    def labels(target):
        export_two(target=f"foreign:{target}")
        made = Bundle.open(home / "out" / "two.fuseg")
        adapted = made.manifest.provenance["adapted"]
        return made.samples()[0][1]["labels"], " ".join(adapted)

    return labels


def test_what_wants_a_gpu_stays_on_the_cpu(exported):
    plain, said = exported("TwoInputs")
    assert "CPU" not in said
    labels, said = exported("OnAGpu")
    np.testing.assert_array_equal(labels, plain)
    assert "the factory moves tensors to a GPU: they stayed on the CPU" in said
    assert "forward moves tensors to a GPU: they stayed on the CPU" in said
    _, said = exported("Pooled6")
    assert "forward moves tensors to a GPU" in said


def test_pretrained_weights_are_not_downloaded(exported):
    plain, _ = exported("TwoInputs")
    labels, said = exported("pretrained")
    np.testing.assert_array_equal(labels, plain)
    assert "(https://example.org/one.pth, https://example.org/two.pth)" in said
    with pytest.raises(AssertionError, match="nothing may be downloaded"):
        torch.hub.load_state_dict_from_url("https://example.org/never.pth")


def test_who_changes_its_inputs_gets_copies(exported):
    plain, _ = exported("TwoInputs")
    labels, said = exported("InPlace")
    assert "forward changes rgb, depth in place: it gets copies" in said
    assert (labels != plain).any()


def test_only_a_gpu_is_another_device():
    with StayOnCpu() as watched:
        torch.ones(2, device="cpu").to(torch.float64).to(torch.ones(1))
        assert not watched.used
        assert torch.zeros(2, device=0).device.type == "cpu"
        assert watched.used
