"""``score --doctor``: what it runs, and what it makes of a run on CUDA."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorer.commands.doctor import _output_on_cuda, cuda_lines
from scorer.model.machine import cuda_device_count
from tests.conftest import Call

NOT_TOLD = "attention      not reported by onnxruntime"

SHOWN = (
    "\x1b[36mOperator=Attention Node=Attention_0 DataType=fp16 SdpaKernel=CUDNN_FLASH_ATTENTION\x1b[0m\n"
    "\x1b[36mOperator=Attention Node=Attention_1 DataType=fp16 SdpaKernel=CUDNN_FLASH_ATTENTION\x1b[0m\n"
    "\npositive, fp16 on cuda:0\n"
)


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (SHOWN, ["on CUDA        positive, fp16 on cuda:0", "attention      CUDNN_FLASH_ATTENTION"]),
        ("\nnegative, fp32 on cuda:0\n", ["on CUDA        negative, fp32 on cuda:0", NOT_TOLD]),
        ("\nfailed: no CUDA\n", ["on CUDA        failed: no CUDA"]),
        ("", ["on CUDA        failed: the process ended without a result"]),
    ],
)  # fmt: skip
def test_the_kernel_is_read_from_what_onnxruntime_prints(output: str, lines: list[str]) -> None:
    assert cuda_lines(output) == lines


def test_a_device_that_is_not_there_is_said_in_one_line(tiny_bundle: Path) -> None:
    if cuda_device_count():
        pytest.skip("a GPU is here")
    (line,) = cuda_lines(_output_on_cuda(str(tiny_bundle)))
    assert line.startswith("on CUDA        failed: device cuda was requested, but no CUDA device was found")


def test_a_named_model_is_tried(call_score: Call, three_label_bundle: Path) -> None:
    code, out, _ = call_score("--model", three_label_bundle, "--doctor")
    assert code == 0
    assert "labels negative, neutral, positive\n" in out
    assert "tokenizer      nanotoken\n" in out
    code, out, _ = call_score("--model", "no-such-folder", "--doctor")
    assert (code, "a test review  failed: no-such-folder" in out) == (4, True)
