"""Adaptation before fine-tuning: the encoder guesses masked words of unlabelled texts."""

from __future__ import annotations

import json
import logging
import math
import random
import zlib
from collections.abc import Container
from pathlib import Path
from typing import Any

import datasets
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    DataCollatorForLanguageModeling,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)
from transformers.activations import get_activation

from scorer.disk.durable import write_durably
from scorer.errors import InputError, ModelError
from scorer.model.configuration import max_positions_of
from scorer.model.preprocessing import Preprocessing
from scorer.model.token_runs import TextEncoder
from train.checkpoints import backend_tokenizer, last_whole_checkpoint
from train.data_files import read_texts
from train.encoders import ENCODERS
from train.encoding import padding_multiple
from train.options import TrainOptions
from train.saving import saving
from train.trainer import ResumableTrainer, shared_arguments
from train.unfinished import PRETRAINING, UnfinishedTraining

log = logging.getLogger(__name__)

_WEIGHTS, _RESULT = "encoder.safetensors", "result.json"
_MASKED_SHARE = 0.15
_SAVE_STEPS = 500


class MaskedWords(nn.Module):
    """An encoder that names the words under the masks.

    Only masked positions go through the head, whose product with the whole vocabulary would
    otherwise cost as much as a small encoder. The output matrix is the word embeddings (Devlin et
    al. 2019).
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        width = int(encoder.get_input_embeddings().embedding_dim)  # ELECTRA's and ALBERT's is less than that of a layer
        self.transform = nn.Linear(config.hidden_size, width)
        self.activation = get_activation(_first(config, "activation", "hidden_act", "hidden_activation"))
        self.layer_norm = nn.LayerNorm(width, eps=_first(config, "layer_norm_eps", "norm_eps") or 1e-12)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        nn.init.normal_(self.transform.weight, std=config.initializer_range)
        nn.init.zeros_(self.transform.bias)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss``: mean cross entropy over masked positions; all arguments are int64 ``(n, length)``.

        ``labels`` is -100 at positions without a mask. A batch without any mask has the loss 0.
        """
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        masked = labels != -100
        picked = self.layer_norm(self.activation(self.transform(hidden[masked])))
        logits = nn.functional.linear(picked, self.encoder.get_input_embeddings().weight, self.bias).float()
        loss = nn.functional.cross_entropy(logits, labels[masked], reduction="sum")
        return {"loss": loss / masked.sum().clamp(min=1)}


class _MasksByContent(DataCollatorForLanguageModeling):  # type: ignore[misc]
    """Draws masks from the batch itself.

    The loader collates a batch ahead of the step, so masks from the global generator would differ
    after a resume. Batches are shuffled anew each epoch, so a text's masks still change.
    """

    def torch_call(self, examples: list[Any]) -> dict[str, Any]:
        ids = b"".join(torch.tensor(example["input_ids"]).numpy().tobytes() for example in examples)
        self.generator = torch.Generator().manual_seed(zlib.crc32(ids) + ((self.seed % 2**30) << 32))
        batch: dict[str, Any] = super().torch_call(examples)
        return batch


