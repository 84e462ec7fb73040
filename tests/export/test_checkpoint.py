"""Reading checkpoints: completely, as data only, or not at all."""

from __future__ import annotations

import hashlib
import os
import pickle
import re

import pytest
import safetensors.torch
import torch
from torch import nn

from fuseg.errors import CheckpointError, InputFileError
from fuseg_export.checkpoint import load_checkpoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)


def trained():
    """A state dict that no fresh network has."""
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(t.shape, generator=generator)
        if t.is_floating_point()
        else t + 5
        for name, t in Net().state_dict().items()
    }


def saved(tmp_path, content, **options):
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path, **options)
    return path


def assert_same(state, expected):
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)


def refusal(network, path):
    """The sentence; and nothing of the network has changed."""
    before = {name: t.clone() for name, t in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(network, path)
    assert_same(network.state_dict(), before)
    return str(caught.value)


def test_safetensors_fill_the_network_exactly(tmp_path):
    path = tmp_path / "weights.bin"  # its content decides, not its name
    safetensors.torch.save_file(trained(), path)
    network = Net()
    loaded = load_checkpoint(network, path)
    assert_same(network.state_dict(), trained())
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.notes == ()


def test_safetensors_whose_first_byte_is_a_pickle_s_fill_the_network(tmp_path):
    files = (
        safetensors.torch.save(trained(), {"padding": " " * length})
        for length in range(0, 300, 8)
    )
    path = tmp_path / "weights"
    path.write_bytes(next(file for file in files if file.startswith(b"\x80")))
    network = Net()
    load_checkpoint(network, path)
    assert_same(network.state_dict(), trained())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_of_torch_save_fills_the_network_exactly(tmp_path, zipped):
    path = saved(tmp_path, trained(), _use_new_zipfile_serialization=zipped)
    network = Net()
    assert load_checkpoint(network, path).notes == ()
    assert_same(network.state_dict(), trained())


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "ema"])
def test_weights_are_taken_out_of_a_training_script_s_dict(tmp_path, key):
    content = {"epoch": 3, key: trained(), "optimizer": {"state": {}}}
    network = Net()
    loaded = load_checkpoint(network, saved(tmp_path, content))
    assert_same(network.state_dict(), trained())
    assert loaded.notes == (f"took the weights under '{key}'",)


def test_which_of_two_sets_of_weights_was_taken_is_said(tmp_path):
    other = {name: t * 2 for name, t in trained().items()}
    path = saved(tmp_path, {"ema": other, "model": trained()})
    network = Net()
    assert load_checkpoint(network, path).notes == (
        "took the weights under 'model' and not 'ema'",
    )
    assert_same(network.state_dict(), trained())


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module."])
def test_a_prefix_of_every_name_is_dropped(tmp_path, prefix):
    path = saved(tmp_path, {prefix + name: t for name, t in trained().items()})
    network = Net()
    loaded = load_checkpoint(network, path)
    assert_same(network.state_dict(), trained())
    assert loaded.notes == (f"dropped the prefix '{prefix}' of every name",)


def test_a_prefix_that_the_network_has_itself_stays(tmp_path):
    network = nn.ModuleDict({"model": Net()})
    expected = {f"model.{name}": t for name, t in trained().items()}
    assert load_checkpoint(network, saved(tmp_path, expected)).notes == ()
    assert_same(network.state_dict(), expected)


def test_half_precision_weights_become_the_network_s_own(tmp_path):
    halves = {n: t.half() if t.is_floating_point() else t for n, t in trained().items()}
    network = Net()
    loaded = load_checkpoint(network, saved(tmp_path, halves))
    assert loaded.notes == ("converted float16 to the network's own precision",)
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == trained()[name].dtype
        torch.testing.assert_close(tensor, halves[name].to(tensor.dtype))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["zip", "old", "pickle"])
