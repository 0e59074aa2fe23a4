"""The inputs and the output of a loaded ONNX graph: checked once, and what it gives made logits of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from scorer.errors import ModelError
from scorer.model.bundle import ModelBundle
from scorer.model.onnx_safety import OnnxFile
from scorer.safe_text import counted

Logits = npt.NDArray[np.float32]
"""``(n_runs, n_labels)``."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")

DYNAMIC_HINT = "export it with dynamic axes, as optimum-cli export onnx does"

_NUMPY_TYPES: Mapping[str, type[np.integer[Any]]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}

_LEAST_TOKENS = 3  # two special ones around a text


@dataclass(frozen=True)
class Graph:
    """A graph that classifies texts.

    Attributes:
        path: of its file.
        inputs: integer type of each, by name.
        output: name of the one with the logits.
        n_labels: of the bundle.
        columns: numbers of columns that the output can have: one for each label, or a single logit for two.
        rows: of every batch, and
        tokens: of every text, where the inputs have no other; else ``None``.
        gives_probabilities: true if the output is that of a sigmoid.
    """

    path: Path
    inputs: Mapping[str, type[np.integer[Any]]]
    output: str
    n_labels: int
    columns: tuple[int, ...]
    rows: int | None
    tokens: int | None
    gives_probabilities: bool

    @classmethod
    def of(cls, session: ort.InferenceSession, bundle: ModelBundle, path: Path) -> Graph:
        """The graph that ``session`` has loaded from ``path``.

        Raises:
            ModelError: it is no classifier of the labels of ``bundle``, or of texts of one length alone.
        """
        inputs: dict[str, type[np.integer[Any]]] = {}
        shapes = []
        for item in session.get_inputs():
            kind = _NUMPY_TYPES.get(item.type)
            if item.name not in INPUTS or kind is None:
                raise ModelError(f"has an input {item.name!r} that a text classifier does not need", path=path)
            inputs[item.name] = kind
            shapes.append(item.shape)
        if "input_ids" not in inputs:
            raise ModelError("has no input named input_ids", path=path, hint="export a sequence classifier")
        outputs = {item.name: item.shape for item in session.get_outputs()}
        output = "logits" if "logits" in outputs else next(iter(outputs))
        n_labels = len(bundle.labels)
        columns = [1 if bundle.one_logit else n_labels]
        if n_labels == 2 and bundle.activation == "softmax":
            columns.append(1)
        graph = cls(
            path,
            inputs,
            output,
            n_labels,
            tuple(columns),
            *_fixed_shape(shapes, path, pads="attention_mask" in inputs),
            OnnxFile.read(path).last_operator(output) == "Sigmoid",
        )
        shape = outputs[output]
        if len(shape) not in (1, 2) or (isinstance(shape[-1], int) and shape[1:2] and shape[1] not in columns):
            raise graph._unfit(shape)
        return graph

    @property
    def pads(self) -> bool:
        """True if texts of different lengths can share a batch: only the mask tells padding from text."""
        return "attention_mask" in self.inputs

    def logits(self, outputs: Sequence[npt.NDArray[Any]], rows: int) -> Logits:
        """The logits of batches of ``rows`` each, one after another: float32 ``(len(outputs) * rows, n_labels)``.

        Raises:
            ModelError: there are not as many as labels.
        """
        if not outputs:
            return np.empty((0, self.n_labels), dtype=np.float32)
        sizes = {output.size for output in outputs}
        if len(sizes) > 1 or not sizes <= {rows * columns for columns in self.columns}:
            raise self._unfit(max(outputs, key=lambda output: output.size).shape)
        found = np.concatenate(outputs, axis=None, dtype=np.float32).reshape(len(outputs) * rows, -1)
        return found if found.shape[1] == self.n_labels else both_labels(found, probabilities=self.gives_probabilities)

    def _unfit(self, shape: Sequence[object]) -> ModelError:
        return ModelError(
            f"its output {self.output!r} has shape {list(shape)},"
            f" but config.json names {counted(self.columns[0], 'label')}",
            path=self.path,
            hint="name its labels there, or export it for the task text-classification",
        )


def both_labels(logits: Logits, *, probabilities: bool = False) -> Logits:
    """Two columns for the one of ``logits``, which is that of the second label.

    The softmax of 0 and a logit is the sigmoid of the logit; ``probabilities`` get their complement.
    """
    return np.concatenate([1 - logits if probabilities else np.zeros_like(logits), logits], axis=1)


def _fixed_shape(shapes: Sequence[Sequence[object]], path: Path, *, pads: bool) -> tuple[int | None, int | None]:
    """Rows and tokens of every batch, where the inputs have ``shapes``; ``None`` for any number."""
    axes = [{size for size in sizes if isinstance(size, int)} for sizes in zip(*shapes, strict=False)]
    said = " and ".join(dict.fromkeys(str(list(shape)) for shape in shapes))
    if any(len(shape) != 2 for shape in shapes) or max(map(len, axes)) > 1:
        raise ModelError(f"has inputs of shape {said}, not of texts and tokens", path=path, hint=DYNAMIC_HINT)
    rows, tokens = (next(iter(sizes), None) for sizes in axes)
    if tokens is not None and (not pads or tokens < _LEAST_TOKENS):
        why = "leave no room for a text" if pads else "cannot be padded without an attention_mask"
        raise ModelError(f"has inputs of shape {said}: {tokens} tokens {why}", path=path, hint=DYNAMIC_HINT)
    return rows, tokens
