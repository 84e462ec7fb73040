"""Reading checkpoints: completely, as data only, or not at all."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import re
from collections import Counter, OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from fuseg.errors import ArgumentError, CheckpointError, InputFileError
from fuseg_export.network.checkpoint import load_checkpoint


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
    assert str(caught.value).isprintable()
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


def test_what_scripts_store_of_themselves_is_no_code(tmp_path):
    args = argparse.Namespace(rate=np.float32(0.1), out=Path("/tmp/run"), more=[1])
    beside = {
        "best_miou": np.float64(0.5),
        "steps": np.int64(9),
        "curve": np.arange(4.0),
        "flag": np.bool_(True),
        "args": args,
        "options": SimpleNamespace(k={1: "a"}),
        "counts": Counter("aab"),
    }
    network, expected = Net(), trained()
    load_checkpoint(network, saved(tmp_path, {"state_dict": expected, **beside}))
    assert_same(network.state_dict(), expected)


@pytest.mark.parametrize("name", ["network", "model_state", "weights.best"])
def test_the_only_dict_of_tensors_is_taken(tmp_path, name):
    network, expected = Net(), trained()
    path = saved(tmp_path, {name: expected, "epoch": 9, "optimizer": {"lr": 1}})
    assert load_checkpoint(network, path).notes == (f"took the weights under {name!r}",)
    assert_same(network.state_dict(), expected)


def test_the_key_of_the_weights_may_be_said(tmp_path):
    expected = trained()
    averaged = {n: t * 2 if t.is_floating_point() else t for n, t in expected.items()}
    content = {"live": expected, "averaged": {"net": averaged}, "epoch": 9}
    path = saved(tmp_path, content | {"other": expected})
    network = Net()
    assert "several dicts of tensors, live, other: say which with --weights-key" in (
        refusal(network, path)
    )
    load_checkpoint(network, path, key="averaged.net")
    assert_same(network.state_dict(), averaged)
    with pytest.raises(CheckpointError, match="there is no ema beside live, averaged"):
        load_checkpoint(network, path, key="ema")
    with pytest.raises(CheckpointError, match=r"got epoch\.x: there is no x$"):
        load_checkpoint(network, path, key="epoch.x")


def test_names_may_be_left_out(tmp_path):
    network, expected = Net(), trained()
    extra = {"conv.gate": torch.ones(3), "norm.old.scale": torch.ones(1)}
    path = saved(tmp_path, expected | extra)
    assert "unexpected: conv.gate" in refusal(network, path)
    notes = load_checkpoint(network, path, ignored=["*.gate", "norm.old*"]).notes
    assert notes[0] == "left out 1 tensor named *.gate"
    assert_same(network.state_dict(), expected)
    with pytest.raises(CheckpointError, match=r"missing: conv\.weight"):
        load_checkpoint(network, path, ignored=["*.gate", "norm.old*", "conv.w*"])
    with pytest.raises(CheckpointError, match=r"must fit a name in .* got criterion\."):
        load_checkpoint(network, path, ignored=["criterion.*"])


def test_which_of_two_sets_of_weights_was_taken_is_said(tmp_path):
    other = {name: t * 2 for name, t in trained().items()}
    path = saved(tmp_path, {"ema": other, "model": trained()})
    network = Net()
    assert load_checkpoint(network, path).notes == (
        "took the weights under 'model' and not 'ema'",
    )
    assert_same(network.state_dict(), trained())


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "net."])
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


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_a_prefix_of_the_network_is_added(tmp_path, prefix):
    network = nn.ModuleDict({"net": Net(), "mean": nn.Identity()})
    loaded = load_checkpoint(network, saved(tmp_path, wrapped(prefix)))
    assert_same(network.state_dict(), wrapped("net."))
    added = "gave every name the network's prefix 'net.'"
    assert loaded.notes[-1] == added
    assert len(loaded.notes) == 1 + bool(prefix)
    old = OrderedDict((n, t) for n, t in trained().items() if "num_batches" not in n)
    old._metadata = {"": {"version": 1}, "norm": {"version": 1}}
    load_checkpoint(network, saved(tmp_path, old))


def test_a_prefix_that_could_be_either_of_two_is_not_added(tmp_path):
    network = nn.ModuleDict({"one": Net(), "other": Net()})
    assert "missing: one.conv.weight, " in refusal(network, saved(tmp_path, trained()))


class Renamed(Net):
    """Its old releases had other names, and one shape."""

    def load_state_dict(self, state_dict, strict=True):
        names = {n.replace("bn.", "norm."): t for n, t in state_dict.items()}
        names["conv.weight"] = names["conv.weight"].reshape(4, 3, 3, 3)
        return super().load_state_dict(names, strict)


class Copied(Net):
    def load_state_dict(self, state_dict, strict=True):
        return self.conv.load_state_dict(state_dict, strict)


def test_a_network_s_own_load_state_dict_renames_on_request(tmp_path):
    old = {n.replace("norm.", "bn."): t for n, t in trained().items()}
    old["conv.weight"] = old["conv.weight"].flatten(1)
    path = saved(tmp_path, old)
    assert "missing: norm.weight" in refusal(Net(), path)
    network = Renamed()
    loaded = load_checkpoint(network, path, own_load=True)
    assert_same(network.state_dict(), trained())
    assert loaded.notes == ("took the names that the network's load_state_dict gives",)
    with pytest.raises(ArgumentError, match="own, and Net has none: leave it out"):
        load_checkpoint(Net(), path, own_load=True)
    load_checkpoint(Net(), saved(tmp_path, trained()))
    with pytest.raises(CheckpointError, match=r"must call torch's once, got 0 calls"):
        load_checkpoint(Copied(), saved(tmp_path, trained()), own_load=True)
    del old["bn.bias"]
    with pytest.raises(CheckpointError, match=r"missing: norm\.bias"):
        load_checkpoint(network, saved(tmp_path, old), own_load=True)
    del old["conv.weight"]
    with pytest.raises(CheckpointError, match=r"Renamed\.load_state_dict failed on"):
        load_checkpoint(network, saved(tmp_path, old), own_load=True)


def test_half_precision_weights_become_the_network_s_own(tmp_path):
    halves = {n: t.half() if t.is_floating_point() else t for n, t in trained().items()}
    network = Net()
    loaded = load_checkpoint(network, saved(tmp_path, halves))
    assert loaded.notes == ("converted float16 to the network's own precision",)
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == trained()[name].dtype
        torch.testing.assert_close(tensor, halves[name].to(tensor.dtype))


def wrapped(prefix):
    return {prefix + name: t for name, t in trained().items()}


ONES = torch.ones(4)
OLD = {n: t for n, t in trained().items() if "num_batches" not in n}
LEFT_OUT = "left out what the network has no place for: "
FIELD = {
    "Lightning with a loss": (
        {"state_dict": wrapped("model.") | {"criterion.pos_weight": ONES}},
        [
            "took the weights under 'state_dict'",
            "dropped the prefix 'model.' of 7 names",
            f"{LEFT_OUT}criterion",
        ],
    ),
    "torch's average of weights": (
        wrapped("module.") | {"n_averaged": torch.tensor(3)},
        ["dropped the prefix 'module.' of 7 names", f"{LEFT_OUT}n_averaged"],
    ),
    "DDP of a Lightning module": (
        wrapped("module.model.") | {"module.loss.weight": ONES},
        ["dropped the prefix 'module.model.' of 7 names", f"{LEFT_OUT}module"],
    ),
    "compiled": (
        wrapped("_orig_mod.module."),
        ["dropped '_orig_mod.' of 7 names", "dropped the prefix 'module.' of every na"],
    ),
    "a compiled part": (
        {n.replace("conv.", "conv._orig_mod."): t for n, t in trained().items()},
        ["dropped '_orig_mod.' of 2 names"],
    ),
    "compiled inside Lightning": (
        {f"model._orig_mod.{n}": t for n, t in trained().items()} | {"loss.w": ONES},
        [
            "dropped '_orig_mod.' of 7 names",
            "dropped the prefix 'model.' of 7 names",
            f"{LEFT_OUT}loss",
        ],
    ),
    "mmsegmentation's auxiliary head": (
        trained()
        | {"auxiliary_head.conv.weight": ONES, "auxiliary_head.conv.bias": ONES},
        [f"{LEFT_OUT}auxiliary_head (2 tensors)"],
    ),
    "weights and their average": (
        wrapped("ema_model.") | wrapped("model."),
        [
            "dropped the prefix 'model.' of 7 names",
            f"{LEFT_OUT}ema_model (7 tensors)",
        ],
    ),
    "before torch 0.4.1": (
        OLD,
        ["kept the network's own where the file has none: num_batches_tracked"],
    ),
    "before torch 0.4": (
        trained() | {"norm.num_batches_tracked": torch.tensor([5])},
        [],
    ),
    "counted by a profiler": (
        trained() | {"total_ops": torch.zeros(1), "conv.total_params": torch.zeros(1)},
        [f"{LEFT_OUT}total_ops, total_params"],
    ),
}


@pytest.mark.parametrize("stored_as", ["torch.save", "safetensors"])
@pytest.mark.parametrize("name", FIELD)
def test_a_checkpoint_as_trainers_write_it_fills_the_network(tmp_path, name, stored_as):
    content, notes = FIELD[name]
    path = tmp_path / "weights"
    if stored_as == "torch.save":
        torch.save(content, path)
    else:
        flat = content.get("state_dict", content)
        notes = [n for n in notes if "took" not in n]
        safetensors.torch.save_file({n: t.clone() for n, t in flat.items()}, path)
    network = Net()
    found = load_checkpoint(network, path).notes
    assert len(found) == len(notes)
    assert all(a.startswith(b) for a, b in zip(found, notes, strict=True))
    expected = {"norm.num_batches_tracked": torch.tensor(0)} if content is OLD else {}
    assert_same(network.state_dict(), trained() | expected)


def newer(without):
    """A state dict of today's torch, which says the versions of its modules."""
    network = Net()
    network.load_state_dict(trained())
    state = network.state_dict()
    del state[without]
    return state