def adapt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: TrainOptions,
    work: UnfinishedTraining,
    *,
    left_out: Container[str],
) -> dict[str, Any]:
    """Adapt the encoder inside the classifier ``model`` to the texts of ``options.pretrain_on``.

    Texts in ``left_out``, those held out for validation, are not read. The run resumes from its own
    checkpoints under ``work``, and is not repeated once it has ended. Returns a record for the
    history: ``texts``, ``steps`` and ``loss``, the mean over the last tenth of the steps.

    Raises:
        InputError: the texts cannot be used, or the loss is not a number.
        ModelError: the tokenizer has no mask.
    """
    folder = work.folder / PRETRAINING
    encoder = model.base_model
    if options.resume and (folder / _RESULT).is_file():
        encoder.load_state_dict(load_file(folder / _WEIGHTS))
        return dict(json.loads((folder / _RESULT).read_text(encoding="utf-8")))
    if tokenizer.mask_token is None:
        raise ModelError("its tokenizer has no mask token", path=options.model, hint="leave --pretrain-on out")
    rows = _blocks(tokenizer, options, left_out)
    work.begin()
    with saving(folder):
        folder.mkdir(exist_ok=True)
    torch.manual_seed(options.seed)
    masked = MaskedWords(encoder)
    _copy_head(masked, options.model)
    multiple = padding_multiple(options.pretrain_max_length, max_positions_of(model.config.to_dict()))
    collator = _MasksByContent(tokenizer, mlm_probability=_MASKED_SHARE, pad_to_multiple_of=multiple, seed=options.seed)
    trainer = ResumableTrainer(
        model=masked,
        args=_arguments(options, model.config.model_type, folder),
        train_dataset=rows,
        data_collator=collator,
    )
    log.info("adapting the encoder to %d blocks of text", len(rows))
    trainer.resume(last_whole_checkpoint(folder) if options.resume else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = losses[-max(1, len(losses) // 10) :]
    result = {"texts": len(rows), "steps": trainer.state.global_step, "loss": sum(last) / len(last)}
    with saving(folder):
        save_file(encoder.state_dict(), folder / _WEIGHTS)
        # Written last: it tells that the weights are complete.
        write_durably(folder / _RESULT, (json.dumps(result) + "\n").encode())
    log.info("adapted in %d steps: loss %.4f, perplexity %.1f", result["steps"], result["loss"], math.exp(last[-1]))
    return result


def _blocks(tokenizer: PreTrainedTokenizerBase, options: TrainOptions, left_out: Container[str]) -> datasets.Dataset:
    """Every text whole, in blocks of ``options.pretrain_max_length`` tokens."""
    where = ", ".join(options.pretrain_on)
    texts = [text for text in read_texts(options.pretrain_on, options) if text.strip() and text not in left_out]
    if options.max_pretrain_samples is not None and options.max_pretrain_samples < len(texts):
        texts = random.Random(options.seed).sample(texts, options.max_pretrain_samples)
    preprocessing = Preprocessing(options.pretrain_max_length, "window", 0, options.preprocessing.clean)
    encoded = TextEncoder(backend_tokenizer(tokenizer, options.model), preprocessing).encode(texts)
    if len(encoded.rows) == 0:
        raise InputError("holds no text to adapt to", path=where)
    ids = [encoded.run(run).tolist() for run in range(len(encoded.rows))]
    return datasets.Dataset.from_dict(
        {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids], "length": [len(row) for row in ids]}
    )


def _first(config: PretrainedConfig, *names: str) -> Any:
    """The value of the first of these names that ``config`` has; architectures call one thing by several."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _copy_head(masked: MaskedWords, model: str) -> None:
    """Copy the checkpoint's own head for masked words if it has one; sentence encoders have none."""
    names = ENCODERS[AutoConfig.from_pretrained(model).model_type]
    try:
        other, info = AutoModelForMaskedLM.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError):
        return
    if f"{names.dense}.weight" in info["missing_keys"]:
        return
    state = other.state_dict()
    with torch.no_grad():
        for module, name in ((masked.transform, names.dense), (masked.layer_norm, names.norm)):
            module.weight.copy_(state[f"{name}.weight"])
            if f"{name}.bias" in state:
                module.bias.copy_(state[f"{name}.bias"])
        masked.bias.copy_(state[names.bias])


def _arguments(options: TrainOptions, kind: str, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        **shared_arguments(options, kind, folder),
        learning_rate=options.pretrain_learning_rate,
        per_device_train_batch_size=options.pretrain_batch_size,
        num_train_epochs=options.pretrain_epochs,
        warmup_ratio=0.06,
        weight_decay=0.01,
        eval_strategy="no",
        save_strategy="steps",
        save_steps=options.save_steps or _SAVE_STEPS,
        report_to="none",
        include_num_input_tokens_seen="no",
    )
