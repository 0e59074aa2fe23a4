"""What an ONNX file would make onnxruntime open besides itself, found without the ``onnx`` package.

An ONNX file is a protobuf message. Only the fields on the way to tensors are followed, everything else is
stepped over, so that a file of gigabytes costs milliseconds. Field numbers are those of ``onnx.proto3``.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
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


def refuse_external_data(path: Path) -> None:
    """Refuse an ONNX file whose weights lie in other files, which it could name anywhere on the machine.

    Raises:
        ModelError: it has such a weight, is no protobuf message, or cannot be read.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            try:
                external = _has_external_data(view, "Model", 0)
            except (ValueError, IndexError):
                # Here, not further out: the error's frames hold pieces of the view, which then could not be closed.
                external = None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"cannot be read: {reason}", path=path) from error
    if external is None:
        raise ModelError("is no ONNX model, or damaged", path=path, hint="export or copy it again")
    if external:
        raise ModelError(
            "keeps weights in other files, which is not safe to follow",
            path=path,
            hint="save the model as one file: onnx.save(model, path, save_as_external_data=False)",
        )


def _has_external_data(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    for number, wire, value in _fields(message):
        if kind == "Tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                return True
        elif number in _PATHS[kind]:
            if wire != _BYTES or not isinstance(value, memoryview):
                raise ValueError("a field of another type")
            if _has_external_data(value, _PATHS[kind][number], depth + 1):
                return True
    return False


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
