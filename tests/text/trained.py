"""Small tokenizers of the kinds that networks use, trained on a few hundred words."""

from __future__ import annotations

import functools
import json
import random

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
WORDS = (
    "a red chair beside the window it's 3 o'clock we're naïve cafés Straße don't "
    "стул был окна 椅子と机 كرسي אדום chairs chaired chairing unchaired reddish redder "
    "walking walked walker tables tabled 12 345 6789 1st 2nd !? ... --- 🙂 👍🏽 e\u0301"
)


def corpus() -> list[str]:
    source = random.Random(0)
    words = WORDS.split()
    return [" ".join(source.choices(words, k=12)) for _ in range(200)]


def clip() -> Tokenizer:
    """As OpenAI's CLIP: byte-level BPE whose words end in ``</w>``."""
    made = Tokenizer(models.BPE(unk_token="<end>", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    split = pre_tokenizers.Split(Regex(CLIP), "removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<start>", "<end>"],
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    made.train_from_iterator(corpus(), trainer)
    # OpenAI's vocabulary has each byte at the end of a word, too.
    whole = json.loads(made.to_str())
    vocab = whole["model"]["vocab"]
    for letter in sorted(letters):
        vocab.setdefault(f"{letter}</w>", len(vocab))
    made = Tokenizer.from_str(json.dumps(whole))
    ends = [(token, made.token_to_id(token)) for token in ("<end>", "<start>")]
    made.post_processor = processors.RobertaProcessing(*ends, False, False)
    made.enable_truncation(16)
    made.enable_padding(pad_id=1, pad_token="<end>", length=16)
    return made


def gpt2() -> Tokenizer:
    """As GPT-2 and RoBERTa: byte-level BPE whose words begin with a space."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(corpus(), trainer)
    made.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    made.add_tokens([AddedToken("chair-leg", normalized=True, rstrip=True)])
    made.post_processor = processors.Sequence(
        [
            processors.ByteLevel(),
            processors.TemplateProcessing(
                "<s> $A </s> </s>", None, [("<s>", 0), ("</s>", 1)]
            ),
        ]
    )
    return made


def bert() -> Tokenizer:
    """As BERT: WordPiece."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=names, show_progress=False
    )
    made.train_from_iterator(corpus(), trainer)
    made.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_padding(pad_id=0, pad_token="[PAD]", length=12)
    made.enable_truncation(12)
    return made


def words() -> Tokenizer:
    """A token for each word, as small networks with an LSTM have it."""
    made = Tokenizer(models.WordLevel(unk_token="?"))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Strip(), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["-", "?"], show_progress=False)
    made.train_from_iterator(corpus(), trainer)
    made.enable_padding(pad_id=0, pad_token="-", direction="left", length=8)
    return made


MAKERS = {"clip": clip, "gpt2": gpt2, "bert": bert, "words": words}


@functools.cache
def trained(kind: str) -> Tokenizer:
    return MAKERS[kind]()


def file_of(kind: str) -> bytes:
    """Its tokenizer.json."""
    return trained(kind).to_str().encode()
