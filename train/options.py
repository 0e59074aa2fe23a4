"""Options of ``train-model``: one value, made in the CLI and passed whole."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scorer.errors import UsageError
from scorer.files.file_options import FileOptions
from scorer.model.preprocessing import Preprocessing

METRICS = ("f1", "accuracy", "loss")
"""Figures by which the best epoch can be chosen; ``loss`` is the validation loss, the lower the better."""

FEW_ROWS: Mapping[str, Any] = {
    "model": "sentence-transformers/all-MiniLM-L6-v2",
    "epochs": 6.0,
    "batch_size": 8,
    "learning_rate": 1e-4,
    "metric": "loss",
}
"""The recipe for some hundred rows, which the help, the README and the tutorial recommend."""


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """The last part of each path, or as many of the last as tell different paths apart."""
    parts = {path: Path(path).resolve().parts for path in paths}
    names = {}
    for path, own in parts.items():
        length = 1
        while length < len(own) and any(o != own and o[-length:] == own[-length:] for o in parts.values()):
            length += 1
        names[path] = "/".join(own[-length:])
    return names


@dataclass(frozen=True)
class TrainOptions(FileOptions):
    """Options of :func:`train.training.train_model`, of reading files too; the defaults are the origin's recipe.

    Attributes:
        output: folder of the finished checkpoint; ``None`` only for a baseline alone.
        model: a folder or a Hub id.
        keep_layout: leave BERT's layout as it is in place of rearranging it into DistilBERT's.
        train: files, folders or the name of a Hub data set.
        eval: the same for validation; empty means that ``validation_split`` of ``train`` is held out.
        validation_split: share of the training rows that is held out, in (0, 1); 0 for none.
        group_column: rows that share its value stay on one side of that split.
        label_names: names of the label ids 0, 1, …, for files that hold numbers.
        batch_tokens: tokens in a batch, padding included, in place of ``batch_size`` rows; ``None`` for rows.
        fp16: float16 on CUDA; ``None`` is on where the GPU has no bfloat16.
        bf16: bfloat16 autocast; ``None`` is on if the GPU or, without one, the CPU has the instructions.
        dropout, attention_dropout: ``None`` keeps the checkpoint's own.
        train_max_length: tokens per review in training alone, to save time; ``None`` is ``preprocessing.max_length``,
            the length of validation and of scoring.
        teacher: files of predictions as ``score`` writes them, and checkpoint folders; each row becomes a training
            row whose target is the mean of their probabilities.
        unlabelled: files of texts for teachers that are checkpoints; empty for the training texts.
        teacher_weight: weight of such a row's loss; a labelled row's is 1.
        max_teacher_samples: number of those rows, drawn by ``seed``; ``None`` for all.
        pretrain_on: files of unlabelled texts on which the encoder is adapted first, by guessing masked words.
        pretrain_epochs, pretrain_learning_rate: of that adaptation; its batches hold ``pretrain_batch_size`` texts
            of ``pretrain_max_length`` tokens. ``max_pretrain_samples`` texts are drawn by ``seed``; ``None`` for all.
        min_f1: F1 in validation below which nothing is written, nor after a collapse; ``None`` for no gate.
        class_weights: ``balanced``, or ``name=weight,…`` for each label; ``None`` for 1.
        average: decay of the moving average of the weights, which is validated and kept; 0 for none.
        report_to: trackers of ``Trainer`` that get its figures, such as ``tensorboard``.
        baseline: fit the linear baseline in place of an encoder.
        predict: files whose texts the baseline labels; empty for the validation rows.
        predictions: file for those predictions, in the format that ``score`` writes.
        threads: of PyTorch on the CPU; ``None`` is the CPUs that this process may use, or fewer by ``OMP_NUM_THREADS``.
        save_steps: checkpoints between epochs, every so many steps, for ``resume``; 0 for none.
        resume: continue the unfinished training of the same options.
        overwrite: replace an existing ``output`` and, without ``resume``, an unfinished training.
    """

    output: Path | None
    model: str = "distilbert-base-uncased"
    keep_layout: bool = False
    train: tuple[str, ...] = ("imdb",)
    eval: tuple[str, ...] = ()
    validation_split: float = 0.0
    group_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_names: tuple[str, ...] = ()
    learning_rate: float = 2e-5
    batch_size: int = 4
    batch_tokens: int | None = None
    epochs: float = 2.0
    fp16: bool | None = None
    bf16: bool | None = None
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    label_smoothing: float = 0.0
    grad_accumulation: int = 1
    dropout: float | None = None
    attention_dropout: float | None = None
    metric: str = "f1"
    min_f1: float | None = None
    patience: int | None = None
    group_by_length: bool = True
    max_train_samples: int | None = None
    train_max_length: int | None = None
    teacher: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    teacher_weight: float = 1.0
    max_teacher_samples: int | None = None
    pretrain_on: tuple[str, ...] = ()
    pretrain_epochs: float = 1.0
    pretrain_learning_rate: float = 1e-4
    pretrain_batch_size: int = 32
    pretrain_max_length: int = 128
    max_pretrain_samples: int | None = None
    class_weights: str | None = None
    average: float = 0.0
    report_to: tuple[str, ...] = ()
    baseline: bool = False
    predict: tuple[str, ...] = ()
    predictions: Path | None = None
    threads: int | None = None
    save_steps: int = 0
    seed: int = 42
    resume: bool = False
    overwrite: bool = False
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def command(self, *, as_typed: bool = False) -> str:
        """The command line with these options but the defaults; paths have short names unless ``as_typed``."""
        names = {} if as_typed else self.public_names()
        output = self.output if self.output is None or as_typed else self.output.resolve().name
        words = ["train-model", *(() if output is None else ("-o", str(output)))]
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in ("output", "resume", "overwrite", "preprocessing") or value == option.default:
                continue
            if option.name == "label_names":
                value = ",".join(value)
            flag = "--" + option.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(flag if value else f"--no-{flag[2:]}")
                continue
            for item in value if isinstance(value, tuple) else (value,):
                text = str(item).removesuffix(".0") if isinstance(item, float) else str(item)
                words += [flag, names.get(text, text)]
        cut, default = self.preprocessing, Preprocessing()
        if cut.max_length != default.max_length:
            words += ["--max-length", str(cut.max_length)]
        if cut.long_text != default.long_text:
            words += ["--long-text", cut.long_text]
        return shlex.join([*words, *(word for step in cut.clean for word in ("--clean", step))])

    def public_names(self) -> dict[str, str]:
        """Names of local files and folders for other people: base names, longer if two are alike."""
        sources = (self.model, *self.train, *self.eval, *self.teacher, *self.unlabelled, *self.pretrain_on)
        given = (*sources, *self.predict, *(() if self.predictions is None else (str(self.predictions),)))
        local = [name for name in given if Path(name).exists() or Path(name).is_absolute() or name.startswith(".")]
        return short_names(local)

    @property
    def folder(self) -> Path:
        """``output`` of a training that needs one.

        Raises:
            UsageError: it is missing.
        """
        if self.output is None:
            raise UsageError("--output is missing", hint="pass -o FOLDER for the new checkpoint")
        return self.output

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number_columns("text_column", "label_column", "group_column")
        if self.predictions is not None and not self.baseline:
            raise UsageError("--predictions needs --baseline", hint="predictions of an encoder come from `score`")
        if self.predict and self.predictions is None:
            raise UsageError("--predict needs --predictions", hint="name the file to write")
        if self.output is None and not self.baseline:
            raise UsageError("--output is missing", hint="pass -o FOLDER for the new checkpoint")
        if not self.baseline and self.folder.name in ("", ".."):
            raise UsageError("is not a valid name for a new folder", path=self.folder, hint="choose another name")
        if self.label_names and (len(set(self.label_names)) < max(2, len(self.label_names)) or "" in self.label_names):
            raise UsageError(
                f"--label-names {','.join(self.label_names)} does not name two labels or more, each once",
                hint="pass the names of the ids 0, 1, … with commas between",
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is out of range", hint="pass a number from 0 to 4294967295")
        if self.metric not in METRICS:
            raise UsageError(f"unknown metric {self.metric!r}", hint=f"choose one of {', '.join(METRICS)}")
        if self.fp16 and self.bf16:
            raise UsageError("--fp16 and --bf16 cannot be combined", hint="pass one of them")
        if self.batch_tokens is not None and self.batch_size != TrainOptions.batch_size:
            raise UsageError("--batch-size and --batch-tokens cannot be combined", hint="pass one of them")
        if self.eval and self.validation_split:
            raise UsageError("--eval and --validation-split cannot be combined", hint="pass one of them")
        if self.group_column and not self.validation_split:
            raise UsageError("--group-column needs --validation-split", hint="pass the share to hold out")
        if not self.teacher and (self.teacher_weight != 1.0 or self.max_teacher_samples is not None):
            raise UsageError("--teacher-weight and --max-teacher-samples need --teacher", hint="pass --teacher FILE")
        if self.unlabelled and not self.teacher:
            raise UsageError("--unlabelled needs --teacher", hint="pass the checkpoint that is to label it")
        if not self.label_smoothing < 1:
            raise UsageError(f"--label-smoothing {self.label_smoothing} must be less than 1")
        for name, value in (
            ("--validation-split", self.validation_split),
            ("--warmup-ratio", self.warmup_ratio),
            ("--average", self.average),
        ):
            if not 0 <= value < 1:
                raise UsageError(f"{name} {value} must be from 0 to below 1", hint="pass a number from 0 to below 1")
        for name, value in (
            ("--learning-rate", self.learning_rate),
            ("--batch-size", self.batch_size),
            ("--threads", 1 if self.threads is None else self.threads),
            ("--epochs", self.epochs),
            ("--layer-decay", self.layer_decay),
            ("--grad-accumulation", self.grad_accumulation),
            ("--teacher-weight", self.teacher_weight),
            ("--pretrain-epochs", self.pretrain_epochs),
            ("--pretrain-learning-rate", self.pretrain_learning_rate),
        ):
            if not 0 < value < math.inf:
                raise UsageError(f"{name} {value} must be more than 0 and finite")
        for name, value in (
            ("--weight-decay", self.weight_decay),
            ("--label-smoothing", self.label_smoothing),
            ("--save-steps", self.save_steps),
        ):
            if not 0 <= value < math.inf:
                raise UsageError(f"{name} {value} must be finite and not negative")
