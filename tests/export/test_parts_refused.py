"""Parts of a network that do not fit, or do not compute what the whole does."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import late_fusion
import numpy as np
import pytest
import torch
from late_fusion import INPUTS, SIZE
from torch import nn

from fuseg.errors import ArgumentError, ExportError
from fuseg_export import Part
from fuseg_export.frames.frame_set import FrameSet
from fuseg_export.graphs import export_graphs
from fuseg_export.network.example import try_network
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.parts.rules import make_pieces


def other(parts, name, **fields):
    """The parts, one of them changed."""
    return {**parts, name: replace(parts[name], **fields)}


def in_front(parts, name):
    """The parts, one of them before all others."""
    return {name: parts[name], **parts}


AGAIN = "decoder-without-depth"
RNG = np.random.default_rng(1)
FRAMES = FrameSet(
    {
        "rgb": RNG.integers(0, 256, (*SIZE, 3)).astype(np.uint8),
        "depth": RNG.integers(400, 6000, SIZE).astype(np.uint16),
    }
)
RULES = [
    (
        lambda p: other(p, "decoder", reads=["rgb0", "rgbx"]),
        "part decoder reads 'rgbx', which no input and no part before it makes; there",
    ),
    (
        lambda p: in_front(p, "decoder"),
        "part decoder reads 'rgb0', which no input and no part before it makes; there",
    ),
    (
        lambda p: other(p, AGAIN, stands_in_for=None),
        "part decoder-without-depth writes scores, which part decoder makes: give it ",
    ),
    (
        lambda p: other(p, "depth-encoder", writes=["depth0", "rgb"]),
        "part depth-encoder writes rgb, which an input makes: give it another",
    ),
    (
        lambda p: other(p, AGAIN, stands_in_for="decoders"),
        "part decoder-without-depth must come right after the part that it stands in ",
    ),
    (
        lambda p: in_front(p, AGAIN),
        "part decoder-without-depth must come right after the part that it stands in ",
    ),
    (
        lambda p: other(p, AGAIN, writes=["labels"]),
        "part decoder-without-depth must write what decoder does, for which it stands",
    ),
    (
        lambda p: other(
            other(p, "decoder", writes=["scores", "boxes"]), AGAIN, writes=["scores"]
        ),
        "must write what decoder does, for which it stands in, scores, boxes, got scor",
    ),
    (
        lambda p: other(p, AGAIN, reads=["rgb0", "scores"]),
        "part decoder-without-depth reads 'scores', which no input and no part before",
    ),
    (
        lambda p: p | {"last": Part(nn.Identity(), ["scores"], ["more"])},
        "part decoder-without-depth must stand in up to the outputs, but another part",
    ),
    (
        lambda p: other(p, AGAIN, reads=["rgb0", "depth1"]),
        "part decoder-without-depth would never run: it must do without an input that",
    ),
    (
        lambda p: (
            p
            | {"beside": Part(nn.Identity(), ["depth"], ["more"])}
            | {"decoder-again": Part(nn.Identity(), ["rgb"], ["mores"])}
        ),
        "part decoder-without-depth would never run: it must do without an input that",
    ),
    (
        lambda p: {"alone": Part(p["color-encoder"].module, ["rgb"], ["rgb0", "rgb1"])},
        "the input depth is read by no part: leave it out, or let a part read it.",
    ),
    (
        lambda p: other(p, "decoder", module=nn.Conv2d(16, 5, 1)),
        "part decoder has weights that are not the whole network's, weight, bias: mak",
    ),
    (
        lambda p: other(p, "decoder", reads="rgb0"),
        "part decoder: reads must be a list of different names of letters, digits and",
    ),
    (
        lambda p: other(p, "decoder", writes=["a", "a"]),
        "part decoder: writes must be a list of different names of letters, digits and",
    ),
    (
        lambda p: p | {"a decoder": p["decoder"]},
        "parts must have names of letters, digits and _, - or ., got 'a decoder'.",
    ),
    (
        lambda p: p | {"last": nn.Identity()},
        "part last must be a fuseg_export.Part of a torch.nn.Module, got Identity.",
    ),
    (
        lambda p: other(p, "decoder", module=print),
        "must be a fuseg_export.Part of a torch.nn.Module, got builtin_function_or_m",
    ),
    (
        lambda _: {},
        "wrong() must return Parts with a dict of one part or more, got {}.",
    ),
]


@pytest.fixture
def target(monkeypatch):
    """``target(change)``: what is exported after a change of the parts."""

    def make(change, **words):
        given = late_fusion.late()
        wrong = replace(given, parts=change(given.parts))
        monkeypatch.setattr(late_fusion, "wrong", lambda: wrong, raising=False)
        return resolve(NetworkOptions("late_fusion:wrong", inputs=INPUTS, **words))

    return make


@pytest.mark.parametrize(("change", "sentence"), RULES)
def test_parts_that_do_not_fit_are_one_sentence(target, change, sentence):
    with pytest.raises(ArgumentError, match=f"^.*{re.escape(sentence)}"):
        target(change)


def test_a_text_is_never_missing_so_nothing_stands_in_without_it():
    inputs = ["rgb", "depth", "prompt"]
    parts = {
        "net": Part(nn.Identity(), inputs, ["scores"]),
        "without": Part(nn.Identity(), inputs[:2], ["scores"], "net"),
    }
    with pytest.raises(ArgumentError, match=r"^part without would never run: it must"):
        make_pieces(parts, inputs, inputs[:2])


class Returns(nn.Module):
    """A part that returns what it is told."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, *given):
        return self.make(*given)


