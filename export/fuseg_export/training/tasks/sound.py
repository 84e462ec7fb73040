"""Which thing makes the sound? Pictures of named things, a timbre for each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg.manifest import AudioInput
from fuseg.runtime.inputs import adapter_of

from ...inputs import ExportedInput
from ...models.sound import SoundNet
from ...scenes.senses.sound import TIMBRES, sound_of
from ...scenes.things import ThingFrames
from ..things_data import pictures

__all__ = ["SoundTask"]

MIN_PIXELS = 20  # of a thing that is asked for
LIT = 2.5  # weight of pixels that are lit, in the loss
SILENCE = len(TIMBRES)


class SoundTask:
    """See `fit.Task`.

    Every picture is asked several sounds at once, the last of which is silence: a
    network that sees one question a picture does not learn that the answer depends
    on it.

    Args:
        train, test: Things; those without one that is alone of its kind are left out.
        sound: The network's input beside the picture.
        hears: Whether the network is given the sound; a deaf one is the baseline. In
            place of the sound it is given what the runtime gives for a dead microphone.
        size, sounds: Pictures of a batch, and sounds of each picture.
    """

    def __init__(
        self,
        train: ThingFrames,
        test: ThingFrames,
        sound: ExportedInput,
        *,
        hears: bool = True,
        size: int = 8,
        sounds: int = 4,
    ) -> None:
        self._train, self._test, self._hears = train, test, hears
        self._size, self._sounds = size, sounds
        record: AudioInput = sound.record
        self._adapter = adapter_of(record, sound.members.__getitem__)
        self._shape, self._fill = record.shape[1:], record.fill
        self._choices = _with_candidates(train, 1)
        self._asked = _with_candidates(test, 2)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `fit.Task`: pictures, sounds, where they come from, what they are."""
        frames, seen, sounds, masks, heard = self._train, [], [], [], []
        for index in rng.choice(self._choices, self._size):
            step = -1 if rng.random() < 0.5 else 1
            instances = frames.instances[index][:, ::step]
            seen.append(frames.color[index][:, ::step])
            asked = rng.choice(candidates(frames, index), self._sounds - 1)
            for thing in (*asked, -1):
                kind = int(frames.attributes[index, thing, 0]) if thing >= 0 else None
                sounds.append(self.heard(sound_of(kind, rng)))
                masks.append(instances == thing + 1 if thing >= 0 else instances < 0)
                heard.append(SILENCE if kind is None else kind)
        several = (self._size, self._sounds)
        return (
            pictures(seen),
            torch.from_numpy(np.reshape(sounds, (*several, *self._shape))),
            torch.from_numpy(np.reshape(masks, (*several, *masks[0].shape))).float(),
            torch.tensor(heard),
        )

    def loss(
        self, network: SoundNet, batch: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> Tensor:
        """See `fit.Task`."""
        rgb, sounds, masks, heard = batch
        scores, timbres = network.several(rgb, sounds)
        weight = torch.tensor(LIT)
        shown = F.binary_cross_entropy_with_logits(scores, masks, pos_weight=weight)
        if not self._hears:
            return shown
        return shown + F.cross_entropy(timbres.flatten(0, 1), heard)

    @torch.inference_mode()
    def evaluate(self, network: SoundNet) -> dict[str, float]:
        """On scenes of ``test`` with two candidates or more, one sound each.

        Returns:
            ``found``: the share of scenes in which the sounding thing is lit, by a
            larger share of its pixels than any other candidate;
            ``first``: in which the mean score is highest on it, of all candidates;
            ``iou``: of what is lit with what sounds, over all pixels;
            ``silent_area``: the share of pixels that is lit in silence;
            ``scenes``: how many there are.
        """
        network.eval()
        found = first = inside = either = 0
        silent = []
        for index in self._asked:
            rng = np.random.default_rng([7, index])
            things = candidates(self._test, index)
            thing = int(rng.choice(things))
            kind = int(self._test.attributes[index, thing, 0])
            heard = [self.heard(sound_of(k, rng)) for k in (kind, None)]
            scores = network.several(
                pictures([self._test.color[index]]),
                torch.from_numpy(np.stack(heard))[None],
            )[0][0].numpy()
            lit, instances = scores[0] > 0, self._test.instances[index]
            truth = instances == thing + 1
            shares = {t: lit[instances == t + 1].mean() for t in things}
            means = {t: scores[0][instances == t + 1].mean() for t in things}
            found += 0 < shares[thing] == max(shares.values())
            first += max(means, key=means.__getitem__) == thing
            inside, either = inside + (lit & truth).sum(), either + (lit | truth).sum()
            silent.append((scores[1] > 0).mean())
        count = len(self._asked)
        return {
            "found": float(found / count),
            "first": first / count,
            "iou": float(inside / either),
            "silent_area": float(np.mean(silent)),
            "scenes": count,
        }

    def heard(self, sound: NDArray[np.int16]) -> NDArray[np.float32]:
        """The tensor of a window, as the runtime makes it; its fill for the deaf."""
        out = np.full((1, *self._shape), self._fill, np.float32)
        if self._hears:
            self._adapter.write(sound, {self._adapter.input.tensor: out})
        tensor: NDArray[np.float32] = out[0]
        return tensor


def candidates(frames: ThingFrames, index: int) -> list[int]:
    """The things in sight that are alone of their kind."""
    pixels = np.bincount(frames.instances[index].ravel(), minlength=256)
    kinds = frames.attributes[index, :, 0].tolist()
    seen = [kind for thing, kind in enumerate(kinds) if pixels[thing + 1]]
    return [
        thing
        for thing, kind in enumerate(kinds)
        if pixels[thing + 1] >= MIN_PIXELS and seen.count(kind) == 1
    ]


def _with_candidates(frames: ThingFrames, least: int) -> Sequence[int]:
    count = len(frames)
    return [i for i in range(count) if len(candidates(frames, i)) >= least]
