"""Fine-tuning with Hugging Face ``Trainer``."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)

from scorer.disk.locking import locked
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.model.configuration import max_positions_of
from scorer.model.preprocessing import save_preprocessing
from scorer.model.token_runs import TextEncoder
from train.averaging import WeightAverage
from train.best_epoch import evaluations, place_of_best
from train.callbacks import SaveBetweenEpochs, StopEarly
from train.checkpoints import backend_tokenizer, last_whole_checkpoint, load_classifier, save_classifier
from train.data import load_splits, shown_names, unnamed
from train.data_record import files_of, record_data
from train.device import threads
from train.encoders import depths
from train.encoding import encode_rows, padding_multiple
from train.history import History
from train.lineage import lineage_of, start_of
from train.metrics import ClassificationMetrics
from train.options import TrainOptions
from train.pretraining import adapt
from train.report import save_report
from train.saving import saving
from train.soft_targets import class_weights_of, with_label_vectors
from train.teachers import teach
from train.trainer import ReviewTrainer, shared_arguments
from train.unfinished import UnfinishedTraining
from train.verdict import judge

log = logging.getLogger(__name__)


def train_model(options: TrainOptions) -> History:
    """Fine-tune a classifier and write it, its tokenizer, its preprocessing and its history.

    The run works in ``OUTPUT.training`` beside the output and keeps its checkpoints there for ``resume``;
    the finished model is renamed to the output.

    Raises:
        UsageError: options clash, or rows to validate on or a training to resume are missing.
        OutputExistsError: the output already exists, or an unfinished training does.
        BusyError: another training to the same output is running.
        InputError: the data cannot be used.
        ModelError: the starting checkpoint cannot be used.
        QualityGateError: the training collapsed, or its F1 is below ``options.min_f1``; it can be resumed.
        OutputError: the checkpoint could not be written.
    """
    work = UnfinishedTraining(options)
    with locked(options.folder):
        work.check()
        try:
            with threads(options.threads):
                return _train(options, work)
        except BaseException as error:
            if not work.can_be_resumed():
                shutil.rmtree(work.folder, ignore_errors=True)
            elif isinstance(error, OutputError):
                raise error.with_hint(hint="make room, then run the same command with --resume") from error
            elif not isinstance(error, ScorerError):  # which has a hint of its own
                log.info("%s is kept: the same command with --resume goes on from its last checkpoint", work.folder)
            raise


def _train(options: TrainOptions, work: UnfinishedTraining) -> History:
    torch.manual_seed(options.seed)
    train_set, eval_set = load_splits(options)
    data = record_data(train_set, eval_set, options)
    work.take_files(files_of(data))
    model, tokenizer = load_classifier(
        options.model,
        train_set.label_names,
        dropout=options.dropout,
        attention_dropout=options.attention_dropout,
        keep_layout=options.keep_layout,
    )
    start, lineage = start_of(options.model), tuple(lineage_of(options))
    positions = max_positions_of(model.config.to_dict())
    _require_positions(options, positions)
    backend = backend_tokenizer(tokenizer, options.model)
    weights = class_weights_of(options.class_weights, train_set)
    arguments = _training_arguments(options, model.config.model_type, work.folder)
    if options.teacher or weights is not None:
        train_set = with_label_vectors(train_set, smoothing=options.label_smoothing, class_weights=weights)
    if options.teacher:
        train_set = teach(train_set, eval_set, options, work)
    in_training = options.preprocessing.with_options(max_length=options.train_max_length)
    train_rows = encode_rows(train_set, TextEncoder(backend, in_training))
    eval_rows = encode_rows(eval_set, TextEncoder(backend, options.preprocessing))
    labels = shown_names(train_set.label_names)
    log.info("%d training rows, %d validation rows, labels: %s", len(train_rows), len(eval_rows), labels)
    if unnamed(train_set.label_names):
        log.warning("the labels are numbers, so they are called %s; name them with --label-names", labels)

    if options.pretrain_on:
        held = frozenset(eval_set.texts)
        data["pretraining_result"] = adapt(model, tokenizer, options, work, left_out=held)
    callbacks: list[TrainerCallback] = []
    if options.save_steps:
        callbacks.append(SaveBetweenEpochs(options.save_steps))
    if options.patience is not None:
        callbacks.append(StopEarly(options.metric, options.patience))
    work.begin()
    trainer = ReviewTrainer(
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=eval_rows,
        data_collator=DataCollatorWithPadding(
            tokenizer, pad_to_multiple_of=padding_multiple(options.preprocessing.max_length, positions)
        ),
        compute_metrics=ClassificationMetrics(len(train_set.label_names)),
        optimizers=(_optimizer(model, options), None),
        callbacks=callbacks,
        average=WeightAverage(model, options.average) if options.average else None,
        batch_tokens=options.batch_tokens,
    )
    trainer.resume(last_whole_checkpoint(work.folder) if options.resume else None)
    history = History.from_log(
        trainer.state.log_history,
        metric=options.metric,
        best_epoch=_best_epoch(trainer.state, options.metric),
        settings=_settings(options, arguments),
        data=data,
        start=start,
        lineage=lineage,
    )
    judge(history, options)
    _publish(trainer, history, options, work)
    return history


def _require_positions(options: TrainOptions, positions: int | None) -> None:
    lengths = {"--max-length": options.preprocessing.max_length, "--train-max-length": options.train_max_length or 0}
    if options.pretrain_on:
        lengths["--pretrain-max-length"] = options.pretrain_max_length
    for name, length in lengths.items():
        if positions is not None and length > positions:
            raise UsageError(f"{name} {length} is more than the model's {positions} positions")


def _training_arguments(options: TrainOptions, kind: str, work: Path) -> TrainingArguments:
    if "tensorboard" in options.report_to and not (find_spec("tensorboard") or find_spec("tensorboardX")):
        raise UsageError("--report-to tensorboard needs tensorboard", hint="pip install tensorboard")
    return TrainingArguments(
        **shared_arguments(options, kind, work),
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=32,
        num_train_epochs=options.epochs,
        gradient_accumulation_steps=options.grad_accumulation,
        warmup_ratio=options.warmup_ratio,
        weight_decay=options.weight_decay,
        # Label vectors are smoothed when they are made, and a teacher's not at all.
        label_smoothing_factor=0.0 if options.teacher or options.class_weights else options.label_smoothing,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model=options.metric,
        greater_is_better=options.metric != "loss",
        report_to=list(options.report_to) or "none",
        logging_dir=str(work / "runs"),
        include_num_input_tokens_seen="non_padding",
    )


def _optimizer(model: PreTrainedModel, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW with a rate that falls by ``layer_decay`` with each layer further from the head.

    With a decay of 1 every parameter has the same rate. Biases and layer norms, which have one dimension, never decay.
    """
    depth_of = depths(model)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = options.learning_rate * options.layer_decay ** depth_of[name]
        decay = options.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
        lr=options.learning_rate,
        fused=True,
    )


