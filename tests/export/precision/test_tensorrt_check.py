"""What NVIDIA's builder says of the variants, and what follows from it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fuseg.backends.tensorrt import network_check
from fuseg.backends.tensorrt.network_check import NetworkCheck
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import BuildError
from fuseg_export.precision import tensorrt_check
from fuseg_export.precision.options import Budget, Precision

FOUND = NetworkCheck("TensorRT for RTX 9.9", 2_500_000, 95, 9_958_400, {}, (), 1.5)
FREE = Budget(miou_drop=1, class_drop=1, agreement=0.5)
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def refusing(monkeypatch):
    """``refusing(*kinds)``: a builder that takes all but these; what it was shown."""
    shown = []

    def install(*kinds):
        def check(_, precision, profile):
            assert profile == {}
            shown.append(precision["kind"])
            if precision["kind"] in kinds:
                raise BuildError("TensorRT cannot read the network: Conv c: too wide.")
            return FOUND

        monkeypatch.setattr(tensorrt_check, "check_network", check)
        monkeypatch.setattr(network_check, "can_check", lambda: True)
        return shown

    return install


def test_what_is_refused_stays_only_if_others_run_it(export_two, refusing):
    shown = refusing("fp16", "int8")
    asked = Precision(("fp32", "fp16", "int8"), budget=FREE)
    report = export_two(precision=asked, check_tensorrt=True)
    assert sorted(shown) == ["fp16", "fp32", "int8", "int8"]  # int8-cpu is for CPUs
    manifest = Bundle.open(report.bundle).manifest
    assert {v.name for v in manifest.variants} == {"fp32", "fp16", "int8-cpu"}
    refused = {v.name for v in report.variants if v.refused is not None}
    assert refused == {"int8-trt", "int8-trt8"}
    said = manifest.provenance
    assert said["tensorrt_check_of_fp32"] == (
        "TensorRT for RTX 9.9: 95 kernels, 9958400 bytes of activations"
    )
    assert said["tensorrt_check_of_fp16"].endswith("Conv c: too wide.")


def test_a_check_that_was_asked_for_needs_the_builder(export_two, monkeypatch):
    monkeypatch.setattr(network_check, "can_check", lambda: False)
    with pytest.raises(BuildError, match=r"pip install \"fuseg\[tensorrt-rtx\]\""):
        export_two(check_tensorrt=True)


@pytest.mark.usefixtures("check_network")
def test_an_operator_that_tensorrt_refuses_costs_only_its_own_variants(export_two):
    """The rules refuse what is for TensorRT alone, the real builder the rest."""
    asked = Precision(("fp32", "int8"), budget=FREE)
    report = export_two(target="foreign:Dilated", precision=asked, check_tensorrt=True)
    said = {v.name: v.tensorrt_refused for v in report.variants}
    assert said.pop("int8-cpu") is None
    assert sorted(said) == ["fp32", "int8-trt", "int8-trt8"]
    for sentence in said.values():
        assert "MaxPool" in sentence
        assert "/network/MaxPool" in sentence
        assert sentence.count("dilations") == 1
    assert said["fp32"] == (
        "TensorRT cannot read the network: MaxPool node /network/MaxPool: This version "
        "of TensorRT does not support dilations other than 1."
    )
    manifest = Bundle.open(report.bundle).manifest
    assert {v.name for v in manifest.variants} == {"fp32", "int8-cpu"}


@pytest.mark.parametrize("installed", [False, True])
def test_without_a_word_variants_are_checked_where_the_builder_is(
    monkeypatch, installed
):
    monkeypatch.setattr(tensorrt_check, "can_check", lambda: installed)
    assert tensorrt_check.is_to_check(None) is installed
    assert tensorrt_check.is_to_check(False) is False


def test_the_command_prints_plan_kernels_and_memory(home, refusing):
    refusing()
    words = ["export", "foreign:TwoInputs", "--checkpoint", str(home / "two.pth")]
    words += ["-o", str(home / "two.fuseg"), "--check-tensorrt"]
    words += ["--input", "rgb=color:48x64", "--input", "depth=depth:48x64"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "plan 2.5 MB, 95 kernels, activations 10.0 MB" in done.output
    done = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(done.stdout)["variants"][0]["tensorrt"]["kernels"] == 95
