"""Fine-tuning with Hugging Face ``Trainer``."""

from __future__ import annotations

import logging
import math
import shutil
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from scorer.encoding import TextEncoder
from scorer.errors import InputError, OutputError, OutputExistsError, ScorerError, UsageError
from scorer.preprocessing import save_preprocessing
from train.checkpoints import backend_tokenizer, load_classifier, max_positions
from train.data import encode_rows, load_splits
from train.history import History
from train.metrics import ClassificationMetrics
from train.options import TrainOptions
from train.soft_targets import SoftTargetTrainer
from train.teachers import teach

log = logging.getLogger(__name__)

_WORK_SUFFIX = ".training"
_SAY_EVERY_SECONDS = 30.0
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
    checkpoint = get_last_checkpoint(str(work)) if options.resume else None
    if options.resume and checkpoint is None:
        raise UsageError("there is no checkpoint to resume from", path=work, hint="leave --resume out")

    torch.manual_seed(options.seed)
    train_set, eval_set = load_splits(options)
    model, tokenizer = load_classifier(
        options.model,
        train_set.label_names,
        dropout=options.dropout,
        attention_dropout=options.attention_dropout,
    )
    positions = max_positions(model.config)
    if options.preprocessing.max_length > positions:
        raise UsageError(
            f"--max-length {options.preprocessing.max_length} is more than the model's {positions} positions"
        )
    backend = backend_tokenizer(tokenizer, options.model)
    if options.teacher:
        train_set = teach(train_set, eval_set, options)
    in_training = options.preprocessing.with_options(max_length=options.train_max_length)
    train_rows = encode_rows(train_set.rows, TextEncoder(backend, in_training))
    eval_rows = encode_rows(eval_set.rows, TextEncoder(backend, options.preprocessing))
    log.info("%d training rows, %d validation rows, labels: %s", len(train_rows), len(eval_rows), train_set.label_names)

    callbacks: list[TrainerCallback] = [_LogAtEpochEnd(), _Narrator(), _StopOnNaN()]
    if options.save_steps:
        callbacks.append(_SaveBetweenEpochs(options.save_steps))
    if options.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=options.patience))
    arguments = _training_arguments(options, work)
    trainer = SoftTargetTrainer(
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=eval_rows,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=ClassificationMetrics(len(train_set.label_names)),
        optimizers=(_optimizer(model, options), None),
        callbacks=callbacks,
    )
    for printing in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printing)
    trainer.train(resume_from_checkpoint=checkpoint)
    history = History.from_log(
        trainer.state.log_history,
        metric=options.metric,
        best_epoch=_best_epoch(trainer.state, options.metric),
        settings=_settings(options, arguments),
    )
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


def _training_arguments(options: TrainOptions, work: Path) -> TrainingArguments:
    cuda = torch.cuda.is_available()
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
        # The teachers' rows are smooth by themselves; those with gold labels are smoothed when vectors are made.
        label_smoothing_factor=0.0 if options.teacher else options.label_smoothing,
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
        report_to=[],
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


class _SaveBetweenEpochs(TrainerCallback):  # type: ignore[misc]
    """Checkpoints every so many steps, beside the one per epoch that choosing the best epoch needs.

    ``save_strategy="steps"`` cannot do it: Trainer then wants to evaluate at the same steps.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self._steps == 0:
            control.should_save = True


class _LogAtEpochEnd(TrainerCallback):  # type: ignore[misc]
    """Logs the training loss at the end of an epoch too, so that every step counts in the table."""

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log = True


class _Narrator(TrainerCallback):  # type: ignore[misc]
    """Tells on stderr how the run goes: a line every half minute, and one per evaluation.

    Takes the place of Trainer's own callbacks, which print to stdout.
    """

    def __init__(self) -> None:
        self._begun = self._said = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._begun = self._said = time.monotonic()
        self._first_step = state.global_step

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        now = time.monotonic()
        if "eval_loss" in logs:
            figures = ", ".join(f"{name} {logs[f'eval_{name}']:.4f}" for name in ("loss", "accuracy", "f1"))
            log.info("epoch %g: validation %s", logs["epoch"], figures)
        elif "loss" in logs and now - self._said >= _SAY_EVERY_SECONDS:
            self._said = now
            done = state.global_step - self._first_step
            left = (now - self._begun) / done * (state.max_steps - state.global_step) / 60
            step = f"step {state.global_step:,} of {state.max_steps:,}"
            log.info("%s, epoch %.2f, loss %.4f, %.0f min left", step, logs["epoch"], logs["loss"], left)


class _StopOnNaN(TrainerCallback):  # type: ignore[misc]
    """Ends the run at the first loss that is not a number: nothing after it could be used."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        for key in ("loss", "eval_loss"):
            if key in logs and not math.isfinite(logs[key]):
                raise InputError(
                    f"the {key.replace('_', ' ')} is {logs[key]} at step {state.global_step}",
                    hint="lower --learning-rate or pass --no-fp16",
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
    settings["versions"] = {name: version(name) for name in ("torch", "transformers", "datasets")}
    return settings


def _publish(trainer: Trainer, history: History, options: TrainOptions, work: Path) -> None:
    finished = work / "finished"
    try:
        trainer.model.save_pretrained(finished)
        trainer.data_collator.tokenizer.save_pretrained(finished)
        save_preprocessing(options.preprocessing, finished)
        history.save(finished)
        if options.folder.exists():
            shutil.rmtree(options.folder)
        finished.rename(options.folder)
        shutil.rmtree(work)
    except OSError as error:
        raise OutputError(f"the checkpoint could not be written: {error}", path=options.folder) from error