def _best_epoch(state: TrainerState, metric: str) -> float:
    evaluated = evaluations(state.log_history)
    if not evaluated:
        raise ScorerError("the training ended without an evaluation")
    return float(evaluated[place_of_best(evaluated, metric)]["epoch"])


def _settings(options: TrainOptions, arguments: TrainingArguments) -> dict[str, Any]:
    """Options, versions and machine as JSON values, for the history and, at export, for the bundle."""
    settings = asdict(options)
    settings.pop("output")
    settings["fp16"], settings["bf16"] = arguments.fp16, arguments.bf16
    settings["command"] = options.command()
    settings["versions"] = {name: version(name) for name in ("torch", "transformers", "datasets")}
    settings["machine"] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
    # As JSON holds them: tuples become lists and paths become texts.
    return dict(json.loads(json.dumps(settings, default=str)))


def _publish(trainer: Trainer, history: History, options: TrainOptions, work: UnfinishedTraining) -> None:
    finished, runs = work.folder / "finished", work.folder / "runs"
    with saving(options.folder):
        save_classifier(trainer.model, trainer.data_collator.tokenizer, finished)
        save_preprocessing(options.preprocessing, finished)
        history.save(finished)
        save_report(history, finished, name=options.folder.name)
        if runs.is_dir():
            shutil.copytree(runs, finished / "runs", dirs_exist_ok=True)
    work.publish(finished)
