"""The provenance of an output, kept with it, and the seal on both.

In Parquet the provenance is one key of the footer; beside text formats it is a file of its own, the
sidecar. It ends in a seal, a SHA-256: of the whole Parquet file, with zeros in place of the 64 digits of
the seal itself, or of the sidecar, which states the SHA-256 of the output. So a change of any bit
anywhere is found, and found before a damaged file is given to a parser.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from scorer.disk.checksums import sha256_of
from scorer.errors import InputError
from scorer.files.beside_outputs import PROVENANCE_KEY, PROVENANCE_SUFFIX

_FORMAT = 1

_ZEROS = b"0" * 64

_END = b'"}'

_SEAL = b',"seal":"'

_SEALED = re.compile(re.escape(_SEAL) + rb"[0-9a-f]{64}" + re.escape(_END))

_TAIL = len(_ZEROS + _END)


def unsealed_text(value: Mapping[str, Any]) -> bytes:
    """``value`` as JSON whose last key is a seal of zeros."""
    text = orjson.dumps({"format": _FORMAT, **value}, option=orjson.OPT_SORT_KEYS)
    return text[:-1] + _SEAL + _ZEROS + _END


def sealed_text(value: Mapping[str, Any]) -> bytes:
    """``value`` as JSON that ends in its own seal, for a sidecar."""
    return _sealed(unsealed_text(value))


def text_is_whole(text: bytes) -> bool:
    """True if a text of :func:`sealed_text` is unchanged."""
    return _sealed(text[:-_TAIL] + _ZEROS + _END) == text


def _sealed(text: bytes) -> bytes:
    return text[:-_TAIL] + hashlib.sha256(text).hexdigest().encode() + _END


def seal_parquet(file: BufferedRandom) -> str:
    """Seal a finished Parquet file whose footer has a text of :func:`unsealed_text`; give its SHA-256."""
    found = _find(file)
    if found is None:
        raise ValueError("the footer holds no provenance")
    place = found[1] + len(found[0]) - _TAIL
    digest = _digest(file, place)
    file.seek(place)
    file.write(digest.encode())
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def changed_file(output: Path, text: bytes) -> Path | None:
    """The file, an output or its sidecar ``text``, in which a byte has changed; ``None`` if none has.

    Raises:
        InputError: the sidecar is whole and no provenance.
        OSError: one cannot be read.
    """
    if is_parquet(output):
        return None if parquet_is_whole(output) else output
    if not text_is_whole(text):
        return sidecar_of(output)
    is_whole = sha256_of(output) == parsed(text, output).get("output", {}).get("sha256")
    return None if is_whole else output


def parquet_is_whole(path: Path) -> bool:
    """True if every byte of a sealed Parquet file is unchanged."""
    with path.open("rb") as file:
        found = _find(file)
        if found is None:
            return False
        text, start = found
        return _digest(file, start + len(text) - _TAIL).encode() == text[-_TAIL : -len(_END)]


def is_parquet(path: Path) -> bool:
    """True if a file begins or ends as Parquet does."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return True
        file.seek(max(0, file.seek(0, 2) - 4))
        return file.read(4) == b"PAR1"


def lacks_footer(path: Path) -> bool:
    """True if a file begins as Parquet does and does not end so.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        begins = file.read(4) == b"PAR1"
        file.seek(max(0, file.seek(0, 2) - 4))
        return begins and file.read(4) != b"PAR1"


def sidecar_of(output: Path) -> Path:
    """Path of the provenance of an output in a text format."""
    return output.with_name(output.name + PROVENANCE_SUFFIX)


def read_provenance(output: Path) -> bytes | None:
    """The sealed text of an output, or ``None``; no parser sees the output itself.

    Raises:
        InputError: the output or its sidecar cannot be read.
    """
    try:
        if is_parquet(output):
            with output.open("rb") as file:
                return in_footer(file)
        sidecar = sidecar_of(output)
        return sidecar.read_bytes().removesuffix(b"\n") if sidecar.exists() else None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=error.filename or output) from error


def in_footer(file: BinaryIO) -> bytes | None:
    """The sealed text in an open Parquet file, or ``None``."""
    found = _find(file)
    return None if found is None else found[0]


def parsed(text: bytes, output: Path) -> dict[str, Any]:
    """The value of a sealed text.

    Raises:
        InputError: it is not JSON, or of another version.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError("its provenance is not JSON", path=output) from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise InputError("its provenance is of another format", path=output)
    return value


def _find(file: BinaryIO) -> tuple[bytes, int] | None:
    """The sealed text in the footer of a Parquet file and its offset, found by bytes alone."""
    size = file.seek(0, 2)
    if size < 12:
        return None
    file.seek(size - 8)
    length = int.from_bytes(file.read(4), "little")
    start = size - 8 - length
    if start < 0:
        return None
    file.seek(start)
    footer = file.read(length)
    for key in re.finditer(re.escape(PROVENANCE_KEY), footer):
        # Between a key and its value Thrift puts a type and a length.
        begin = footer.find(b'{"', key.end(), key.end() + 12)
        end = _SEALED.search(footer, begin) if begin >= 0 else None
        if end is not None:
            return footer[begin : end.end()], start + begin
    return None


def _digest(file: BinaryIO, place: int) -> str:
    """SHA-256 of ``file`` with zeros in place of the 64 bytes at ``place``."""
    digest = hashlib.sha256()
    file.seek(0)
    left = place
    while left and (data := file.read(min(left, 2**20))):
        digest.update(data)
        left -= len(data)
    digest.update(_ZEROS)
    file.seek(place + len(_ZEROS))
    while data := file.read(2**20):
        digest.update(data)
    return digest.hexdigest()
