"""A linear model on the same rows: what an encoder has to beat."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

from scorer.columns import text_column
from scorer.errors import InputError, OutputError, OutputExistsError, UsageError
from scorer.preprocessing import Preprocessing
from train.data import LabelledReviews, load_splits, read_rows
from train.history import Baseline, History
from train.options import TrainOptions
from train.report import save_report

log = logging.getLogger(__name__)

FOLDS = 5
_SMALL = 1000
_WRITERS = (".parquet", ".csv", ".jsonl")


class LinearBaseline:
    """TF-IDF over 1-, 2- and 3-grams of words, a linear SVM, and probabilities by Platt's scaling.

    A logistic regression on decision values maps them to probabilities. Those values come from
    cross-validation, because the SVM's own on the rows that it was fitted to are too sure (Platt
    1999).
    """

    def __init__(self, preprocessing: Preprocessing, seed: int) -> None:
        self._clean = preprocessing.cleaned
        self._seed = seed
        self._svm = LinearSVC(C=1.0, random_state=seed)
        self._platt = LogisticRegression()
        self._out_of_fold: dict[str, npt.NDArray[np.float64]] = {}

    def fit(self, texts: Sequence[str], labels: Sequence[int]) -> LinearBaseline:
        """Fit to ``texts`` with label ids ``labels``.

        Raises:
            InputError: the texts hold no words, or a label has too few rows to be cross-validated.
        """
        gold = np.asarray(labels)
        rarest = int(np.bincount(gold).min())
        if rarest < 2:
            raise InputError("a label has fewer than two training rows", hint="add rows of it or drop it")
        # In a small file most words stand once; leaving those out would leave little.
        self._tfidf = TfidfVectorizer(
            ngram_range=(1, 3), min_df=2 if len(texts) >= _SMALL else 1, sublinear_tf=True, dtype=np.float32
        )
        try:
            features = self._tfidf.fit_transform([self._clean(text) for text in texts])
        except ValueError as error:
            raise InputError(f"nothing to learn from: {error}") from error
        log.info("%d texts, %d n-grams", *features.shape)
        self._svm.fit(features, gold)
        folds = StratifiedKFold(min(FOLDS, rarest), shuffle=True, random_state=self._seed)
        decisions = cross_val_predict(self._svm, features, gold, cv=folds, method="decision_function")
        self._platt.fit(_columns(decisions), gold)
        probabilities = self._platt.predict_proba(_columns(decisions))
        self._out_of_fold = dict(zip(texts, probabilities, strict=True))
        return self

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 ``(n, n_labels)``.

        A text that was fitted to gets the probability that a model without its fold gives it, as
        honest as that of a new text.
        """
        decisions = self._svm.decision_function(self._tfidf.transform([self._clean(text) for text in texts]))
        probabilities: npt.NDArray[np.float64] = self._platt.predict_proba(_columns(decisions))
        for row, text in enumerate(texts):
            if text in self._out_of_fold:
                probabilities[row] = self._out_of_fold[text]
        return probabilities


def fit_baseline(options: TrainOptions) -> History:
    """Fit the baseline to the training rows and measure it on the validation rows.

    Where ``options.output`` is a checkpoint with a history, the row joins the history's table. With
    ``options.predictions`` the file is written: predictions for the rows of ``options.predict``, or
    else for the validation rows.

    Raises:
        InputError: the data cannot be used.
        UsageError: options clash.
        OutputExistsError: the file of predictions stands already.
        OutputError: it could not be written.
    """
    if options.predictions is not None:
        _require_writable(options.predictions, overwrite=options.overwrite)
    history = History.load(options.output) if options.output is not None else None
    train_set, eval_set = load_splits(options)
    begun = time.monotonic()
    model = LinearBaseline(options.preprocessing, options.seed).fit(train_set.rows["text"], train_set.rows["labels"])
    # Validation rows are new to the model, whatever their texts; a duplicate gains nothing here.
    probabilities = model.probabilities(eval_set.rows["text"])
    row = _measured(probabilities, eval_set, len(train_set.rows), time.monotonic() - begun)
    if options.predictions is not None:
        _write_predictions(model, eval_set, options.predictions, options)
    if history is None or options.output is None:
        return History((), None, options.metric, {}, baseline=row)
    history = history.with_baseline(row)
    history.save(options.output)
    save_report(history, options.output, name=options.output.resolve().name)
    return history


