"""Tiny real models, made once per test session: every part of the commands runs on them for real."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before any of these libraries is imported. The tests need no network and share few cores.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import pytest
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from scorer.commands.console import run
from scorer.keyword_words import words_of_a_shell
from tests.helpers.forks import Forks, forks
from tests.helpers.processes import as_before, base_environment

# On a busy machine the time of an example tells nothing; and the same examples come each time, not those of luck.
settings.register_profile(
    "quiet",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("quiet")

Call = Callable[..., tuple[int, str, str]]
InProcess = Callable[..., Call]

VOCABULARY_TEXTS = (
    "A warm, funny and quietly moving film; I would gladly watch it again tomorrow.",
    "Two hours of my life that nobody will give back: dull, loud and badly acted.",
    "The blender works, but the lid does not fit and the manual is in another language.",
    "Great value! Arrived early, well packed, and the colour is exactly as shown.",
    "It broke after one week. The shop never answered my letters.",
    "Not bad, not good. The first half drags, the second half almost makes up for it.",
    "Das Essen war kalt, aber die Bedienung war sehr freundlich.",
    "Un hôtel charmant, propre et calme, à deux pas de la gare.",
    "La película es larga, pero el final merece la pena.",
    "Five stars <br /> for the sound, two stars <br> for the battery.",
    "I loved the music and the pictures; the story is thin and the jokes are old.",
    "Worst purchase of the year, ever. Do not buy this. Terrible, awful, boring!",
    "Best meal we had in the whole city, wonderful people, excellent wine.",
    "0 1 2 3 4 5 6 7 8 9 10 % & ( ) / = ? ! . , : ; - _ ' \" # + *",
)
"""The words of the tiny tokenizer; written for these tests."""

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tiny_vocabulary() -> dict[str, int]:
    """The words of these texts, whole and as starts and ends of others, and every letter, with the same ids each time.

    Made by hand because two trainings of a WordPiece vocabulary give different tokens.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = {word for text in VOCABULARY_TEXTS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = {letter for word in words for letter in word}
    parts = {word[:3] for word in words} | {f"##{word[-3:]}" for word in words if len(word) > 3}
    tokens = letters | {f"##{letter}" for letter in letters} | parts | {word for word in words if len(word) < 8}
    return {token: number for number, token in enumerate([*SPECIAL_TOKENS, *sorted(tokens)])}


def tiny_tokenizer() -> Tokenizer:
    """A lower-casing WordPiece tokenizer of a few hundred tokens, built like BERT's; a new copy each time."""
    tokenizer = Tokenizer(models.WordPiece(tiny_vocabulary(), unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", first), ("[SEP]", last)],
    )
    return tokenizer


def save_tiny_distilbert(folder: Path, labels: tuple[str, ...], *, seed: int = 7) -> Path:
    """A random DistilBERT classifier in the layout of ``transformers``; its predictions differ between texts."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertTokenizerFast

    tokenizer = tiny_tokenizer()
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=512,
        dim=32,
        hidden_dim=64,
        n_layers=2,
        n_heads=4,
        # Ten times the usual: with 0.02 every text would get nearly the same logits.
        initializer_range=0.2,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={name: label for label, name in enumerate(labels)},
    )
    model = DistilBertForSequenceClassification(config).eval()
    # The mean logit of each label is moved to zero, so that every label is predicted for some text.
    with torch.no_grad():
        runs = [torch.tensor([tokenizer.encode(text).ids]) for text in VOCABULARY_TEXTS]
        model.classifier.bias -= torch.cat([model(run).logits for run in runs]).mean(dim=0)
    model.save_pretrained(folder)
    DistilBertTokenizerFast(tokenizer_object=tokenizer, model_max_length=512).save_pretrained(folder)
    return folder


_N_FROZEN = [0]
"""Number of modules that were loaded when the garbage collector was last told to leave them alone."""


@pytest.fixture(autouse=True)
def frozen_libraries() -> None:
    """Keep the libraries that are loaded by now out of the garbage collector: a training looks through all of it."""
    if len(sys.modules) > _N_FROZEN[0] + 100:
        gc.collect()
        gc.freeze()
        _N_FROZEN[0] = len(sys.modules)


@pytest.fixture(autouse=True)
def words(request: pytest.FixtureRequest) -> Iterator[None]:
    """Errors in the words in which the program has them, with options; a caller in Python is ``in_python``."""
    if request.node.get_closest_marker("in_python") is not None:
        yield
    else:
        with words_of_a_shell():
            yield


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """Undo the changes that a command makes to this process."""
    with as_before():
        yield


@pytest.fixture
def in_process(capsys: pytest.CaptureFixture[str]) -> InProcess:
    """Make a function that runs a command in this process as its console script does: exit code, stdout, stderr."""

    def caller(command: click.Command, env_prefix: str = "SCORER") -> Call:
        def call(*arguments: object) -> tuple[int, str, str]:
            with pytest.raises(SystemExit) as left:
                run(command, [str(argument) for argument in arguments], env_prefix=env_prefix)
            captured = capsys.readouterr()
            assert isinstance(left.value.code, int)
            return left.value.code, captured.out, captured.err

        return call

    return caller


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random DistilBERT sequence classifier with the labels negative and positive."""
    return save_tiny_distilbert(tmp_path_factory.mktemp("models") / "checkpoint", ("negative", "positive"))


@pytest.fixture(scope="session")
def three_label_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the labels negative, neutral and positive."""
    folder = tmp_path_factory.mktemp("models") / "three-labels"
    return save_tiny_distilbert(folder, ("negative", "neutral", "positive"))


def save_tiny_bert(folder: Path, *, layers: int, heads: int) -> Path:
    """A random encoder of BERT's layout without a classifier's head, as sentence encoders are published."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = tiny_tokenizer()
    torch.manual_seed(11)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        initializer_range=0.2,
    )
    BertModel(config).eval().save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=512).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of :func:`save_tiny_bert` with as many layers and heads as ``tiny_checkpoint``."""
    return save_tiny_bert(tmp_path_factory.mktemp("models") / "bert", layers=2, heads=4)


@pytest.fixture(scope="session")
def optimum_folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny_checkpoint`` as plain ``optimum-cli export onnx`` writes it, without any file of ours."""
    from optimum.exporters.onnx import main_export

    folder = tmp_path_factory.mktemp("models") / "optimum"
    main_export(str(tiny_checkpoint), folder, task="text-classification", do_validation=False)
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny_checkpoint`` as a bundle with fp32, fp16 and int8."""
    return _exported(tiny_checkpoint, tmp_path_factory.mktemp("models") / "bundle")


@pytest.fixture(scope="session")
def three_label_bundle(three_label_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``three_label_checkpoint`` as a bundle with fp32, fp16 and int8."""
    return _exported(three_label_checkpoint, tmp_path_factory.mktemp("models") / "three-labels-bundle")


