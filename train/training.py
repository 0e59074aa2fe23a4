"""Fine-tuning with Hugging Face ``Trainer``."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from scorer.encoding import TextEncoder
from scorer.errors import OutputError, OutputExistsError, ScorerError, UsageError
from scorer.preprocessing import save_preprocessing
from train.averaging import WeightAverage
from train.callbacks import LogAtEpochEnd, Narrator, SaveBetweenEpochs, StopEarly, StopOnNaN, epochs_without_gain
from train.checkpoints import backend_tokenizer, last_whole_checkpoint, load_classifier, max_positions
from train.data import encode_rows, load_splits
from train.data_record import record_data
from train.history import History
from train.lineage import lineage_of, start_of
from train.metrics import ClassificationMetrics
from train.options import TrainOptions
from train.pretraining import FOLDER, adapt
from train.report import save_report
from train.soft_targets import class_weights_of, with_label_vectors
from train.teachers import teach
from train.trainer import ReviewTrainer

log = logging.getLogger(__name__)

_WORK_SUFFIX = ".training"
_OPTIONS_FILE = "options.json"
_NO_DECAY = ("bias", "layer_norm", "LayerNorm")


def train_model(options: TrainOptions) -> History:
    """Fine-tune a classifier and write it, its tokenizer, its preprocessing and its history.

    The run works in ``OUTPUT.training`` beside the output, which holds the checkpoints that
    ``resume`` goes on from; the folder is renamed to the output once the training has ended.

    Raises:
        UsageError: options clash, or there is nothing to validate on or to resume.
        OutputExistsError: the output stands already.
        InputError: the data cannot be used.
        ModelError: the starting checkpoint cannot be used.
        OutputError: the checkpoint could not be written.
    """
    work = options.folder.with_name(options.folder.name + _WORK_SUFFIX)
    _prepare_folders(options, work)
    try:
        return _train(options, work)
    except BaseException:
        if not _can_be_resumed(work):
            shutil.rmtree(work, ignore_errors=True)
        raise


def _train(options: TrainOptions, work: Path) -> History:
    checkpoint = last_whole_checkpoint(work) if options.resume else None
    if options.resume and not _can_be_resumed(work):
        raise UsageError("there is no checkpoint to resume from", path=work, hint="leave --resume out")
    _keep_to_the_same_run(options, work)

    torch.manual_seed(options.seed)
    train_set, eval_set = load_splits(options)
    data = record_data(train_set, eval_set, options)
    model, tokenizer = load_classifier(
        options.model,
        train_set.label_names,
        dropout=options.dropout,
        attention_dropout=options.attention_dropout,
    )
    start, lineage = start_of(options.model), tuple(lineage_of(options))
    positions = max_positions(model.config)
    if options.preprocessing.max_length > positions:
        raise UsageError(
            f"--max-length {options.preprocessing.max_length} is more than the model's {positions} positions"
        )
    backend = backend_tokenizer(tokenizer, options.model)
    weights = class_weights_of(options.class_weights, train_set)
    if options.teacher or weights is not None:
        train_set = with_label_vectors(train_set, smoothing=options.label_smoothing, class_weights=weights)
    if options.teacher:
        train_set = teach(train_set, eval_set, options, work)
    in_training = options.preprocessing.with_options(max_length=options.train_max_length)
    train_rows = encode_rows(train_set.rows, TextEncoder(backend, in_training))
    eval_rows = encode_rows(eval_set.rows, TextEncoder(backend, options.preprocessing))
    log.info("%d training rows, %d validation rows, labels: %s", len(train_rows), len(eval_rows), train_set.label_names)

    arguments = _training_arguments(options, work)
    if options.pretrain_on:
        held = frozenset(eval_set.rows["text"])
        data["pretraining_result"] = adapt(model, tokenizer, options, work, left_out=held, bf16=arguments.bf16)
    callbacks: list[TrainerCallback] = [LogAtEpochEnd(), Narrator(), StopOnNaN()]
    if options.save_steps:
        callbacks.append(SaveBetweenEpochs(options.save_steps))
    if options.patience is not None:
        callbacks.append(StopEarly(options.metric, options.patience))
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            if epochs_without_gain(state, options.metric) >= options.patience:
                arguments.num_train_epochs = state.epoch  # it had stopped, and was killed before it was published
    trainer = ReviewTrainer(
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=eval_rows,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=ClassificationMetrics(len(train_set.label_names)),
        optimizers=(_optimizer(model, options), None),
        callbacks=callbacks,
        average=WeightAverage(model, options.average) if options.average else None,
    )
    for printing in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printing)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    history = History.from_log(
        trainer.state.log_history,
        metric=options.metric,
        best_epoch=_best_epoch(trainer.state, options.metric),
        settings=_settings(options, arguments),
        data=data,
    )
    history = replace(history, start=start, lineage=lineage)
    _publish(trainer, history, options, work)
    return history


def _prepare_folders(options: TrainOptions, work: Path) -> None:
    if options.folder.exists() and not options.overwrite:
        raise OutputExistsError("stands already", path=options.folder, hint="pass --overwrite to replace it")
    if options.folder.exists() and not (options.folder / "config.json").is_file():
        raise OutputExistsError("is no checkpoint and is left alone", path=options.folder, hint="choose another name")
    if not options.folder.absolute().parent.is_dir():
        raise OutputError("no such folder", path=options.folder.absolute().parent, hint="make it first")
    if not options.resume and work.exists():
        shutil.rmtree(work)
    try:
        work.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be made: {error.strerror}", path=work) from error


def _can_be_resumed(work: Path) -> bool:
    """Whether ``work`` holds anything that took time: a checkpoint of any stage, or what a teacher said."""
    kept = ("*/trainer_state.json", f"{FOLDER}/*/trainer_state.json", f"{FOLDER}/*.json", "*.npy")
    return any(path for pattern in kept for path in work.glob(pattern))


def _keep_to_the_same_run(options: TrainOptions, work: Path) -> None:
    """Write the options beside the checkpoints; a resumed run must have those that stand there."""
    kept = work / _OPTIONS_FILE
    now = {name: value for name, value in asdict(options).items() if name not in ("output", "resume", "overwrite")}
    now = json.loads(json.dumps(now, default=str))
    if options.resume and kept.is_file():
        before = json.loads(kept.read_text(encoding="utf-8"))
        changed = [name for name in now if before.get(name, now[name]) != now[name]]
        if changed:
            name = changed[0]
            raise UsageError(
                f"--{name.replace('_', '-')} was {before[name]} and is {now[name]}",
                path=work,
                hint="a run is resumed with the command that began it",
            )
    kept.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


def _training_arguments(options: TrainOptions, work: Path) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    if "tensorboard" in options.report_to and not (find_spec("tensorboard") or find_spec("tensorboardX")):
        raise UsageError("--report-to tensorboard needs tensorboard", hint="pip install tensorboard")
    if options.fp16 and not cuda:
        raise UsageError("--fp16 needs CUDA, which is not here", hint="leave it out or pass --bf16")
    fp16 = cuda if options.fp16 is None else options.fp16
    bf16 = options.bf16
    if bf16 is None:
        bf16 = not cuda and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return TrainingArguments(
        output_dir=str(work),
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=32,
        num_train_epochs=options.epochs,
        gradient_accumulation_steps=options.grad_accumulation,
        warmup_ratio=options.warmup_ratio,
        weight_decay=options.weight_decay,
        # Label vectors are smoothed as they are made, and a teacher's not at all.
        label_smoothing_factor=0.0 if options.teacher or options.class_weights else options.label_smoothing,
        fp16=fp16,
        bf16=bf16 and not fp16,
        use_cpu=not cuda,
        group_by_length=options.group_by_length,
        length_column_name="length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="loss" if options.metric == "loss" else options.metric,
        greater_is_better=options.metric != "loss",
        logging_steps=25,
        logging_nan_inf_filter=False,
        seed=options.seed,
        data_seed=options.seed,
        report_to=list(options.report_to) or "none",
        logging_dir=str(work / "runs"),
        include_num_input_tokens_seen="non_padding",
        disable_tqdm=True,
    )


def _optimizer(model: PreTrainedModel, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW whose rate falls by ``layer_decay`` with each layer further from the head.

    With a decay of 1 every parameter has the one rate; biases and layer norms are never decayed.
    """
    n_layers = int(model.config.num_hidden_layers)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".layer." in name:
            depth = n_layers - int(name.split(".layer.")[1].split(".")[0])
        elif ".embeddings." in name:
            depth = n_layers + 1
        else:
            depth = 0
        rate = options.learning_rate * options.layer_decay**depth
        decay = 0.0 if any(part in name for part in _NO_DECAY) else options.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
        lr=options.learning_rate,
        fused=True,
    )