def test_a_pickle_with_code_is_refused_and_its_code_not_run(tmp_path, how):
    trap = tmp_path / "trap"
    path = tmp_path / "checkpoint.pt"
    if how == "pickle":
        path.write_bytes(pickle.dumps({"weights": Payload(trap)}))
    else:
        content = {**trained(), "extra": Payload(trap)}
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    sentence = refusal(Net(), path)
    assert "could run any code" in sentence
    assert "safetensors.torch.save_file" in sentence
    assert not trap.exists()

    # The payload is live: loading it without protection does run it.
    with path.open("rb") as file:
        if how == "pickle":
            pickle.load(file)
        else:
            torch.load(file, weights_only=False)
    assert trap.exists()


def test_a_whole_pickled_network_is_refused(tmp_path):
    assert "Python objects" in refusal(Net(), saved(tmp_path, nn.Conv2d(1, 1, 1)))


def test_a_torchscript_archive_is_refused(tmp_path):
    path = tmp_path / "scripted.pt"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(nn.ReLU()), path)
    assert "TorchScript archive" in refusal(Net(), path)


def test_missing_unexpected_and_misshapen_tensors_are_each_named(tmp_path):
    state = trained()
    del state["conv.bias"]
    state["head.weight"] = torch.zeros(2)
    state["norm.weight"] = torch.zeros(5)
    state["norm.num_batches_tracked"] = torch.tensor(1.0)
    sentence = refusal(Net(), saved(tmp_path, state))
    assert "missing: conv.bias;" in sentence
    assert "unexpected: head.weight;" in sentence
    assert "of another shape: norm.weight (5,) instead of (4,);" in sentence
    assert (
        "of another kind: norm.num_batches_tracked torch.float32 instead of torch.int64"
        in sentence
    )
    assert sentence.endswith("Nothing was loaded.")


def test_ten_tensors_are_named_and_the_rest_counted(tmp_path):
    state = trained() | {f"extra{i:02}": torch.zeros(1) for i in range(13)}
    sentence = refusal(Net(), saved(tmp_path, state))
    assert len(re.findall(r"extra\d\d", sentence)) == 10
    assert "extra09 and 3 more (13 in all)" in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    state = trained()
    state["conv.weight"][0, 0, 0, 0] = value
    assert "not finite: conv.weight." in refusal(Net(), saved(tmp_path, state))


def test_a_checkpoint_of_another_network_names_what_does_not_fit(tmp_path):
    sentence = refusal(Net(), saved(tmp_path, {"module.fc.weight": torch.zeros(2)}))
    assert "missing: conv.weight, conv.bias" in sentence
    assert "unexpected: module.fc.weight" in sentence


def damaged_files():
    whole = safetensors.torch.save(trained())
    return {
        "empty": b"",
        "text": b"these are no weights",
        "cut safetensors": whole[: len(whole) // 2],
        "cut header": whole[:20],
        "huge header": b"\xff" * 8 + b"{}",
        "zip of nothing": b"PK\x03\x04" + bytes(100),
        "cut pickle": b"\x80\x02}q\x00",
    }


@pytest.mark.parametrize("name", damaged_files())
def test_a_damaged_file_is_refused(tmp_path, name):
    path = tmp_path / "checkpoint"
    path.write_bytes(damaged_files()[name])
    assert "is damaged" in refusal(Net(), path)


def test_a_cut_off_zip_is_refused(tmp_path):
    path = saved(tmp_path, trained())
    path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in refusal(Net(), path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "got an empty dict"),
        ([torch.zeros(1)], "got list"),
        ({"weight": torch.zeros(1), "note": "hello"}, "are none: note"),
        ({"epoch": 3}, "are none: epoch"),
    ],
)
def test_what_is_no_dict_of_tensors_is_refused(tmp_path, content, words):
    assert words in refusal(Net(), saved(tmp_path, content))


def test_a_file_that_is_not_there_is_an_input_file_error(tmp_path):
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        load_checkpoint(Net(), tmp_path / "nothing.safetensors")
    with pytest.raises(InputFileError, match="cannot be read: Is a directory"):
        load_checkpoint(Net(), tmp_path)
