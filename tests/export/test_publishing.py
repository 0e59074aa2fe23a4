"""A new bundle takes the place of an older one whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

import export.exporting
import export.onnx_export
import export.publishing
from export.publishing import publish
from scorer import interrupts
from scorer.errors import OutputError, OutputExistsError
from tests.helpers.exports import exit_code


def two_bundles(folder: Path) -> tuple[Path, Path]:
    """A finished one and one that stands at the output."""
    finished, output = folder / "finished", folder / "bundle"
    for path, text in ((finished, "new"), (output, "old")):
        path.mkdir()
        (path / "bundle.json").write_text(text)
    return finished, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_renames_waits_for_the_new_bundle(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, output = two_bundles(tmp_path)
    rename = Path.rename

    def renamed(source: Path, target: Path) -> Path:
        moved = rename(source, target)
        signal.raise_signal(number)
        return moved

    monkeypatch.setattr(Path, "rename", renamed)
    interrupts.install()
    publish(finished, output, overwrite=True)
    assert {path.name: path.read_text() for path in output.iterdir()} == {"bundle.json": "new"}
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("fails_at", ["finished", "sync_folder", "restore"])
def test_a_bundle_that_cannot_be_replaced_is_not_lost(
    fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, output = two_bundles(tmp_path)
    rename = Path.rename

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def renamed(source: Path, target: Path) -> Path:
        if source == finished or (fails_at == "restore" and target == output):
            failing()
        return rename(source, target)

    if fails_at == "sync_folder":
        monkeypatch.setattr(export.publishing, "sync_folder", lambda folder: folder == tmp_path and failing())
    else:
        monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(OutputError, match="the bundle could not be written: Input/output error") as caught:
        publish(finished, output, overwrite=True)
    old = tmp_path / f".bundle.{os.getpid()}.old" if fails_at == "restore" else output
    assert str(caught.value).endswith(f"the old bundle is now {old}") == (fails_at == "restore")
    assert (old / "bundle.json").read_text() == "old"
    assert finished.is_dir()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_at_the_output_meanwhile_is_left_alone(overwrite: bool, tmp_path: Path) -> None:
    finished, output = two_bundles(tmp_path)
    (output / "bundle.json").rename(output / "diary.txt")
    with pytest.raises(OutputExistsError, match="was not replaced" if overwrite else "already exists"):
        publish(finished, output, overwrite=overwrite)
    assert (output / "diary.txt").read_text() == "old"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full", "x"), RuntimeError("No space left on device (os error 28)")]
)
def test_a_full_disk_is_exit_5_whoever_tells_of_it(
    error: Exception,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    for module, name in ((export.onnx_export, "onnx_export_from_model"), (export.exporting, "build_variant")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, full)
            assert exit_code(tiny_checkpoint, "-o", tmp_path / "bundle", "-q") == 5
        assert capsys.readouterr().err == (
            f"error: {tmp_path / 'bundle'}: the bundle could not be written: No space left on device\n"
        )
    assert not any(tmp_path.iterdir())
