"""The whole export, in one place: load, export, fuse, convert, prove, publish."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
import transformers
from tokenizers import Tokenizer

from export.checkpoint import Checkpoint, load_checkpoint
from export.families import FusedNodes
from export.library_noise import quiet_libraries
from export.lineage import lineage_of_bundle
from export.onnx_export import export_fp32
from export.options import ExportOptions
from export.parity import TOLERANCES, prove, reference_logits, require_finite_weights, texts_to_run
from export.preflight import check_before_loading
from export.proof_texts import PROOF_TEXTS
from export.publishing import publish, staging_folder
from export.quality import check_labelled_file, measure_accuracy, require_accuracy, sample_texts
from export.report import ExportReport, VariantReport
from export.variants import INT8_SETTINGS, build_variant
from scorer.errors import ModelError
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_writer import write_description
from scorer.model.machine import usable_cpus
from scorer.model.model_folder import VARIANT_FILES
from scorer.model.options import PRECISIONS
from scorer.model.preprocessing import Preprocessing
from scorer.model.token_runs import TextEncoder
from scorer.progress import SHOWS_NOTHING, Progress
from scorer.version import package_version

log = logging.getLogger(__name__)

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def export_model(options: ExportOptions, progress: Progress = SHOWS_NOTHING) -> ExportReport:
    """Turn a checkpoint into a bundle whose every variant was compared with PyTorch.

    The bundle is built in a folder beside the output and renamed into place once all is proved; an
    error leaves an existing output as it was. ``progress`` shows the comparisons, by texts.

    Raises:
        UsageError: the labelled file already holds predictions.
        OutputExistsError: the output exists and may not be replaced.
        ModelError: the checkpoint cannot be loaded or exported.
        InputError: the labelled file cannot be used.
        QualityGateError: a variant differs from PyTorch, a fusion was missed, or accuracy dropped.
        OutputError: the bundle could not be written.
    """
    check_before_loading(options)
    torch.set_num_threads(options.threads or usable_cpus())
    checkpoint = load_checkpoint(options.checkpoint)
    require_finite_weights(checkpoint.model, name=options.checkpoint)
    with staging_folder(options.output) as staging:
        folder, work = staging / "bundle", staging / "work"
        for path in (folder, work):
            path.mkdir()
        log.info("exporting %s to ONNX", checkpoint.name)
        fp32 = export_fp32(checkpoint.model, folder, work, options.opset)
        _save_tokenizer(checkpoint, folder, work)
        plain = ModelBundle.load(folder)
        preprocessing = _preprocessing(checkpoint, plain, options)
        if options.eval is not None:
            check_labelled_file(plain, options)
        fused = {"fp32": None} | {
            precision: build_variant(precision, fp32, checkpoint.model.config, work, folder)
            for precision in PRECISIONS
            if precision in options.precisions and precision != "fp32"
        }
        # The measurements below need preprocessing and checksums.
        write_description(folder, _description(checkpoint, preprocessing, options, ()))
        variants = _measure(checkpoint, preprocessing, fused, folder, options, progress)
        if "fp32" not in options.precisions:
            fp32.unlink()
        write_description(folder, _description(checkpoint, preprocessing, options, variants))
        size = sum(path.stat().st_size for path in folder.iterdir())
        publish(folder, options.output, overwrite=options.overwrite)
    return ExportReport(options.output, size, variants)


def _save_tokenizer(checkpoint: Checkpoint, folder: Path, work: Path) -> None:
    with quiet_libraries():
        checkpoint.tokenizer.save_pretrained(work)
    for name in _TOKENIZER_FILES:
        if (work / name).is_file():
            (work / name).rename(folder / name)


def _preprocessing(checkpoint: Checkpoint, plain: ModelBundle, options: ExportOptions) -> Preprocessing:
    """The checkpoint's own, or else one with the lengths of its tokenizer and its configuration."""
    own = checkpoint.preprocessing
    if own is not None and plain.max_positions is not None and own.max_length > plain.max_positions:
        raise ModelError(
            f"reads {own.max_length} tokens by its preprocessing.json and has {plain.max_positions} positions",
            path=options.checkpoint,
        )
    return own or plain.preprocessing


def _measure(
    checkpoint: Checkpoint,
    preprocessing: Preprocessing,
    fused: dict[str, FusedNodes | None],
    folder: Path,
    options: ExportOptions,
    progress: Progress,
) -> tuple[VariantReport, ...]:
    """Prove every variant in ``folder``, and measure its accuracy on the labelled file if there is one."""
    bundle = ModelBundle.load(folder)
    encoder = TextEncoder(Tokenizer.from_file(str(bundle.tokenizer_file)), preprocessing)
    texts = [*PROOF_TEXTS, *sample_texts(bundle, encoder, options)]
    runs = texts_to_run(len(texts), fused)
    log.info("comparing %s with PyTorch on %d texts: %d runs", ", ".join(fused), len(texts), runs)
    with progress:
        encoded = encoder.encode(texts)
        progress.start(texts_to_run(len(encoded.rows), fused))
        reference = reference_logits(checkpoint.model, encoded, name=options.checkpoint, progress=progress)
        parities = {
            precision: prove(bundle, precision, reference, checkpoint.model, threads=options.threads, progress=progress)
            for precision in fused
        }
    accuracies: dict[str, float] = {}
    if options.eval is not None:
        for precision in fused:
            log.info("measuring the accuracy of %s on %s", precision, options.eval)
            accuracies[precision] = measure_accuracy(bundle, precision, options, progress)
            require_accuracy(precision, accuracies[precision], accuracies["fp32"], options)
    return tuple(
        VariantReport(
            precision=precision,
            file=VARIANT_FILES[precision][0],
            size=bundle.variants[precision].stat().st_size,
            parity=parities[precision],
            fused=nodes,
            accuracy=accuracies.get(precision),
            kept=precision in options.precisions,
        )
        for precision, nodes in fused.items()
    )


def _description(
    checkpoint: Checkpoint,
    preprocessing: Preprocessing,
    options: ExportOptions,
    variants: tuple[VariantReport, ...],
) -> dict[str, Any]:
    """``bundle.json`` without the checksums and without anything of this machine."""
    base_model = options.base_model or checkpoint.base_model
    license = options.license or checkpoint.license
    description = {
        "preprocessing": preprocessing.to_json(),
        "threshold": None,
        "temperature": checkpoint.temperature,
        "base_model": None if base_model is None else {"name": base_model, "license": license},
        "training": checkpoint.training,
        "export": {
            "checkpoint": checkpoint.name,
            "architecture": type(checkpoint.model).__name__,
            "precisions": list(options.precisions),
            "opset": options.opset,
            "int8": dict(INT8_SETTINGS),
            "padding": "right",
            "tolerances": {"unit": "range of the reference's logits", **TOLERANCES},
            "eval": None if options.eval is None else options.eval.name,
            "text_column": options.text_column,
            "label_column": options.label_column,
            "max_drop": options.max_drop,
            "variants": {variant.precision: variant.to_json() for variant in variants},
            "versions": _versions(),
        },
    }
    return {**description, "lineage": lineage_of_bundle(options.output.resolve().name, description)}


def _versions() -> dict[str, str]:
    return {
        "review-scorer": package_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "optimum": version("optimum"),
        "optimum-onnx": version("optimum-onnx"),
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
