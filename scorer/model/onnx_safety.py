"""Other files that an ONNX file names, and its outputs, found without the ``onnx`` package.

An ONNX file is a protobuf message. Only the fields on the way to tensors are followed, everything else is
stepped over, so that a file of gigabytes costs milliseconds. Field numbers are those of ``onnx.proto3``.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scorer.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_MAX_DEPTH = 64

# Message -> field number -> the message that the field holds.
_PATHS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4

_PASSING_ON = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that leave the values of their first input as they are."""

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass
class OnnxFile:
    """Findings about an ONNX file.

    Attributes:
        path: of the file.
        weights: other files that hold weights, under plain names in the folder of ``path``, and the bytes that
            each must have at least; none was looked at.
        operators: operator and first input that make each value of the graph, by the value's name.
    """

    path: Path
    weights: dict[Path, int] = field(default_factory=dict)
    operators: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> OnnxFile:
        """Look into ``path``.

        Raises:
            ModelError: it is no protobuf message, cannot be read, or describes weights in other files in a way
                that is not safe to follow: under a name that leads elsewhere, or not as the format has it.
        """
        found, tensors = cls(path), list[dict[str, str]]()
        try:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                memoryview(content) as view,
            ):
                try:
                    found._follow(view, "Model", 0, tensors)
                    damaged = False
                except (ValueError, IndexError):
                    # Here, not further out: the error's frames hold pieces of the view, which then could not be closed.
                    damaged = True
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ModelError(f"cannot be read: {reason}", path=path) from error
        if damaged:
            raise ModelError("is not an ONNX model, or is damaged", path=path, hint="export or copy it again")
        for tensor in tensors:
            found._add_weights(tensor)
        return found

    def last_operator(self, output: str) -> str:
        """The operator whose values are ``output``, those that change no value aside; empty if none makes it."""
        operator = ""
        for _ in self.operators:
            operator, output = self.operators.get(output, ("", ""))
            if operator not in _PASSING_ON:
                break
        return operator

    def _add_weights(self, tensor: dict[str, str]) -> None:
        """Add the file of a tensor that is described by ``tensor``."""
        name = tensor.get("location", "")
        if not is_name_within(name) or "*" in name:  # onnxruntime takes a name with stars for an address in memory
            raise ModelError(
                f"keeps weights in {name!r:.80}, which is not a file beside it", path=self.path, hint=_HINT
            )
        ends = [tensor.get(key, "0") for key in ("offset", "length")]
        if tensor.keys() - {"location", "offset", "length", "checksum"} or not all(map(_NUMBER.fullmatch, ends)):
            raise ModelError(f"keeps weights in {name!r:.80} in an unknown way", path=self.path, hint=_HINT)
        path = self.path.parent / name
        self.weights[path] = max(self.weights.get(path, 0), sum(map(int, ends)))

    def _follow(self, message: memoryview, kind: str, depth: int, tensors: list[dict[str, str]]) -> None:
        """Note the nodes of ``message`` and, in ``tensors``, what it says of those in other files."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        paths = _PATHS.get(kind, {})
        entries, elsewhere, texts = dict[str, str](), False, dict[int, str]()
        for number, wire, value in _fields(message):
            if number in paths or (kind == "Tensor" and number == _EXTERNAL_DATA):
                if wire != _BYTES or not isinstance(value, memoryview):
                    raise ValueError("a field of another type")
                if kind != "Tensor":
                    self._follow(value, paths[number], depth + 1, tensors)
                    continue
                key, said = _entry(value)
                if key in entries:
                    raise ValueError("two values for one key")
                entries[key], elsewhere = said, True
            elif kind == "Tensor" and number == _DATA_LOCATION and value != 0:
                elsewhere = True
            elif kind == "Node" and number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR):
                texts.setdefault(number, _text(value))
        if elsewhere:
            tensors.append(entries)
        if kind == "Node" and depth == 2 and _NODE_OUTPUT in texts:  # of the graph itself
            made_by = (texts.get(_NODE_OPERATOR, ""), texts.get(_NODE_INPUT, ""))
            self.operators.setdefault(texts[_NODE_OUTPUT], made_by)


_HINT = "save it again: onnx.save(model, path, save_as_external_data=True, location='model.onnx.data')"


def is_name_within(name: str) -> bool:
    """True if ``name`` is a plain relative path of a file in its folder on every system."""
    return not re.search(r"[\\\0:]", name) and not any(part in ("", ".", "..") for part in name.split("/"))


def _entry(message: memoryview) -> tuple[str, str]:
    """Key and value of a ``StringStringEntryProto``."""
    texts = {number: _text(value) for number, _, value in _fields(message)}
    return texts.get(1, ""), texts.get(2, "")


def _text(value: int | memoryview) -> str:
    if not isinstance(value, memoryview):
        raise ValueError("a number in place of a text")
    return str(value, "utf-8", "surrogateescape")


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, place = _varint(message, place)
        elif wire == _FIXED64:
            size = 8
        elif wire == _FIXED32:
            size = 4
        else:
            raise ValueError("an unknown wire type")
        if place + size > end:
            raise ValueError("a field reaches past its message")
        yield number, wire, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
