"""Tasks of networks that hear, remember, or know two styles: batches and measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fuseg_export.models import REFERENCE
from fuseg_export.models.domains import DomainNet
from fuseg_export.models.sound import SoundNet
from fuseg_export.models.video import VideoNet
from fuseg_export.scenes.senses.style import negative
from fuseg_export.scenes.senses.video import Clips
from fuseg_export.scenes.things import ThingFrames
from fuseg_export.sound_reference import preprocess_sound
from fuseg_export.training.tasks.domains import DomainTask
from fuseg_export.training.tasks.sound import SoundTask, candidates
from fuseg_export.training.tasks.video import VideoTask, flicker

CRATE, BALL, DRUM, POST, SLAB = range(5)
HUM, WHISTLE = DRUM, POST  # the timbres of these kinds
(SOUND,) = REFERENCE["sound"].given.others


def things(*kinds, count=4):
    """Frames of a grey room with a column of each kind, which all look different."""
    instances = np.zeros((count, 96, 128), np.uint8)
    color = np.full((count, 96, 128, 3), 90, np.uint8)
    attributes = np.full((count, 6, 3), -1, np.int8)
    for number, kind in enumerate(kinds):
        columns = np.s_[:, 20:80, 4 + 20 * number : 18 + 20 * number]
        instances[columns] = number + 1
        color[columns] = (40 * kind, 200 - 40 * kind, 30)
        attributes[:, number] = (kind, 0, 0)
    depth = np.full((count, 96, 128), 2000, np.uint16)
    return ThingFrames(color, depth, instances, attributes, np.zeros(count, np.uint8))


def test_candidates_are_in_sight_and_alone_of_their_kind():
    frames = things(CRATE, BALL, CRATE, DRUM, POST)
    assert candidates(frames, 0) == [1, 3, 4]
    frames.instances[1, frames.instances[1] == 5] = 0
    frames.instances[1, 0, :19] = 5  # too small to be seen
    frames.instances[1, frames.instances[1] == 3] = 0  # out of sight: one crate is left
    assert candidates(frames, 1) == [0, 1, 3]


def test_a_picture_is_asked_several_sounds_and_silence():
    frames = things(CRATE, BALL, DRUM)
    task = SoundTask(frames, frames, SOUND, size=3, sounds=5)
    rgb, sounds, masks, heard = task.batch(np.random.default_rng(0))
    assert (rgb.shape, sounds.shape) == ((3, 3, 96, 128), (3, 5, 1, 32, 32))
    heard = heard.view(3, 5)
    assert (heard[:, -1] == 5).all()
    assert not masks[:, -1].any()
    assert set(heard[:, :-1].flatten().tolist()) == {CRATE, BALL, DRUM}
    wanted = np.stack([frames.instances[0] == kind + 1 for kind in (CRATE, BALL, DRUM)])
    for picture in range(3):
        for question in range(4):
            mask = masks[picture, question].numpy() > 0
            plain = wanted[heard[picture, question]]
            assert (mask == plain).all() or (mask == plain[:, ::-1]).all()


def test_what_is_heard_in_training_is_the_definition():
    task = SoundTask(things(DRUM), things(DRUM), SOUND)
    sound = SOUND.example(2)
    assert sound.shape == (4096,)
    wanted = preprocess_sound(SOUND.record, sound, *SOUND.tables.values())
    np.testing.assert_allclose(task.heard(sound), wanted[0], atol=1e-5)
    assert np.ptp(wanted) > 1
    deaf = SoundTask(things(DRUM), things(DRUM), SOUND, hears=False)
    assert (deaf.heard(sound) == SOUND.record.fill).all()


class Listener(nn.Module):
    """Lights the drum if there are low frequencies, and the post if there are high."""

    def several(self, rgb, sounds):
        green = rgb[:, 1] * 0.224 + 0.456
        drum = (green - 120 / 255).abs() < 0.02
        post = (green - 80 / 255).abs() < 0.02
        low, high = (
            sounds[:, :, 0, 1:4].mean((2, 3)),
            sounds[:, :, 0, 20:24].mean((2, 3)),
        )
        loud = sounds[:, :, 0].amax((2, 3)) > 1.5
        place = torch.where((low > high)[..., None, None], drum, post)
        lit = place & loud[..., None, None]
        return lit.float() - 0.5, torch.zeros(*sounds.shape[:2], 6)


def test_a_network_that_listens_finds_every_thing_and_a_deaf_one_does_not():
    frames = things(DRUM, POST, count=30)
    found = SoundTask(frames, frames, SOUND).evaluate(Listener())
    assert found == {
        "found": 1.0,
        "first": 1.0,
        "iou": 1.0,
        "silent_area": 0.0,
        "scenes": 30,
    }
    deaf = SoundTask(frames, frames, SOUND, hears=False).evaluate(Listener())
    assert deaf["found"] == deaf["iou"] == 0
    assert 0.1 < deaf["first"] < 0.9


def test_labels_that_change_where_the_truth_does_not_are_flicker():
    truth = np.array([[[0, 0, 1, 1]], [[0, 1, 1, 1]], [[0, 1, 1, 1]]], np.uint8)
    labels = np.array([[[0, 2, 1, 1]], [[0, 1, 2, 1]], [[0, 0, 2, 2]]], np.uint8)
    assert flicker(labels, truth) == (1 + 2, 3 + 4)


def clips(count=2):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (count, 6, 96, 128, 3), np.uint8)
    return Clips(color, rng.integers(0, 6, color.shape[:-1], np.uint8))


def test_a_clip_is_what_its_frames_are_one_by_one():
    torch.manual_seed(0)
    network = VideoNet(6).eval()
    frames = torch.randn(1, 4, 3, 96, 128)
    with torch.inference_mode():
        whole, forgetful = (
            network.along(frames, remembers=remembers)[0] for remembers in (True, False)
        )
        start = memory = torch.zeros(1, network.channels, 24, 32)
        for time in range(4):
            scores, memory = network(frames[:, time], memory)
            torch.testing.assert_close(whole[time], scores[0], atol=1e-5, rtol=1e-5)
            scores, _ = network(frames[:, time], start)
            torch.testing.assert_close(forgetful[time], scores[0], atol=1e-5, rtol=1e-5)
    assert (whole[1:] - forgetful[1:]).abs().max() > 1e-3


class Known(nn.Module):
    """Gives the labels that it was given, whatever it sees."""

    def __init__(self, labels):
        super().__init__()
        self.labels = [
            nn.functional.one_hot(y.long(), 6).movedim(-1, 1) for y in labels
        ]

    def along(self, clips, *, remembers):
        del clips, remembers
        return self.labels.pop(0)[None].float()


def test_a_video_is_judged_on_spoilt_frames_and_on_good_ones():
    test = clips(8)
    task = VideoTask(test, test)
    truth = torch.from_numpy(test.labels)
    perfect = task.evaluate(Known(truth))
    assert perfect["miou"] == perfect["miou_spoilt"] == perfect["miou_good"] == 1
    assert perfect["flicker"] == 0
    wrong = truth.clone()
    wrong[:, ::2] = (wrong[:, ::2] + 1) % 6
    half = task.evaluate(Known(wrong))
    assert 0.2 < half["miou"] < 0.5
    assert half["flicker"] == 1


@pytest.mark.parametrize("heads", [1, 2])
def test_a_head_learns_its_own_style(heads):
    frames = things(CRATE, BALL, DRUM)
    network = DomainNet(6, heads)
    batch = DomainTask(frames, frames, few=2).batch(np.random.default_rng(0))
    assert [len(pictures) for pictures, _ in batch] == [6, 2]
    task = DomainTask(frames, frames, few=0)
    alone = task.batch(np.random.default_rng(0))
    assert [len(pictures) for pictures, _ in alone] == [8]
    task.loss(network, alone).backward()
    learns = [head[1].weight.grad is not None for head in network.heads]
    assert learns == [True, False][:heads]
    network.zero_grad()
    task.loss(network, batch).backward()
    assert all(head[1].weight.grad is not None for head in network.heads)
    norm = network.encoder.stem[0][1]
    assert norm.num_batches_tracked == 2  # both styles at once, after the one alone


class Bright(nn.Module):
    """A head that takes bright pixels for things, and one that takes dark ones."""

    def __init__(self):
        super().__init__()
        self.heads = [None, None]

    def forward(self, rgb):
        grey = (rgb * 0.225 + 0.45).mean(1, keepdim=True) - 0.5
        return tuple(
            torch.cat([-sign * grey, sign * grey, *[grey * 0 - 9] * 4], 1)
            for sign in (1, -1)
        )


def test_every_style_is_judged_by_every_head():
    frames = things(CRATE)
    frames.color[:] = np.where(frames.instances[..., None] == 1, 250, 5)
    dark = negative(frames.color[0], np.random.default_rng(0))
    assert dark[0, 0, 1] > dark[40, 10, 1]
    found = DomainTask(frames, frames).evaluate(Bright())
    assert found["miou_a_by_a"] == 1
    assert found["miou_b"] == found["miou_b_by_b"] > 0.9
    assert found["miou_a_by_b"] == 0
    assert found["miou_b_by_a"] < 0.1


@pytest.mark.parametrize("what", ["sound", "video", "domains"])
def test_two_steps_lower_the_loss_of_a_batch(what):
    frames = things(CRATE, BALL, DRUM, POST, SLAB)
    torch.manual_seed(0)
    network, task = {
        "sound": lambda: (SoundNet(6), SoundTask(frames, frames, SOUND)),
        "video": lambda: (VideoNet(6), VideoTask(clips(), clips())),
        "domains": lambda: (DomainNet(6, 2), DomainTask(frames, frames, few=4)),
    }[what]()
    batch = task.batch(np.random.default_rng(1))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = task.loss(network, batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert np.isfinite(losses).all()
    assert losses[2] < losses[0]
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", ["sound", "video", "domains", "one-domain"])
def test_networks_of_things_begin_with_the_weights_of_many_tasks(name):
    def shared(model):
        with torch.device("meta"):  # shapes alone
            state = REFERENCE[model].network().state_dict()
        return {
            key: tensor.shape
            for key, tensor in state.items()
            if key.startswith(("encoder.", "decoder."))
        }

    assert shared(name) == shared("multitask")
    assert len(shared(name)) > 100
