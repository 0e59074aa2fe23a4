"""The quality gate: accuracy of each variant on labelled reviews, against the fp32 graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from export.differences import BUCKETS, bucket_names
from export.options import ExportOptions
from scorer.errors import InputError, QualityGateError
from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.gold import read_gold, require_two_labels
from scorer.evaluation.inputs import open_files
from scorer.evaluation.labels import LabelSet
from scorer.evaluation.options import EvaluateOptions
from scorer.files.source import text_values
from scorer.model.bundle import ModelBundle
from scorer.model.token_runs import TextEncoder
from scorer.progress import Progress

PER_BUCKET = 32
"""Reviews of the labelled file, of each bucket of lengths, whose logits are compared with PyTorch's."""

_READ_AT_ONCE = 512
_MOST_ROWS = 20_000


def check_labelled_file(bundle: ModelBundle, options: ExportOptions) -> None:
    """Read the labels of ``options.eval`` before the long work, so that a wrong file fails at once.

    Raises:
        InputError: the file cannot be read, or its labels are not the model's or all the same.
        UsageError: it already holds predictions, or a column is named twice.
    """
    chosen = _evaluation(bundle.folder, "auto", options)
    files = open_files([_file(options)], chosen)
    gold = read_gold(files, chosen)
    ids = LabelSet(bundle.labels, "the model").require_ids(gold.values, name=str(gold.column))
    require_two_labels(files, gold, ids)


def sample_texts(bundle: ModelBundle, encoder: TextEncoder, options: ExportOptions) -> list[str]:
    """The first reviews of ``options.eval``, up to :data:`PER_BUCKET` in each bucket of lengths; without a file none.

    The search ends after 20,000 rows.

    Raises:
        InputError: the file cannot be read.
    """
    if options.eval is None:
        return []
    (file,) = open_files([options.eval], _evaluation(bundle.folder, "auto", options))
    column = str(file.text)
    texts: list[str] = []
    taken: Counter[str] = Counter()
    rows_read = 0
    for table in file.source.with_text(column).tables(_READ_AT_ONCE, [column]):
        values = text_values(table.column(column)).to_pylist()
        encoded = encoder.encode(values)
        longest = dict(zip(encoded.rows.tolist(), bucket_names(encoded.lengths), strict=True))  # one run of each row
        for row, bucket in longest.items():
            if taken[bucket] < PER_BUCKET:
                taken[bucket] += 1
                texts.append(values[row])
        rows_read += len(values)
        if rows_read >= _MOST_ROWS or len(texts) == PER_BUCKET * len(BUCKETS):
            break
    return texts


def measure_accuracy(bundle: ModelBundle, precision: str, options: ExportOptions, progress: Progress) -> float:
    """Accuracy in [0, 1] on ``options.eval``; fp16 runs on CUDA if there is a device, the others on the CPU.

    Raises:
        InputError: no text of the file has a prediction.
    """
    report = evaluate_labels(_file(options), options=_evaluation(bundle.folder, precision, options), progress=progress)
    accuracy = report.figures["accuracy"].value
    if accuracy is None:
        raise InputError("gives no accuracy", path=_file(options))
    return accuracy


def _evaluation(bundle: Path, precision: str, options: ExportOptions) -> EvaluateOptions:
    return EvaluateOptions(
        model=bundle,
        device="auto" if precision == "fp16" else "cpu",
        precision=precision,
        threads=options.threads,
        text_column=options.text_column,
        label_column=options.label_column,
    )


def _file(options: ExportOptions) -> Path:
    if options.eval is None:
        raise ValueError("there is no labelled file")
    return options.eval


def require_accuracy(precision: str, accuracy: float, reference: float, options: ExportOptions) -> None:
    """Require that ``precision`` loses at most ``options.max_drop``.

    Raises:
        QualityGateError: it loses more.
    """
    drop = reference - accuracy
    # Half a millionth is less than one row of any file; it absorbs the rounding of the subtraction.
    if drop > options.max_drop + 5e-7:
        raise QualityGateError(
            f"{precision} has an accuracy of {accuracy:.4f}, but fp32 has {reference:.4f}: a drop of {drop:.4f}; "
            f"--max-drop is {options.max_drop:g}",
            path=options.eval,
            hint="leave this precision out with --precision, or allow more with --max-drop",
        )
