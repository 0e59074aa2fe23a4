"""Learning from predictions: targets, averages, what is left out, and what cannot be learnt from."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from scorer.errors import InputError, ModelError, UsageError
from tests.conftest import Call
from train.data import LabelledReviews, load_splits
from train.options import TrainOptions
from train.soft_targets import class_weights_of, soft_cross_entropy, with_label_vectors
from train.teacher_checkpoints import label_texts
from train.teachers import teach
from train.unfinished import UnfinishedTraining

NAMES = ("negative", "positive")


def predictions(path: Path, texts: list[str | None], positive: list[float | None], prefix: str = "pred_") -> Path:
    columns = {
        "text": pa.array(texts, pa.string()),
        f"{prefix}prob_negative": pa.array([None if p is None else 1 - p for p in positive], pa.float32()),
        f"{prefix}prob_positive": pa.array(positive, pa.float32()),
    }
    # The other way round than the labels' order: columns are found by name.
    table = pa.table(dict(reversed(columns.items())))
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def taught(train: Path, tmp_path: Path, *teachers: Path, **more: Any) -> tuple[LabelledReviews, LabelledReviews]:
    options = TrainOptions(
        output=tmp_path / "out",
        train=(str(train),),
        validation_split=0.25,
        group_column="film",
        label_names=NAMES,
        teacher=tuple(map(str, teachers)),
        **more,
    )
    train_set, eval_set = load_splits(options)
    vectors = with_label_vectors(train_set, smoothing=options.label_smoothing, class_weights=None)
    return teach(vectors, eval_set, options, UnfinishedTraining(options)), train_set


def test_soft_cross_entropy_is_the_usual_one_for_one_hot_targets() -> None:
    generator = torch.Generator().manual_seed(3)
    logits, labels = torch.randn(7, 3, generator=generator), torch.tensor([0, 2, 1, 1, 0, 2, 2])
    one_hot = torch.nn.functional.one_hot(labels, 3)
    usual = torch.nn.functional.cross_entropy(logits, labels)
    assert torch.allclose(soft_cross_entropy(logits, one_hot), usual)
    soft = torch.softmax(torch.randn(7, 3, generator=generator), dim=1)
    assert torch.allclose(soft_cross_entropy(logits, soft), torch.nn.functional.cross_entropy(logits, soft))
    assert torch.allclose(soft_cross_entropy(logits, 2 * soft), 2 * soft_cross_entropy(logits, soft))


def test_teachers_are_averaged_behind_the_labelled_rows(labelled_texts: Path, tmp_path: Path) -> None:
    texts = ["fresh one", "fresh two", None, "fresh four"]
    one = predictions(tmp_path / "one.parquet", texts, [0.9, 0.2, 0.5, None])
    two = predictions(tmp_path / "two.csv", texts, [0.5, 0.4, 0.5, 0.5], prefix="other_")
    both, labelled = taught(labelled_texts, tmp_path, one, two, teacher_weight=0.5)
    n_gold = len(labelled)
    assert both.texts[n_gold:] == ["fresh one", "fresh two"]
    assert np.allclose(both.labels[n_gold:], np.array([[0.3, 0.7], [0.7, 0.3]]) / 2)
    assert both.labels[:n_gold].tolist() == [[1.0 - label, float(label)] for label in labelled.labels]


def test_what_is_held_out_is_not_taught(labelled_texts: Path, tmp_path: Path) -> None:
    texts = pq.read_table(labelled_texts)["text"].to_pylist()
    _, labelled = taught(
        labelled_texts, tmp_path, predictions(tmp_path / "all.parquet", [*texts, "new"], [0.5] * (len(texts) + 1))
    )
    held = set(texts) - set(labelled.texts)
    assert held
    both, _ = taught(labelled_texts, tmp_path, tmp_path / "all.parquet")
    assert not held & set(both.texts)
    assert "new" in both.texts


def test_samples_are_drawn_by_the_seed(labelled_texts: Path, tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.parquet", [f"new {i}" for i in range(50)], [0.5] * 50)

    def drawn(seed: int) -> list[str]:
        both, labelled = taught(labelled_texts, tmp_path, file, max_teacher_samples=10, seed=seed)
        return list(both.texts[len(labelled) :])

    assert len(drawn(42)) == 10
    assert drawn(42) == drawn(42)


def test_label_smoothing_is_of_the_labelled_rows(labelled_texts: Path, tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.parquet", ["new"], [1.0])
    both, _ = taught(labelled_texts, tmp_path, file, label_smoothing=0.2)
    assert np.allclose(sorted(both.labels[0]), [0.1, 0.9])
    assert both.labels[-1].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("positive", "column", "says"),
    [
        ([0.5, 1.5], None, "p.parquet: row 2: -0.5, 1.5 are no probabilities that sum to 1"),
        ([0.5, math.nan], None, None),
        ([None, None], None, "no row of the teacher can be used"),
        ([0.5, 0.5], "pred_prob_LABEL_1", "labels of the predictions (LABEL_1, negative)"),
        ([0.5, 0.5], "probability", "labels of the predictions (negative) are not those of the training"),
    ],
)
def test_what_cannot_be_learnt_from(
    labelled_texts: Path, tmp_path: Path, positive: list[float | None], column: str | None, says: str | None
) -> None:
    file = predictions(tmp_path / "p.parquet", ["new one", "new two"], positive)
    if column is not None:
        table = pq.read_table(file)
        names = [column if name == "pred_prob_positive" else name for name in table.column_names]
        pq.write_table(table.rename_columns(names), file)
    if says is None:
        assert taught(labelled_texts, tmp_path, file)[0].texts[-1] == "new one"
        return
    with pytest.raises(InputError) as caught:
        taught(labelled_texts, tmp_path, file)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "says"),
    [(["a", "c"], "two.parquet: row 2: has another text than"), (["a"], "two.parquet: holds 1 row, ")],
)
def test_averaged_teachers_are_about_the_same_rows(
    labelled_texts: Path, tmp_path: Path, texts: list[str | None], says: str
) -> None:
    one = predictions(tmp_path / "one.parquet", ["a", "b"], [0.5, 0.5])
    two = predictions(tmp_path / "two.parquet", texts, [0.5] * len(texts))
    with pytest.raises(InputError) as caught:
        taught(labelled_texts, tmp_path, one, two)
    assert says in str(caught.value)


@pytest.mark.parametrize("more", [{"teacher_weight": 2.0}, {"max_teacher_samples": 3}])
def test_options_of_a_teacher_need_one(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="need --teacher"):
        TrainOptions(output=tmp_path / "out", **more)


def test_a_training_learns_from_a_teacher_alone_what_the_labels_do_not_say(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    table = pq.read_table(labelled_texts)
    texts, labels = table["text"].to_pylist(), table["label"].to_pylist()
    # Words in another order: texts that are nowhere in the labelled file.
    file = predictions(
        tmp_path / "p.parquet",
        [" ".join(reversed(text.split())) + " film" for text in texts],
        [0.9 if label else 0.1 for label in labels],
    )
    recipe = (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--group-column", "film",
        "--label-names", "negative,positive", "--epochs", "2", "--batch-size", "8", "--max-length", "32",
        "--train-max-length", "16", "--no-bf16", "--learning-rate", "0.003", "--max-train-samples", "8",
        "--label-smoothing", "0.1",
    )  # fmt: skip
    code, out, err = call_train("-o", tmp_path / "taught", *recipe, "--teacher", file)
    assert code == 0, err
    assert "96 rows of the teacher beside 8 labelled ones" in err
    accuracy = [float(line.split()[3]) for line in out.splitlines() if line.endswith("*")]
    assert accuracy[0] > 0.9
    assert load_file(tmp_path / "taught" / "model.safetensors")


def test_class_weights(labelled_texts: Path, tmp_path: Path) -> None:
    def weighted(wanted: str) -> LabelledReviews:
        options = TrainOptions(
            output=tmp_path,
            train=(str(labelled_texts),),
            validation_split=0.25,
            label_names=NAMES,
            max_train_samples=31,
        )
        train_set = load_splits(options)[0]
        weights = class_weights_of(wanted, train_set)
        return with_label_vectors(train_set, smoothing=0.0, class_weights=weights)

    balanced = weighted("balanced").labels.sum(axis=0)
    assert balanced.tolist() == pytest.approx([15.5, 15.5], abs=1e-4)
    given = weighted("positive=3, negative=0.5").labels
    assert {tuple(row) for row in given.tolist()} == {(0.5, 0.0), (0.0, 3.0)}
    for wrong in ("positive=3", "positive=3,negative=x", "positive=3,negative=0", "positive=1,negative=2,so-so=3"):
        with pytest.raises(UsageError, match="--class-weights"):
            weighted(wrong)


def test_a_checkpoint_labels_as_the_bundle_of_it_scores(
    tiny_checkpoint: Path, tiny_bundle: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    from scorer import Scorer

    texts = ["a warm and funny film", "", "boring, loud, bad " * 20]
    got = label_texts(str(tiny_checkpoint), texts, ("positive", "negative"))
    assert np.isnan(got[1]).all()
    expected = Scorer.load(tiny_bundle, precision="fp32").score([texts[0], texts[2]])
    assert np.allclose(got[[0, 2], 0], expected["pred_prob_positive"].to_numpy(), atol=1e-5)
    with pytest.raises(ModelError, match=r"labels .negative, positive. are not those of the training .bad, good."):
        label_texts(str(tiny_checkpoint), texts, ("bad", "good"))


def test_a_checkpoint_labels_at_the_temperature_of_its_training(
    tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    from scorer import Scorer

    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    (checkpoint / "history.json").write_text(json.dumps({"calibration": {"temperature": 2.5}}))
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    description = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**description, "temperature": 2.5}))
    texts = ["a warm and funny film", "boring, loud, bad"]
    got = label_texts(str(checkpoint), texts, NAMES)
    expected = Scorer.load(bundle, precision="fp32").score(texts)
    assert np.allclose(got[:, 1], expected["pred_prob_positive"].to_numpy(), atol=1e-5)
    assert not np.allclose(got, label_texts(str(tiny_checkpoint), texts, NAMES), atol=1e-3)


def test_a_teacher_without_a_head_is_none(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "encoder")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"has no weights for classifier\.bias, classifier\.weight; copy or save"):
        label_texts(str(folder), ["a"], NAMES)


def test_a_checkpoint_beside_a_file_labels_its_texts(
    tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    texts: list[str | None] = ["fresh warm one", "fresh dull two"]
    file = predictions(tmp_path / "p.parquet", texts, [0.9, 0.2])
    own = label_texts(str(tiny_checkpoint), ["fresh warm one", "fresh dull two"], NAMES)
    both, labelled = taught(labelled_texts, tmp_path, file, tiny_checkpoint)
    n_gold = len(labelled)
    assert np.allclose(both.labels[n_gold:], (own + np.array([[0.1, 0.9], [0.8, 0.2]])) / 2, atol=1e-6)
    with pytest.raises(UsageError, match="--unlabelled needs a --teacher that is a checkpoint"):
        taught(labelled_texts, tmp_path, file, unlabelled=(str(file),))


def test_a_checkpoint_labels_unlabelled_texts_or_those_of_the_training(
    tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    both, labelled = taught(labelled_texts, tmp_path, tiny_checkpoint)
    assert len(both) == 2 * len(labelled)
    new = predictions(tmp_path / "new.parquet", ["one", None, "two"], [0.5] * 3)
    both, labelled = taught(labelled_texts, tmp_path, tiny_checkpoint, unlabelled=(str(new),))
    assert both.texts[len(labelled) :] == ["one", "two"]
    # A resumed run takes what is kept.
    kept = tmp_path / "out.training" / "teacher-0.npy"
    np.save(kept, np.load(kept)[:, ::-1])
    again, _ = taught(labelled_texts, tmp_path, tiny_checkpoint, unlabelled=(str(new),), resume=True)
    assert again.labels[-1].tolist() == both.labels[-1][::-1].tolist()