def returning(parts, name, make):
    return other(parts, name, module=Returns(make))


TRIALS = [
    (
        lambda p: other(p, "decoder", reads=["depth0", "depth1", "rgb0", "rgb1"]),
        "the parts must compute what the whole network does, but scores of part decod",
    ),
    (
        lambda p: (
            other(p, "depth-encoder", writes=["depth0"])
            | {"decoder": replace(p["decoder"], reads=["rgb0", "rgb1", "depth0"])}
        ),
        "part depth-encoder returns 2 tensors, but writes names 1: depth0.",
    ),
    (
        lambda p: returning(p, "decoder", lambda *_: {"out": 1}),
        "part decoder must return a tensor, or a tuple or list of them, got dict.",
    ),
    (
        lambda p: returning(p, "decoder", lambda *_: [None]),
        "part decoder must return a tensor as scores, got NoneType.",
    ),
    (
        lambda p: returning(p, "decoder", lambda *_: 1 / 0),
        "part decoder failed on rgb0 (1, 8, 12, 16), rgb1 (1, 8, 6, 8), depth0 (1, 8,",
    ),
    (
        lambda p: returning(p, "depth-encoder", lambda x: (x.half(), x)),
        "part depth-encoder must return depth0 as float32 or int64 with a first axis ",
    ),
    (
        lambda p: returning(p, "depth-encoder", lambda x: (x[0, 0], x)),
        "a first axis of 1, the batch, as it becomes a tensor of the bundle, got float",
    ),
    (
        lambda p: returning(p, "decoder", lambda *f: f[0][:, :5] / 0),
        "part decoder gives NaN, infinity or two results for one input as scores",
    ),
    (
        lambda p: returning(p, "decoder", lambda *_: torch.rand(1, 5, 12, 16)),
        "part decoder gives NaN, infinity or two results for one input as scores",
    ),
    (
        lambda p: returning(p, AGAIN, lambda *f: f[0][:, :5]),
        "part decoder-without-depth must write scores of shape (1, 5, 48, 64), as dec",
    ),
    (
        lambda p: returning(
            {n: part for n, part in p.items() if n != AGAIN},
            "decoder",
            lambda *f: f[0][:, :5],
        ),
        "no part writes the network's output labels, a tensor of shape (1, 5, 48, 64)",
    ),
    (
        lambda p: p | {"beside": Part(nn.Identity(), ["rgb0"], ["more"])},
        "part beside writes more, which no part reads and which is no output: leave i",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), TRIALS)
