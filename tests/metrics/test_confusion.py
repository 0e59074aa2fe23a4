"""Every figure against scikit-learn, and accuracy and F1 against the modules that training uses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from scorer.metrics.confusion import accuracy, confusion_matrix, headline_figures, label_figures, macro
from scorer.metrics.values import Figure

quick = settings(max_examples=100)


@st.composite
def labellings(draw: st.DrawFn, max_labels: int = 5) -> tuple[np.ndarray, np.ndarray, int]:
    """Gold and predicted ids of up to 60 rows; often with labels that are missing in one or both."""
    n_labels = draw(st.integers(1, max_labels))
    n_rows = draw(st.integers(1, 60))
    golds, guesses = (draw(st.lists(st.integers(0, n_labels - 1), min_size=1, unique=True)) for _ in range(2))
    gold, predicted = (
        np.array(draw(st.lists(st.sampled_from(ids), min_size=n_rows, max_size=n_rows))) for ids in (golds, guesses)
    )
    return gold, predicted, n_labels


def names_of(n_labels: int) -> list[str]:
    return [f"label {label}" for label in range(n_labels)]


def same(figure: Figure, expected: float) -> bool:
    """True if the two agree; an undefined figure is NaN in scikit-learn."""
    return np.isnan(expected) if figure.value is None else figure.value == pytest.approx(expected, abs=1e-12)


@quick
@given(labellings())
def test_confusion_matrix_is_scikit_learns(case):
    gold, predicted, n_labels = case
    expected = reference.confusion_matrix(gold, predicted, labels=range(n_labels))
    found = confusion_matrix(gold, predicted, n_labels)
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist()


@quick
@given(labellings(), st.integers(1, 59))
def test_matrices_of_chunks_sum_to_that_of_all_rows(case, cut):
    gold, predicted, n_labels = case
    chunks = confusion_matrix(gold[:cut], predicted[:cut], n_labels) + confusion_matrix(
        gold[cut:], predicted[cut:], n_labels
    )
    assert (chunks == confusion_matrix(gold, predicted, n_labels)).all()


@quick
@given(labellings())
def test_figures_of_each_label_are_scikit_learns(case):
    gold, predicted, n_labels = case
    expected = reference.precision_recall_fscore_support(gold, predicted, labels=range(n_labels), zero_division=np.nan)
    for label, found in enumerate(label_figures(confusion_matrix(gold, predicted, n_labels), names_of(n_labels))):
        assert same(found.precision, expected[0][label])
        assert same(found.recall, expected[1][label])
        assert same(found.f1, expected[2][label])
        assert found.gold == expected[3][label]
        assert found.predicted == (predicted == label).sum()


@quick
@given(labellings())
def test_headline_figures_are_scikit_learns_unless_it_warns(case):
    gold, predicted, n_labels = case
    found = headline_figures(confusion_matrix(gold, predicted, n_labels), names_of(n_labels), n_labels - 1)
    assert same(found["accuracy"], reference.accuracy_score(gold, predicted))
    assert same(found["macro_f1"], reference.f1_score(gold, predicted, average="macro"))
    for name, score in (("precision", reference.precision_score), ("recall", reference.recall_score)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            expected = score(gold, predicted, average="macro")
        figure = found[f"macro_{name}"]
        # Where scikit-learn warns, it has counted a zero for a figure that does not exist.
        assert (figure.value is None) == bool(caught)
        assert figure.value is None or same(figure, expected)
    for name, score in (
        ("weighted_precision", reference.precision_score),
        ("weighted_recall", reference.recall_score),
        ("weighted_f1", reference.f1_score),
    ):
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            expected = score(gold, predicted, average="weighted", zero_division=0)
        if found[name].value is None:
            # Some label with gold rows was never predicted, for which scikit-learn counts a zero.
            assert name == "weighted_precision"
            assert set(gold) - set(predicted)
        else:
            assert same(found[name], expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(found["balanced_accuracy"], reference.balanced_accuracy_score(gold, predicted))
    if len(set(gold)) > 1 and len(set(predicted)) > 1:
        assert same(found["mcc"], reference.matthews_corrcoef(gold, predicted))
    else:
        assert found["mcc"].reason.startswith("only one label is")
    for name, score in (
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
    ):
        expected = score(gold == n_labels - 1, predicted == n_labels - 1, zero_division=np.nan)
        assert same(found[name], expected)


@settings(max_examples=10)
@given(labellings(max_labels=3))
def test_accuracy_and_f1_are_those_of_the_modules_that_training_uses(case):
    from train.metrics import F1, Accuracy

    gold, predicted, n_labels = case
    positive = 1 if n_labels == 2 else None
    found = headline_figures(confusion_matrix(gold, predicted, n_labels), names_of(n_labels), positive)
    columns = {"predictions": predicted, "references": gold}
    assert same(found["accuracy"], Accuracy(keep_in_memory=True).compute(**columns)["accuracy"])
    expected = F1(keep_in_memory=True).compute(**columns, n_labels=n_labels)["f1"]
    figure = found["macro_f1"] if positive is None else found["f1"]
    # The training table has a 0 where there is no F1.
    assert expected == 0 if figure.value is None else same(figure, expected)


def test_a_label_that_is_never_predicted_has_no_precision():
    found = headline_figures(np.array([[3, 0], [2, 0]]), ["negative", "positive"], 1)
    assert found["precision"] == Figure(None, "positive was never predicted")
    assert found["macro_precision"] == found["precision"]
    assert found["recall"] == Figure(0.0)
    assert found["f1"] == Figure(0.0)


def test_a_label_without_a_gold_row_has_no_recall():
    found = headline_figures(np.array([[3, 1], [0, 0]]), ["negative", "positive"], 1)
    assert found["recall"] == Figure(None, "no row has the gold label positive")
    assert found["macro_recall"] == found["recall"]
    assert found["precision"] == Figure(0.0)


def test_a_label_that_does_not_occur_has_no_figure_and_is_left_out_of_means():
    matrix = np.array([[3, 0, 1], [0, 0, 0], [0, 0, 4]])
    by_label = label_figures(matrix, ["bad", "so-so", "good"])
    assert by_label[1].f1 == Figure(None, "so-so is neither a gold label nor predicted")
    assert macro(by_label, "f1") == Figure((6 / 7 + 8 / 9) / 2)


def test_without_rows_nothing_is_defined():
    found = headline_figures(np.zeros((2, 2), np.int64), ["a", "b"], 1)
    assert all(figure.value is None and figure.reason for figure in found.values())
    assert accuracy(np.zeros((2, 2), np.int64)) == Figure(None, "there are no rows")


def test_without_a_positive_label_its_figures_are_undefined():
    found = headline_figures(np.eye(3, dtype=np.int64), ["a", "b", "c"], None)
    assert found["f1"] == Figure(None, "none of the 3 labels is the positive one")
    assert found["macro_f1"] == Figure(1.0)
    assert headline_figures(np.array([[4]]), ["a"], None)["f1"] == Figure(None, "there is only one label")


def test_counts_beyond_32_bits_are_exact():
    matrix = np.array([[2**40, 1], [0, 2**40]])
    assert accuracy(matrix).value == 2**41 / (2**41 + 1)


@pytest.mark.parametrize(("value", "reason"), [(None, None), (0.5, "both"), (float("nan"), None)])
def test_a_figure_is_a_number_or_a_reason(value, reason):
    with pytest.raises(ValueError, match="a finite value or a reason"):
        Figure(value, reason)


@pytest.mark.parametrize(
    ("gold", "predicted"), [([0, 2], [0, 1]), ([0, 1], [0, -1]), ([0, 1], [0]), ([[0], [1]], [[0], [1]])]
)
def test_ids_that_fit_no_matrix_are_refused(gold, predicted):
    with pytest.raises(ValueError, match=r"outside 0 … 1|not two columns"):
        confusion_matrix(np.array(gold), np.array(predicted), 2)
