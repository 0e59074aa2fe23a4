"""ONNX files as others export them: fixed shapes, probabilities as outputs, one logit, names that are numbers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from scorer import Scorer, evaluate_labels, score_file
from scorer.errors import InputError, ModelError, UsageError
from scorer.job.provenance import parsed, read_provenance
from tests.conftest import Call, InProcess, tiny_tokenizer

TEXTS = ["A warm, funny film.", None, "dull and loud, badly acted " * 3, "", "Great value!", "war", "war"]

Maker = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Maker:
    """Make the folder of a classifier that adds up a value of each token: a mean over the mask, then a product."""

    def make(
        rows: int | str = "batch",
        tokens: int | str = "length",
        *,
        columns: int = 2,
        mask: bool = True,
        last: str | None = None,
        squeezed: bool = False,
        inner_length: int | None = None,
        name: str = "model",
        **config: Any,
    ) -> Path:
        random, vocabulary = np.random.default_rng(5), tiny_tokenizer().get_vocab_size()
        weights = {
            "table": random.normal(size=(vocabulary, 8)).astype(np.float32),
            "head": (4 * random.normal(size=(8, columns))).astype(np.float32),
            "last_axis": np.array([-1]),
            "second_axis": np.array([1]),
            "none": np.array([1e-9], np.float32),
        }
        nodes = [helper.make_node("Gather", ["table", "input_ids"], ["embedded"])]
        if inner_length is not None:  # a length that stands in the graph alone, as a traced reshape leaves it
            weights["shape"] = np.array([-1, inner_length, 8])
            nodes.append(helper.make_node("Reshape", ["embedded", "shape"], ["reshaped"]))
            nodes[0].output[0], nodes[1].input[0], nodes[1].output[0] = "looked_up", "looked_up", "embedded"
        if mask:
            nodes += [
                helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
                helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask_column"]),
                helper.make_node("Mul", ["embedded", "mask_column"], ["seen"]),
                helper.make_node("ReduceSum", ["seen", "second_axis"], ["sum"], keepdims=0),
                helper.make_node("ReduceSum", ["mask", "second_axis"], ["count"], keepdims=1),
                helper.make_node("Div", ["sum", "count"], ["mean"]),
            ]
        else:
            nodes.append(helper.make_node("ReduceMean", ["embedded", "second_axis"], ["mean"], keepdims=0))
        steps = ["MatMul", *([last] if last else []), *(["Squeeze"] if squeezed else [])]
        names = ["mean", *(f"step_{place}" for place in range(len(steps) - 1)), "logits"]
        for place, operator in enumerate(steps):
            more = {"MatMul": ["head"], "Squeeze": ["last_axis"]}.get(operator, [])
            nodes.append(helper.make_node(operator, [names[place], *more], [names[place + 1]]))
        inputs = ["input_ids", *(["attention_mask"] if mask else [])]
        graph = helper.make_graph(
            nodes,
            "classifier",
            [helper.make_tensor_value_info(one, TensorProto.INT64, [rows, tokens]) for one in inputs],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [rows] if squeezed else [rows, columns])],
            [numpy_helper.from_array(value, key) for key, value in weights.items()],
        )
        folder = tmp_path / name
        folder.mkdir()
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "model.onnx"
        )
        tiny_tokenizer().save(str(folder / "tokenizer.json"))
        names = {"id2label": {str(label): one for label, one in enumerate(("bad", "good", "fair")[:columns])}}
        (folder / "config.json").write_text(json.dumps({**names, **config}))
        return folder

    return make


def score(folder: Path, **options: Any) -> pa.Table:
    return Scorer.load(folder, device="cpu", **options).score(TEXTS)


def probabilities(table: pa.Table) -> np.ndarray:
    """Those of the rows that have any, float64 ``(n, n_labels)``."""
    return np.array(
        [table[name].drop_null().to_pylist() for name in table.column_names if name.startswith("pred_prob_")]
    ).T


@pytest.mark.parametrize("batching", ["alone", "tokens"])
@pytest.mark.parametrize(("rows", "tokens"), [(1, "length"), (4, "length"), ("batch", 24), (1, 24), (3, 24)])
def test_fixed_shapes_are_filled_and_padded(model: Maker, rows: int | str, tokens: int | str, batching: str) -> None:
    expected = score(model(name="free"), max_length=24)
    found = score(model(rows, tokens), batching=batching, **({} if tokens == 24 else {"max_length": 24}))
    assert probabilities(found) == pytest.approx(probabilities(expected), abs=1e-6)
    assert found["pred_label"].equals(expected["pred_label"])
    assert found["pred_status"].to_pylist() == ["ok", "empty", "ok", "empty", "ok", "ok", "ok"]


def test_longer_texts_are_cut_to_a_fixed_length(model: Maker) -> None:
    folder = model(1, 8)
    assert score(folder)["pred_status"].to_pylist()[2] == "truncated"
    assert score(folder).equals(score(folder, max_length=8))
    assert score(folder, long_text="window")["pred_status"].to_pylist()[2] == "windowed"
    score(folder, max_length=5)
    with pytest.raises(UsageError, match="--max-length 9 is more than the model's 8 positions"):
        score(folder, max_length=9)


def test_a_fixed_batch_of_a_graph_without_a_mask(model: Maker) -> None:
    expected = score(model(mask=False, name="free"))
    for number, batching in enumerate(("alone", "tokens")):
        found = score(model(4, mask=False, name=f"fixed-{number}"), batching=batching)
        assert probabilities(found) == pytest.approx(probabilities(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (
            {"rows": 2, "tokens": 64, "mask": False},
            r"shape \[2, 64\]: 64 tokens cannot be padded without an attention_mask",
        ),
        ({"tokens": 2}, r"shape \['batch', 2\]: 2 tokens leave no room for a text"),
    ],
)
def test_shapes_that_no_text_fits_are_told(model: Maker, shape: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=rf"has inputs of {says}; export it with dynamic axes, as optimum-cli"):
        score(model(**shape))


def test_a_shape_inside_the_graph_is_told_with_its_numbers(model: Maker) -> None:
    with pytest.raises(ModelError, match=r"failed on cpu at 1 × \d+ tokens: .*\{-1,16,8\}; export it with dynamic"):
        score(model(inner_length=16))


def test_a_batch_of_many_is_told_to_be_slow(
    model: Maker, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer.commands.score import score

    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"text": TEXTS}), "reviews.parquet")
    folder = model(4, 24)
    code, _, stderr = in_process(score)("reviews.parquet", "-o", "preds.parquet", "--model", folder, "--device", "cpu")
    assert code == 0
    assert "the model takes 4 texts at once, so each runs 4 times; export it with dynamic axes" in stderr


@pytest.mark.parametrize("columns", [2, 3])
def test_probabilities_are_not_squashed_again(
    model: Maker, columns: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = score(model(columns=columns, name="logits"))
    folder = model(columns=columns, last="Softmax", name="probabilities")
    with caplog.at_level(logging.DEBUG, logger="scorer"):
        found = score(folder)
    assert "the model gives probabilities: they are taken as they are" in caplog.text
    assert probabilities(found) == pytest.approx(probabilities(expected), abs=1e-6)
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "reviews.parquet")
    for name, activation in (("logits", "softmax"), ("probabilities", "none")):
        output = tmp_path / f"{name}.parquet"
        score_file(tmp_path / "reviews.parquet", output, model=str(tmp_path / name), device="cpu")
        text = read_provenance(output)
        assert text is not None
        assert parsed(text, output)["bundle"]["activation"] == activation


def test_labels_that_go_together_keep_their_own_probabilities(model: Maker) -> None:
    several = {"problem_type": "multi_label_classification"}
    expected = score(model(columns=3, name="logits", **several))
    assert np.ptp(probabilities(expected).sum(axis=1)) > 0.1
    found = score(model(columns=3, last="Sigmoid", name="sigmoids", **several))
    assert probabilities(found) == pytest.approx(probabilities(expected), abs=1e-6)


ONE = {"id2label": {"0": "toxic"}}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (ONE, ("not toxic", "toxic")),
        ({**ONE, "label2id": {"toxic": 0}}, ("not toxic", "toxic")),
        ({**ONE, "label2id": {"toxic": 1, "fine": 0}}, ("fine", "toxic")),
        ({"id2label": {"0": "fine", "1": "toxic"}}, ("fine", "toxic")),
        ({"id2label": None, "label2id": {"fine": 0, "toxic": 1}}, ("fine", "toxic")),
        ({"id2label": None}, ("LABEL_0", "LABEL_1")),
        ({**ONE, "problem_type": "multi_label_classification"}, ("not toxic", "toxic")),
    ],
)
@pytest.mark.parametrize("shape", [{}, {"squeezed": True}, {"last": "Sigmoid"}, {"last": "Sigmoid", "squeezed": True}])
def test_one_logit_has_two_labels(
    model: Maker, config: dict[str, Any], names: Sequence[str], shape: dict[str, Any]
) -> None:
    folder = model(columns=1, **shape, **config)
    table = score(folder)
    found = probabilities(table)
    assert [name for name in table.column_names if "prob" in name] == [f"pred_prob_{name}" for name in names]
    # The second column is that of a model whose first logit is always 0.
    logit = np.log(found[:, 1] / found[:, 0])
    assert np.ptp(logit) > 0.5
    assert found.sum(axis=1) == pytest.approx(np.ones(len(found)))
    expected = [names[int(one > 0.5)] for one in found[:, 1]]
    assert table["pred_label"].drop_null().to_pylist() == expected
    assert probabilities(score(folder, threshold=1.0)).tolist() == found.tolist()
    assert set(score(folder, threshold=1.0)["pred_label"].drop_null().to_pylist()) == {names[0]}
    assert set(score(folder, threshold=0.0)["pred_label"].drop_null().to_pylist()) == {names[1]}


def test_one_logit_is_squashed_once(model: Maker) -> None:
    found = [
        probabilities(score(model(columns=1, last=last, name=str(last), **ONE), batching=batching))
        for last, batching in ((None, "alone"), ("Sigmoid", "tokens"))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


@pytest.mark.parametrize(
    ("columns", "config", "says"),
    [
        (2, ONE, r"shape \['batch', 2\], but config.json names 1 label"),
        (3, {"id2label": {"0": "a", "1": "b"}}, r"\['batch', 3\], but config.json names 2 labels"),
        (1, {"id2label": {"0": "a", "1": "b", "2": "c"}}, r"\['batch', 1\], but config.json names 3 labels"),
        (1, {"id2label": {"0": "a", "1": "b"}, "problem_type": "multi_label_classification"}, "names 2 labels"),
    ],
)
def test_columns_that_are_not_those_of_the_labels(
    model: Maker, columns: int, config: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        score(model(columns=columns, **config))


def test_columns_that_only_a_run_shows(model: Maker) -> None:
    folder = model(columns=3, id2label={"0": "a", "1": "b"})
    graph = onnx.load(folder / "model.onnx")
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "labels"
    for one in graph.graph.initializer:  # so that onnxruntime does not infer it
        if one.name == "head":
            graph.graph.input.append(helper.make_tensor_value_info("head", TensorProto.FLOAT, None))
    onnx.save(graph, folder / "model.onnx")
    with pytest.raises(ModelError, match=r"has shape \[., 3\], but config.json names 2 labels"):
        score(folder)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"0": 1, "1": 2}, ("1", "2")),
        ({"0": "1", "1": "2"}, ("1", "2")),
        ({"0": 5, "1": "no"}, ("5", "no")),
        ({"1": 10, "0": -1}, ("-1", "10")),
    ],
)
def test_numbers_are_names(model: Maker, names: dict[str, Any], expected: tuple[str, str]) -> None:
    table = score(model(id2label=names))
    assert table.column_names[2:4] == [f"pred_prob_{name}" for name in expected]
    assert set(table["pred_label"].drop_null().to_pylist()) <= set(expected)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"0": 1, "2": 2}, "does not number its 2 labels"),
        ({"1": 1, "2": 2}, "does not number its 2 labels"),
        ({"0": 1, "1": "1"}, "two labels the same name"),
        ({"0": True, "1": False}, "is not an object of names"),
        ({"0": None, "1": 1}, "is not an object of names"),
        ([1, 2], "is not an object of names"),
        (2, "is not an object of names"),
    ],
)
def test_names_that_are_none(model: Maker, names: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        score(model(id2label=names))


def test_gold_numbers_are_names_of_a_model_whose_names_are_numbers(model: Maker, tmp_path: Path) -> None:
    folder = model(columns=3, id2label={"0": 1, "1": 2, "2": 3})
    labels = [int(label or 1) for label in score(folder)["pred_label"].to_pylist()]
    assert len(set(labels)) > 1
    table = pa.table({"text": TEXTS, "label": labels})
    pq.write_table(table, tmp_path / "gold.parquet")
    assert evaluate_labels(tmp_path / "gold.parquet", model=str(folder), device="cpu").figures["accuracy"].value == 1
    pq.write_table(table.set_column(1, "label", pa.array([0, *labels[1:]])), tmp_path / "gold.parquet")
    with pytest.raises(
        InputError, match=r"'0' in column 'label' is not a label of the model; .*numbers are no ids here"
    ):
        evaluate_labels(tmp_path / "gold.parquet", model=str(folder), device="cpu")


def test_gold_numbers_are_no_ids_of_names_that_hold_numbers(
    model: Maker, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer.commands.evaluate_labels import evaluate_labels

    monkeypatch.chdir(tmp_path)
    folder = model(columns=3, id2label={"0": "1 point", "1": "2 points", "2": "3 points"})
    pq.write_table(pa.table({"text": ["good", "bad", "fair"], "label": [1, 2, 1]}), "gold.parquet")
    call: Call = in_process(evaluate_labels)
    code, stdout, stderr = call("gold.parquet", "--model", folder, "--device", "cpu")
    assert (code, stdout) == (3, "")
    assert (
        "'1' in column 'label' is not a label of the model; labels of the model: '1 point', '2 points', '3 points'; "
        "labels in the file: '1', '2'; numbers are no ids here, because the names hold numbers: "
        "write these names into the column; pass --label-map '1=1 point,2=2 points'\n"
    ) in stderr