def test_what_torch_itself_misses_is_missing(tmp_path):
    state = newer("norm.num_batches_tracked")
    with pytest.raises(RuntimeError, match="Missing key"):
        Net().load_state_dict(state)
    path = saved(tmp_path, {f"model._orig_mod.{n}": t for n, t in state.items()})
    load_checkpoint(Net(), path)  # without versions it may be old
    prefixed = type(state)((f"module.{n}", t) for n, t in state.items())
    prefixed._metadata = {
        f"module.{module}".rstrip("."): version
        for module, version in state._metadata.items()
    }
    for content in (state, prefixed):
        sentence = refusal(Net(), saved(tmp_path, content))
        assert "missing: norm.num_batches_tracked." in sentence


def test_a_missing_weight_is_named_beside_all_that_is_foreign(tmp_path):
    content = wrapped("model.") | {"criterion.weight": ONES, "model.aux.weight": ONES}
    del content["model.conv.weight"]
    sentence = refusal(Net(), saved(tmp_path, content))
    assert "missing: conv.weight; unexpected: aux.weight, criterion.weight." in sentence


class Deep(nn.Module):
    """No bias, two blocks, and a position table that is not stored."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.blocks = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])
        self.register_buffer("table", torch.arange(3), persistent=False)


@pytest.mark.parametrize(
    "name",
    [
        *("conv.bias", "conv.norm.weight", "blocks.2.weight", "blocks.norm.weight"),
        *("positions", "table"),
    ],
)
def test_what_would_change_the_labels_of_a_part_is_not_left_out(tmp_path, name):
    state = Deep().state_dict() | {name: ONES}
    assert f"unexpected: {name}." in refusal(Deep(), saved(tmp_path, state))


def test_a_buffer_that_the_network_makes_alike_is_left_out(tmp_path):
    state = Deep().state_dict() | {"table": torch.arange(3)}
    state["blocks.aux_head.weight"] = ONES
    loaded = load_checkpoint(Deep(), saved(tmp_path, state))
    assert loaded.notes == (f"{LEFT_OUT}blocks.aux_head, table",)


@pytest.mark.parametrize("prefixes", [("student.", "teacher."), ("a.", "b.")])
def test_two_networks_in_one_file_are_refused(tmp_path, prefixes):
    one, two = prefixes
    sentence = refusal(Net(), saved(tmp_path, wrapped(one) | wrapped(two)))
    assert f"holds the network's names 2 times, after '{one}', '{two}'" in sentence


def test_names_of_any_kind_stay_one_line_of_a_manifest_s_text(tmp_path):
    odd = {f"loss\n{i}{'x' * 200}.w": ONES for i in range(40)}
    loaded = load_checkpoint(Net(), saved(tmp_path, wrapped("model.") | odd))
    assert all(note.isprintable() and len(note) <= 1000 for note in loaded.notes)
    assert loaded.notes[-1].endswith("and 30 more (40 in all)")


def test_a_hook_that_fails_is_a_sentence_and_changes_nothing(tmp_path):
    def fails(*_):
        raise KeyError("old_name")

    network = Net()
    network.norm.register_load_state_dict_pre_hook(fails)
    sentence = refusal(network, saved(tmp_path, trained()))
    assert "KeyError" in sentence


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
