"""A linear model on the same rows, which an encoder has to beat."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

from scorer.errors import InputError
from scorer.model.preprocessing import Preprocessing
from train.data import LabelledReviews, load_splits
from train.data_record import record_data, require_same_data
from train.history import Baseline, History
from train.options import TrainOptions
from train.predictions import write_predictions
from train.preflight import require_writable
from train.report import save_report
from train.verdict import require_f1

log = logging.getLogger(__name__)

FOLDS = 5
_SMALL = 1000


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

    def fit(
        self, texts: Sequence[str], labels: Sequence[int] | npt.NDArray[np.int64], n_labels: int | None = None
    ) -> LinearBaseline:
        """Fit to ``texts`` with label ids ``labels``, of ``n_labels`` or by default as many as occur.

        A label without rows gets the probability 0.

        Raises:
            InputError: the texts hold no words, or a label has too few rows to be cross-validated.
        """
        gold = np.asarray(labels)
        present, counts = np.unique(gold, return_counts=True)
        rarest = int(counts.min())
        self._n_labels = int(present[-1]) + 1 if n_labels is None else n_labels
        if rarest < 2:
            raise InputError("a label has fewer than two training rows", hint="add rows of it or drop it")
        # In a small file most words occur once; leaving those out would leave little.
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
        probabilities = self._calibrated(decisions)
        self._out_of_fold = dict(zip(texts, probabilities, strict=True))
        return self

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 ``(n, n_labels)``.

        A text of the training rows gets the probability of a model that was fitted without its fold, as
        honest as that of a new text.
        """
        decisions = self._svm.decision_function(self._tfidf.transform([self._clean(text) for text in texts]))
        probabilities = self._calibrated(decisions)
        for row, text in enumerate(texts):
            if text in self._out_of_fold:
                probabilities[row] = self._out_of_fold[text]
        return probabilities

    def _calibrated(self, decisions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities float64 ``(n, n_labels)`` of decision values."""
        probabilities = np.zeros((len(decisions), self._n_labels))
        probabilities[:, self._platt.classes_] = self._platt.predict_proba(_columns(decisions))
        return probabilities


def fit_baseline(options: TrainOptions) -> History:
    """Fit the baseline to the training rows and measure it on the validation rows.

    If ``options.output`` is a checkpoint with a history, the row joins its table. ``options.predictions``
    is written with predictions for the rows of ``options.predict``, or else for the validation rows.

    Raises:
        InputError: the data cannot be used.
        UsageError: options clash, or the history is that of other data.
        OutputExistsError: the file of predictions already exists.
        QualityGateError: its F1 is below ``options.min_f1``.
        OutputError: it could not be written.
    """
    if options.predictions is not None:
        require_writable(options.predictions, overwrite=options.overwrite)
    output = options.output
    history = None if output is None else History.load(output)
    train_set, eval_set = load_splits(options)
    if history is not None and output is not None:
        require_same_data(history.data, record_data(train_set, eval_set, options), output)
    begun = time.monotonic()
    model = LinearBaseline(options.preprocessing, options.seed).fit(
        train_set.texts, train_set.labels, len(train_set.label_names)
    )
    # Validation rows are new to the model, whatever their texts; a duplicate gains nothing here.
    probabilities = model.probabilities(eval_set.texts)
    row = _row(probabilities, eval_set, len(train_set), time.monotonic() - begun, options.command())
    require_f1(row.f1, options, hint="lower --min-f1, or add labelled rows")
    if options.predictions is not None:
        write_predictions(model.probabilities, eval_set, options.predictions, options)
    if history is None or output is None:
        return History((), None, options.metric, {}, baseline=row)
    history = replace(history, baseline=row)
    history.save(output)
    save_report(history, output, name=output.resolve().name)
    return history


def _columns(decisions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Decision values as ``(n, 1)`` for two labels, ``(n, n_labels)`` for more."""
    return decisions.reshape(len(decisions), -1)


def _row(
    probabilities: npt.NDArray[np.float64], eval_set: LabelledReviews, n_train: int, seconds: float, command: str
) -> Baseline:
    gold = eval_set.labels
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
        command=command,
    )
