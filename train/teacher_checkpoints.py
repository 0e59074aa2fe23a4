"""A fine-tuned classifier as a teacher: it labels texts with its probabilities."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from scorer.errors import ModelError
from scorer.metrics.calibration import temperature_of
from scorer.model.configuration import max_positions_of
from scorer.model.json_files import read_object
from scorer.model.own_code import refuse_own_code
from scorer.model.preprocessing import Preprocessing, load_preprocessing
from scorer.model.token_runs import Encoded, TextEncoder
from scorer.safe_text import first_line
from train.checkpoints import backend_tokenizer, require_weights
from train.history import HISTORY_FILE

log = logging.getLogger(__name__)

_BATCH_TOKENS = 8192
_LOG_EVERY_SECONDS = 30.0


def is_checkpoint(source: str) -> bool:
    """True for the folder of a model, False for predictions."""
    return (Path(source) / "config.json").is_file()


def label_texts(source: str, texts: Sequence[str], label_names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Probabilities float64 ``(n, n_labels)`` in the order of ``label_names``; NaN for a blank text.

    Texts are cleaned and cut by the checkpoint's own preprocessing; a text in several windows gets their
    mean. Logits are divided by the temperature that its training fitted, as scoring with its bundle
    does.

    Raises:
        ModelError: the checkpoint cannot be loaded, asks for code of its own, lacks weights, or its labels are not
            ``label_names``.
    """
    folder = Path(source)
    refuse_own_code(folder)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"cannot be loaded as a teacher: {first_line(error)}",
            path=source,
            hint="of a bundle, pass the predictions that score writes with it",
        ) from error
    require_weights(info["missing_keys"], source)
    own = [str(model.config.id2label[label]) for label in range(model.config.num_labels)]
    if sorted(own) != sorted(label_names):
        raise ModelError(
            f"the teacher's labels ({', '.join(own)}) are not those of the training ({', '.join(label_names)})",
            path=source,
            hint="name the training's with --label-names",
        )
    length = min(512, max_positions_of(model.config.to_dict()) or 512)
    preprocessing = load_preprocessing(folder) or Preprocessing(max_length=length)
    encoded = TextEncoder(backend_tokenizer(tokenizer, source), preprocessing).encode(texts)
    temperature = temperature_of(read_object(folder / HISTORY_FILE))
    # Rare settings aside, the attention mask hides padding whatever its id is.
    probabilities = _probabilities(model.eval(), encoded, int(tokenizer.pad_token_id or 0), temperature)
    runs = np.bincount(encoded.rows, minlength=encoded.n_rows)
    total = np.zeros((encoded.n_rows, len(own)))
    np.add.at(total, encoded.rows, probabilities)
    with np.errstate(invalid="ignore"):
        mean: npt.NDArray[np.float64] = total / runs[:, None]
    return mean[:, [own.index(name) for name in label_names]]


def _probabilities(model: PreTrainedModel, encoded: Encoded, pad: int, temperature: float) -> npt.NDArray[np.float64]:
    """Probabilities of every run, float64 ``(n_runs, n_labels)``."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    probabilities = np.zeros((len(encoded.rows), model.config.num_labels))
    told, done = time.monotonic(), 0
    for runs in _batches(encoded.lengths):
        rows = [torch.from_numpy(encoded.run(run).astype(np.int64)) for run in runs]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = (torch.arange(ids.shape[1], device=device)[None] < lengths[:, None]).long()
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
        probabilities[runs] = torch.softmax(logits.double() / temperature, dim=-1).cpu().numpy()
        done += len(runs)
        if time.monotonic() - told >= _LOG_EVERY_SECONDS:
            told = time.monotonic()
            log.info("the teacher has labelled %d of %d texts", done, len(encoded.rows))
    return probabilities


def _batches(lengths: npt.NDArray[np.int64]) -> Iterator[list[int]]:
    """Numbers of runs of like lengths, with a limited number of tokens in each batch."""
    batch: list[int] = []
    for run in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * int(lengths[run]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(run)
    if batch:
        yield batch
