"""A torch.export archive is a target; its weights are its own."""

from __future__ import annotations

import logging

import pytest
import torch

from fuseg.errors import ArgumentError, ExportError, InputFileError
from fuseg_export.network.target import NetworkOptions, resolve

SHAPES = ((1, 3, 48, 64), (1, 1, 48, 64))


@pytest.fixture
def archive(home, build_foreign):
    """``archive(name)``: the network of two inputs, as torch stores it."""

    def made(name="two.pt2", *, batch=1, mode="eval"):
        network = getattr(build_foreign("TwoInputs"), mode)()
        examples = tuple(torch.rand(batch, *shape[1:]) for shape in SHAPES)
        torch.export.save(torch.export.export(network, examples), home / name)
        return name

    return made


@pytest.mark.usefixtures("quick")
def test_the_bundle_labels_as_the_network_does(archive, export_two):
    report = export_two(target=archive(), checkpoint=None)
    last = report.stages[-1].result
    assert (last.against, last.label_agreement) == ("torch", 1)
    assert report.manifest.provenance["target"] == "two.pt2"
    assert report.manifest.name == "two"
    with pytest.raises(ArgumentError, match="--weights-key must be absent for two"):
        export_two(target="two.pt2", checkpoint=None, weights_key="ema")


@pytest.mark.usefixtures("quick")
def test_one_that_is_still_in_training_is_refused(archive, export_two):
    with pytest.raises(ExportError, match="statistics of the frame it is given"):
        export_two(target=archive(mode="train"), checkpoint=None)


@pytest.mark.usefixtures("quick")
def test_a_batch_is_refused(archive, export_two):
    with pytest.raises(ExportError, match=r"forward failed on .*size\(\)\[0\] == 2"):
        export_two(target=archive(batch=2), checkpoint=None)


def test_a_file_that_is_none_is_refused(home, caplog, monkeypatch):
    with pytest.raises(InputFileError, match=r"none\.pt2 cannot be read: No such"):
        resolve(NetworkOptions("none.pt2", inputs=["rgb=color:48x64"]))
    monkeypatch.setattr(logging.getLogger("torch.export"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("torch"), "propagate", True)
    (home / "two.pth").rename(home / "weights.pt2")
    with pytest.raises(InputFileError, match=r"archive of torch\.export\.save, wri"):
        resolve(NetworkOptions("weights.pt2", inputs=["rgb=color:48x64"]))
    assert not caplog.records  # torch would log a whole traceback
