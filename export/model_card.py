"""A model card in Markdown, made from the records of training, export and evaluation; nothing in it is typed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scorer.errors import InputError, ModelError
from scorer.evaluation.findings import FIGURES
from scorer.job.lineage import score_command
from scorer.job.provenance import parsed, read_provenance
from scorer.model.bundle import ModelBundle, checksum_of
from scorer.model.json_files import read_object
from scorer.safe_text import counted

_FIGURES = ("accuracy", "f1", "macro_f1", "ece", "log_loss")
_DECIMALS = 4


def render_card(folder: Path, *, metrics: Sequence[Path] = (), notes: Path | None = None) -> str:
    """The card of the bundle in ``folder``, without sections whose facts were not recorded.

    Raises:
        ModelError: the folder is not a bundle that ``export-model`` wrote.
        InputError: a file of figures or the notes cannot be read.
    """
    bundle = ModelBundle.load(folder)
    described = read_object(folder / "bundle.json")
    if described is None:
        raise ModelError("has no bundle.json, so nothing was recorded", path=folder, hint="make it with export-model")
    training = described.get("training") or {}
    export = described.get("export") or {}
    measured = [(file, _json(file)) for file in metrics]
    sections = [
        [f"# {export.get('checkpoint', folder.resolve().name)}", ""],
        _facts(bundle, described, training, export),
        _figures(measured),
        _epochs(training),
        _calibration(described, training),
        _variants(export),
        _data(training),
        _commands(bundle, described, measured),
        [] if notes is None else [_text(notes).rstrip(), ""],
    ]
    return "\n".join(line for section in sections for line in section)


def _facts(
    bundle: ModelBundle, described: dict[str, Any], training: dict[str, Any], export: dict[str, Any]
) -> list[str]:
    base = described.get("base_model") or {}
    preprocessing = described["preprocessing"]
    size = sum(path.stat().st_size for path in bundle.variants.values()) / 1e6
    rows = [
        ("Labels", ", ".join(bundle.labels)),
        ("Architecture", export.get("architecture")),
        ("Pretrained model", base.get("name")),
        ("Its licence", base.get("license") or "not recorded"),
        ("Training began from", (training.get("start") or {}).get("name")),
        ("Text", f"at most {counted(preprocessing['max_length'], 'token')}, {preprocessing['long_text']}"
         + "".join(f", {step}" for step in preprocessing["clean"])),
        ("Variants", f"{', '.join(bundle.variants)} ({size:.1f} MB)"),
        ("Made with", ", ".join(f"{name} {version}" for name, version in (export.get("versions") or {}).items())),
        ("Trained on", (training.get("settings", {}).get("machine") or {}).get("device")),
    ]  # fmt: skip
    return [*_table(("", ""), [(name, value) for name, value in rows if value]), ""]


def _figures(measured: Sequence[tuple[Path, dict[str, Any]]]) -> list[str]:
    rows = []
    for file, value in measured:
        try:
            figures, names, n_rows = value["figures"], [Path(name).name for name in value["files"]], value["rows"]
            cells = [_figure(figures.get(name)) for name in _FIGURES]
            rows.append((", ".join(names), f"{n_rows['evaluated']:,}", *cells))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("is not what evaluate-labels --json writes", path=file) from error
    if not rows:
        return []
    return [
        "## Figures",
        "",
        *_table(("file", "rows", *(FIGURES[name] for name in _FIGURES)), rows),
        "",
        "In brackets: 95 % intervals; with ~ only approximate ones.",
        "",
    ]


def _figure(figure: dict[str, Any] | None) -> str:
    if figure is None or figure.get("value") is None:
        return "-"
    interval = figure.get("interval")
    text = f"{figure['value']:.{_DECIMALS}f}"
    if not interval:
        return text
    rough = "~ " if interval.get("warning") else ""
    return f"{text} [{rough}{interval['low']:.{_DECIMALS}f}, {interval['high']:.{_DECIMALS}f}]"


def _epochs(training: dict[str, Any]) -> list[str]:
    rows = []
    for row in training.get("rows") or ():
        kept = " (kept)" if row["epoch"] == training.get("best_epoch") else ""
        numbers = (f"{row[name]:.{_DECIMALS}f}" for name in ("training_loss", "validation_loss", "accuracy", "f1"))
        rows.append((f"{row['epoch']:g}{kept}", *numbers))
    svm = training.get("baseline")
    if svm:
        numbers = (f"{svm[name]:.{_DECIMALS}f}" for name in ("validation_loss", "accuracy", "f1"))
        rows.append((f"baseline: {svm['name']}, {svm['seconds']:.0f} s", "-", *numbers))
    if not rows:
        return []
    return ["## Training", "", *_table(("epoch", "training loss", "validation loss", "accuracy", "F1"), rows), ""]


def _calibration(described: dict[str, Any], training: dict[str, Any]) -> list[str]:
    fitted = training.get("calibration")
    if not fitted:
        return []
    return [
        "## Calibration",
        "",
        f"Logits are divided by {described['temperature']:.3f}, fitted on the validation rows. "
        f"Expected calibration error there: {fitted['ece_before']:.4f} before, {fitted['ece_after']:.4f} after.",
        "",
    ]


def _variants(export: dict[str, Any]) -> list[str]:
    rows, by_length = [], []
    for name, variant in (export.get("variants") or {}).items():
        parity = variant["parity"]
        rows.append(
            (
                name if variant["kept"] else f"{name} (not kept)",
                f"{variant['size'] / 1e6:.1f} MB",
                f"{parity['agreement']:.4f}",
                f"{parity['alone']['max_probability']:.2e}",
                "-" if variant["accuracy"] is None else f"{variant['accuracy']:.4f}",
                f"{parity['reviews_per_second']:.0f}",
                ", ".join(f"{count} {kind}" for kind, count in (variant["fused"] or {}).items()) or "-",
            )
        )
        by_length += [
            (
                name,
                tokens,
                str(bucket["texts"]),
                f"{bucket['agreement']:.4f}",
                f"{bucket['max_probability']:.2e}",
                f"{bucket['mean_probability']:.2e}",
            )
            for tokens, bucket in parity["tokens"].items()
        ]
    if not rows:
        return []
    heads = ("variant", "size", "labels agree with PyTorch", "largest difference of a probability", "accuracy")
    lines = ["## Export", "", *_table((*heads, "reviews/s", "fused nodes"), rows), ""]
    heads = ("variant", "tokens", "reviews", "labels agree", "largest difference of a probability")
    return [*lines, "By length of a review:", "", *_table((*heads, "mean difference"), by_length), ""]


def _data(training: dict[str, Any]) -> list[str]:
    data = training.get("data")
    if not data:
        return []
    rows = []
    for part in ("train", "eval"):
        counts = data[part]["rows_per_label"]
        labels = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        rows.append((part, ", ".join(data[part]["files"]) or "from the Hub", f"{data[part]['rows']:,}: {labels}"))
    lines = ["## Data", "", *_table(("part", "files", "rows"), rows), ""]
    split = data.get("split")
    if split:
        by = f"whole groups of `{split['group_column']}`" if split["group_column"] else "stratified by label"
        lines += [f"Held out: {split['share']:.1%} of the training rows, {by}, seed {split['seed']}, "
                  f"SHA-256 `{split['held_out_sha256']}`.", ""]  # fmt: skip
    both = data["duplicates"]["validation_rows_in_training"]
    lines += [f"Validation texts that stand in the training part too: {both}.", ""]
    hashes = {name: value for part in ("train", "eval") for name, value in data[part]["files"].items()}
    for part in ("teachers", "unlabelled", "pretraining"):
        hashes |= data.get(part) or {}
    start = training.get("start") or {}
    base = {"name": start.get("base_model"), "sha256": start.get("base_sha256")}
    for one in (base, *(training.get("lineage") or ()), start):
        name = one.get("makes") or one.get("name")
        stated = (one.get("sha256") or {}).items()
        hashes |= {file if file == name else f"{name}/{file}": sha256 for file, sha256 in stated}
        hashes |= one.get("inputs") or {}
    return [*lines, *_table(("file", "SHA-256"), [(name, f"`{value}`") for name, value in hashes.items()]), ""]


def _commands(
    bundle: ModelBundle, described: dict[str, Any], measured: Sequence[tuple[Path, dict[str, Any]]]
) -> list[str]:
    """Every command of the line, from the first training to this card, and the steps without a known one."""
    steps = described.get("lineage")
    if not steps:
        return []
    made = steps[-1]["makes"]
    commands = [step["command"] for step in steps if step.get("command")]
    commands += [
        line
        for file, value in measured
        for line in (*_scoring(file, value, bundle, made), _evaluation(file, value, made))
    ]
    files = [part for file, _ in measured for part in ("--metrics", file.name)]
    card = ["model-card", made, *files]
    lines = ["## Commands", "", "In this order, in a folder that holds the files they read:", ""]
    lines += ["```sh", *commands, shlex.join(card), "```", ""]
    unknown = [step["makes"] for step in steps if not step.get("command")]
    return [*lines, *([f"No command was recorded for: {', '.join(unknown)}.", ""] if unknown else [])]


def _scoring(file: Path, value: dict[str, Any], bundle: ModelBundle, made: str) -> list[str]:
    """The ``score`` commands of the predictions behind a file of figures, if they are still beside it."""
    found = []
    for item in value.get("inputs") or ():
        path = file.parent / Path(str(item.get("path"))).name
        text = read_provenance(path) if item.get("role") == "evaluated" and path.is_file() else None
        stated = {} if text is None else parsed(text, path)
        if "bundle" in stated and checksum_of(path) == item.get("sha256"):
            by = stated["bundle"]
            same = by["precision"] in bundle.variants and by["fingerprint"] == bundle.fingerprint(by["precision"])
            found.append(score_command(stated, path.name, made if same else None))
    return found


def _evaluation(file: Path, value: dict[str, Any], bundle: str) -> str:
    """The ``evaluate-labels`` command of a file of figures: of texts by the bundle, or of predictions."""
    words = ["evaluate-labels", *(Path(name).name for name in value["files"])]
    model = value.get("model")
    if model:
        words += ["--model", bundle, "--precision", str(model.get("precision"))]
        text = str(value.get("text_column") or "")
        if text and ", " not in text:  # several files with columns of different names each find their own
            words += ["--text-column", text]
    if value.get("labels_file"):
        words += ["--labels", Path(value["labels_file"]).name]
    if value.get("label_column"):
        words += ["--label-column", str(value["label_column"])]
    return shlex.join([*words, "--json", file.name])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(heads), "|" + "---|" * len(heads), *(line(row) for row in rows)]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"cannot be parsed as JSON: {error}", path=path) from error
    if not isinstance(value, dict):
        raise InputError("is not what evaluate-labels --json writes", path=path)
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("no such file", path=path, hint="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error