def _columns(decisions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Decision values as ``(n, 1)`` for two labels, ``(n, n_labels)`` for more."""
    return decisions.reshape(len(decisions), -1)


def _measured(
    probabilities: npt.NDArray[np.float64], eval_set: LabelledReviews, n_train: int, seconds: float
) -> Baseline:
    gold = np.asarray(eval_set.rows["labels"])
    predicted = probabilities.argmax(axis=1)
    n_labels = len(eval_set.label_names)
    average = {"average": "binary", "pos_label": 1} if n_labels == 2 else {"average": "macro"}
    return Baseline(
        name="TF-IDF of 1- to 3-grams, linear SVM",
        validation_loss=float(log_loss(gold, probabilities, labels=list(range(n_labels)))),
        accuracy=float(accuracy_score(gold, predicted)),
        f1=float(f1_score(gold, predicted, zero_division=0, **average)),
        seconds=round(seconds, 1),
        train_rows=n_train,
        eval_rows=len(gold),
    )


def _require_writable(path: Path, *, overwrite: bool) -> None:
    if path.suffix not in _WRITERS:
        raise UsageError(f"predictions cannot be written as {path.name!r}", hint=f"choose {', '.join(_WRITERS)}")
    if path.exists() and not overwrite:
        raise OutputExistsError("stands already", path=path, hint="pass --overwrite to replace it")
    if not path.absolute().parent.is_dir():
        raise OutputError("no such folder", path=path.absolute().parent, hint="make it first")


def _write_predictions(model: LinearBaseline, eval_set: LabelledReviews, path: Path, options: TrainOptions) -> None:
    names = eval_set.label_names
    if options.predict:
        rows = read_rows(options.predict, "predict")
        text = text_column(rows.column_names, options.text_column, ", ".join(options.predict))
    else:
        ids = eval_set.rows["labels"]
        rows = eval_set.rows.remove_columns("labels").add_column("label", [names[label] for label in ids])
        text = "text"
    table = with_predictions(rows, text, model, names)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        _write(table, unfinished, path.suffix)
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror or error}", path=path) from error
    finally:
        unfinished.unlink(missing_ok=True)
    log.info("%s: predictions for %d rows", path, len(rows))


def with_predictions(rows: datasets.Dataset, text: str, model: LinearBaseline, names: Sequence[str]) -> pa.Table:
    """``rows`` with the columns that ``score`` adds; a null or blank text has null predictions.

    Raises:
        InputError: a column of that name stands there already, or the text is none.
    """
    values: list[Any] = list(rows[text])
    if not all(value is None or isinstance(value, str) for value in values):
        raise InputError(f"column {text!r} holds no text", hint="name another with --text-column")
    clash = next((column for column in rows.column_names if column.startswith("pred_")), None)
    if clash is not None:
        raise InputError(f"has a column {clash!r} already", hint="drop it before")
    blank = [not (value and value.strip()) for value in values]
    probabilities = model.probabilities([value or "" for value in values]).astype(np.float32)
    labels = probabilities.argmax(axis=1)
    table = rows.with_format("arrow")[:].replace_schema_metadata(None)
    mask = np.array(blank)
    added = {
        "pred_label": pa.array([None if no else names[label] for no, label in zip(blank, labels, strict=True)]),
        "pred_score": pa.array(probabilities.max(axis=1), mask=mask),
        **{
            f"pred_prob_{name}": pa.array(np.ascontiguousarray(probabilities[:, number]), mask=mask)
            for number, name in enumerate(names)
        },
        "pred_status": pa.array(["empty" if no else "ok" for no in blank]),
    }
    for name, column in added.items():
        table = table.append_column(name, column)
    return table


def _write(table: pa.Table, path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        import polars

        polars.from_arrow(table).write_ndjson(path)  # type: ignore[union-attr]  # a table is never a Series