def _exported(checkpoint: Path, folder: Path) -> Path:
    from export.exporting import export_model
    from export.options import ExportOptions

    export_model(ExportOptions(str(checkpoint), folder, precisions=("fp32", "fp16", "int8"), threads=1))
    return folder


WORDS = ("dull bad loud boring awful worst", "warm wonderful funny great loved excellent")
"""Of the labels 0 and 1 in :func:`labelled_texts`."""


@pytest.fixture(scope="session")
def labelled_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 texts with words that tell the label, for any model to learn; 6 of each film."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = random.Random(1)
    rows = [
        {"text": " ".join(draw.choices(WORDS[number % 2].split(), k=4)), "label": number % 2, "film": number // 6}
        for number in range(96)
    ]
    path = tmp_path_factory.mktemp("labelled") / "labelled.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def call_score(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: InProcess) -> Call:
    """`score` in this process, in ``tmp_path``, with the tiny model: exit code, stdout, stderr."""
    from scorer.commands.score import score

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCORER_MODEL", str(tiny_bundle))
    monkeypatch.setenv("SCORER_THREADS", "1")
    return in_process(score)


@pytest.fixture(scope="session")
def score_forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Processes of `score` and `evaluate-labels`: with all that they load, as after a plain installation."""
    rooms = ("run.score_inputs", "job.resumable_job", "job.local_engine", "files.csv_source", "files.parquet_source")
    modules = [f"scorer.{name}" for name in (*rooms, "files.jsonl_source", "evaluation.evaluate", "report.terminal")]
    # What `score` sets before it loads them.
    variables = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
    with forks(tmp_path_factory.mktemp("forks"), modules, {**base_environment(), **variables}) as running:
        yield running


@pytest.fixture
def call_train(in_process: InProcess) -> Call:
    """`train-model` in this process: exit code, stdout, stderr."""
    from train.cli import train_model

    return in_process(train_model, "TRAIN_MODEL")