def test_parts_that_compute_something_else_are_one_sentence(target, change, sentence):
    with pytest.raises((ArgumentError, ExportError), match=re.escape(sentence)):
        try_network(target(change), FRAMES)


def test_a_part_that_works_in_place_changes_what_no_other_reads(target):
    def change(parts):
        head = parts["decoder"].module

        def spoils(*features):
            scores = head(*features)
            for tensor in features:
                tensor.zero_()
            return scores

        return returning(parts, "decoder", spoils)

    made = target(change)
    tried = try_network(made, FRAMES)
    features = made.network.color(tried.example["rgb"])
    wanted = made.network.without_depth(*features)
    (found,) = tried.stand_ins[0].network(*tried.example.values())
    torch.testing.assert_close(found, wanted)


def test_a_stand_in_s_scores_are_enlarged_like_those_of_its_part(target, quick):
    del quick

    def smaller(*features):
        scores = features[1][:, :5] + features[0][:, :5, ::2, ::2]
        return nn.functional.interpolate(scores, SIZE, mode="bilinear")

    made = target(lambda p: returning(p, AGAIN, smaller))
    with pytest.raises(
        ArgumentError,
        match=r"^labels-by-decoder-without-depth must end as labels does, with the same"
        r" upsampling of \[1, 5, 12, 16\], got \[1, 5, 6, 8\] at that place: let the ",
    ):
        export_graphs(try_network(made, FRAMES), 17, lambda _: None)


def test_a_tensor_that_a_part_does_not_use_is_refused(target):
    def narrow(*features):
        return nn.functional.interpolate(features[0][:, :5], SIZE, mode="bilinear")

    made = target(lambda p: returning(p, AGAIN, narrow))
    with pytest.raises(
        ExportError, match=r"not use its input decoder-without-depth/rgb1"
    ):
        export_graphs(try_network(made, FRAMES), 17, lambda _: None)


def test_a_part_that_is_a_tail_and_nothing_else_is_refused(target, quick):
    del quick

    def change(parts):
        head = parts["decoder"].module

        def small(*features):
            deep = head.deep(torch.cat(features[1::2], 1))
            x = nn.functional.interpolate(deep, scale_factor=2)
            for conv, f in zip(head.wide, features[::2], strict=True):
                x = x + conv(f)
            return x

        def large(scores):
            return nn.functional.interpolate(scores, SIZE, mode="bilinear")

        parts = {name: part for name, part in parts.items() if name != AGAIN}
        parts = returning(other(parts, "decoder", writes=["small"]), "decoder", small)
        return parts | {"last": Part(Returns(large), ["small"], ["scores"])}

    with pytest.raises(ArgumentError, match=r"^part last must do more with small than"):
        export_graphs(try_network(target(change), FRAMES), 17, lambda _: None)


def test_states_are_not_for_parts(target):
    with pytest.raises(ArgumentError, match=r"^--state must be absent for a network o"):
        target(dict, states=["memory=1:8x12x16"])


def test_parts_are_called_with_one_tensor_after_the_other(target):
    every = {"call": "list"}, {"constants": ["gain=1"]}, {"freeze_random": 0}
    for words in every:
        with pytest.raises(ArgumentError, match="--freeze-random must be absent for a"):
            target(dict, **words)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"policy": "hold", "then": "refuse"}, ("hold", "refuse", 500.0)),
        ({"policy": "substitute"}, ("substitute", None, 500.0)),
        ({"max_age_ms": 100.0}, ("sibling", None, 100.0)),
    ],
)
def test_the_user_s_policy_stays(target, tmp_path, said, wanted):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"inputs": {"depth": {"missing": said}}}))
    missing = target(dict, spec=path).inputs[1].missing
    assert (missing.policy, missing.then, missing.max_age_ms) == wanted
