"""Tiny random encoders of every architecture, each with a tokenizer of its own kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizerFast,
    AutoConfig,
    AutoModelForMaskedLM,
    BertTokenizerFast,
    CamembertTokenizerFast,
    DebertaTokenizerFast,
    DebertaV2TokenizerFast,
    ElectraTokenizerFast,
    MPNetTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

from tests.conftest import VOCABULARY_TEXTS, WORDS, tiny_vocabulary

BERT_SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
TEXTS = (*VOCABULARY_TEXTS, *WORDS) * 4


def word_pieces(special: tuple[str, ...]) -> Tokenizer:
    words = [token for token in tiny_vocabulary() if not token.startswith("[")]
    vocabulary = {token: number for number, token in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special[3]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return with_template(tokenizer, special)


def byte_pairs(special: tuple[str, ...]) -> Tokenizer:
    """As RoBERTa's: pairs of bytes, a space before a word belongs to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return with_template(tokenizer, special)


def unigrams(special: tuple[str, ...]) -> Tokenizer:
    """As SentencePiece makes them: pieces of text with their probabilities, spaces written as a letter."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=list(special), unk_token=special[3])
    tokenizer.train_from_iterator(TEXTS, trainer)
    return with_template(tokenizer, special)


def with_template(tokenizer: Tokenizer, special: tuple[str, ...]) -> Tokenizer:
    first, last = special[0], special[2]
    ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B:1 {last}:1", special_tokens=ids
    )
    return tokenizer


Maker = Callable[[tuple[str, ...]], Tokenizer]

KINDS: dict[str, tuple[Maker, type[PreTrainedTokenizerFast], tuple[str, ...]]] = {
    "distilbert": (word_pieces, BertTokenizerFast, BERT_SPECIAL),
    "bert": (word_pieces, BertTokenizerFast, BERT_SPECIAL),
    "electra": (word_pieces, ElectraTokenizerFast, BERT_SPECIAL),
    "mpnet": (word_pieces, MPNetTokenizerFast, ROBERTA_SPECIAL),
    "roberta": (byte_pairs, RobertaTokenizerFast, ROBERTA_SPECIAL),
    "deberta": (byte_pairs, DebertaTokenizerFast, BERT_SPECIAL),
    "modernbert": (byte_pairs, PreTrainedTokenizerFast, BERT_SPECIAL),
    "xlm-roberta": (unigrams, XLMRobertaTokenizerFast, ROBERTA_SPECIAL),
    "camembert": (unigrams, CamembertTokenizerFast, ROBERTA_SPECIAL),
    "albert": (unigrams, AlbertTokenizerFast, BERT_SPECIAL),
    "deberta-v2": (unigrams, DebertaV2TokenizerFast, BERT_SPECIAL),
}
"""By ``model_type``: the kind of tokenizer, its class in ``transformers``, and its special tokens."""

POSITIONS = 66


def save_tiny_encoder(kind: str, folder: Path) -> Path:
    """A random encoder of one layer, 32 wide, with a head for masked words and 64 positions for tokens or more."""
    make, of_transformers, special = KINDS[kind]
    tokenizer = make(special)
    first, padding, last = (tokenizer.token_to_id(token) for token in special[:3])
    settings: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.2,
        "pad_token_id": padding,
        "bos_token_id": first,
        "cls_token_id": first,
        "eos_token_id": last,
        "sep_token_id": last,
    }
    if kind == "distilbert":
        settings |= {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 4}
    else:
        settings |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    settings |= {
        "electra": {"embedding_size": 16},
        "albert": {"embedding_size": 16},
        "roberta": {"type_vocab_size": 1},
        "xlm-roberta": {"type_vocab_size": 1},
        "camembert": {"type_vocab_size": 1},
        "modernbert": {"local_attention": 16, "global_attn_every_n_layers": 1},
        # As the published ones: tokens see one another by their distance.
        "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0},
        "deberta-v2": {
            "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0,
            "position_biased_input": False, "position_buckets": 16, "share_att_key": True, "norm_rel_ebd": "layer_norm",
        },
    }.get(kind, {})  # fmt: skip
    torch.manual_seed(5)
    AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **settings)).save_pretrained(folder)
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    of_transformers(tokenizer_object=tokenizer, **dict(zip(names, special, strict=True))).save_pretrained(folder)
    return folder