def _best_epoch(state: TrainerState, metric: str) -> float:
    evaluations = [entry for entry in state.log_history if "eval_loss" in entry]
    if not evaluations:
        raise ScorerError("the training ended without an evaluation")
    key = f"eval_{metric}"
    best = (min if metric == "loss" else max)(evaluations, key=lambda entry: entry[key])
    return float(best["epoch"])


def _settings(options: TrainOptions, arguments: TrainingArguments) -> dict[str, Any]:
    """What made this checkpoint, as JSON values; goes into its history and, at export, into the bundle."""
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
    # As JSON reads it: tuples are lists and paths are texts.
    return dict(json.loads(json.dumps(settings, default=str)))


def _publish(trainer: Trainer, history: History, options: TrainOptions, work: Path) -> None:
    finished = work / "finished"
    try:
        trainer.model.save_pretrained(finished)
        trainer.data_collator.tokenizer.save_pretrained(finished)
        save_preprocessing(options.preprocessing, finished)
        history.save(finished)
        save_report(history, finished, name=options.folder.name)
        if (work / "runs").is_dir():
            (work / "runs").rename(finished / "runs")
        if options.folder.exists():
            shutil.rmtree(options.folder)
        finished.rename(options.folder)
        shutil.rmtree(work)
    except OSError as error:
        raise OutputError(f"the checkpoint could not be written: {error}", path=options.folder) from error
