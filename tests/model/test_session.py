"""Token ids to logits: each review alone, batches by token budget, memory that runs out, and what a machine grants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import DeviceError, ModelError, OutOfMemoryError
from scorer.model import machine
from scorer.model.batches import BatchBuffers, BatchShape, distinct_runs
from scorer.model.bundle import ModelBundle
from scorer.model.options import ModelOptions
from scorer.model.session import ModelSession
from scorer.model.token_runs import Encoded


def encoded(*runs: list[int]) -> Encoded:
    offsets = np.cumsum([0, *map(len, runs)])
    tokens = np.fromiter((token for run in runs for token in run), np.int32)
    return Encoded(tokens, offsets, np.arange(len(runs)), np.zeros(len(runs), np.bool_))


def some_runs(*lengths: int) -> Encoded:
    random = np.random.default_rng(3)
    return encoded(*[random.integers(5, 300, length).tolist() for length in lengths])


def session(bundle: Path, **options: Any) -> ModelSession:
    return ModelSession(ModelBundle.load(bundle), ModelOptions(device="cpu", **options))


LENGTHS = (5, 40, 7, 7, 512, 3, 40, 33, 7)


def test_a_run_gives_the_same_bits_whatever_runs_beside_it(tiny_bundle: Path) -> None:
    texts = some_runs(*LENGTHS)
    for precision in ("int8", "fp32"):
        alone = session(tiny_bundle, precision=precision)
        expected = np.concatenate([alone.logits(encoded(texts.run(i).tolist())) for i in range(len(LENGTHS))])
        for threads in (1, 2, 5):
            found = session(tiny_bundle, threads=threads, precision=precision).logits(texts)
            assert found.tobytes() == expected.tobytes(), (precision, threads)


@pytest.mark.parametrize("budget", [1, 64, 100, 10**6])
def test_padded_batches_give_what_runs_alone_give(tiny_bundle: Path, budget: int) -> None:
    texts = some_runs(*LENGTHS)
    alone = session(tiny_bundle, precision="fp32").logits(texts)
    batched = session(tiny_bundle, precision="fp32", batching="tokens", batch_tokens=budget).logits(texts)
    assert batched == pytest.approx(alone, abs=2e-5)


def test_a_graph_without_a_mask_is_never_padded(tiny_bundle: Path) -> None:
    texts = some_runs(*LENGTHS)
    batched = session(tiny_bundle, precision="int8", batching="tokens")
    assert not batched.pads
    assert session(tiny_bundle, precision="fp32").pads
    alone = session(tiny_bundle, precision="int8").logits(texts)
    found = batched.logits(texts)
    single = [place for place, length in enumerate(LENGTHS) if LENGTHS.count(length) == 1]
    assert found[single].tobytes() == alone[single].tobytes()
    # Neighbours of one length share the scales of a quantized product.
    assert found == pytest.approx(alone, abs=0.3 * float(np.ptp(alone)))


def test_no_runs(tiny_bundle: Path) -> None:
    for batching in ("alone", "tokens"):
        assert session(tiny_bundle, batching=batching).logits(encoded()).shape == (0, 2)


def test_equal_runs_are_computed_once(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = session(tiny_bundle, threads=1)
    calls = []
    run = model._session.run
    monkeypatch.setattr(model._session, "run", lambda *arguments: calls.append(arguments) or run(*arguments))
    found = model.logits(encoded([2, 9, 3], [2, 8, 3], [2, 9, 3], [2, 9, 3]))
    assert len(calls) == 2
    assert found[0].tobytes() == found[2].tobytes() == found[3].tobytes() != found[1].tobytes()


def test_long_reviews_run_first(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = session(tiny_bundle, threads=1)
    widths = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda names, feeds: widths.append(feeds["input_ids"].shape[1]) or run(names, feeds)
    )
    model.logits(some_runs(*LENGTHS))
    assert widths == sorted(LENGTHS, reverse=True)


def fails_above(
    model: ModelSession, tokens: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, ...]]:
    """Let the device of ``model`` fail on batches of more than ``tokens``, as a full GPU does; returns the shapes."""
    shapes: list[tuple[int, ...]] = []
    bind = model._session.io_binding

    class Binding:
        def __init__(self) -> None:
            self._inner = bind()

        def bind_cpu_input(self, name: str, value: np.ndarray) -> None:
            if name == "input_ids":
                shapes.append(value.shape)
                if value.size > tokens:
                    raise RuntimeError(message)
            self._inner.bind_cpu_input(name, value)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    monkeypatch.setattr(model._session, "io_binding", Binding)
    return shapes


def test_memory_that_runs_out_halves_the_batch(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = some_runs(*[30] * 9)
    model = session(tiny_bundle, precision="fp32", batching="tokens")
    expected = model.logits(texts)
    shapes = fails_above(model, 3 * 32, "[ONNXRuntimeError] : 6 : BFCArena: Failed to allocate memory", monkeypatch)
    monkeypatch.setattr(
        model._session,
        "run_with_iobinding",
        lambda b: type(model._session).run_with_iobinding(model._session, b._inner),
    )
    assert model.logits(texts) == pytest.approx(expected, abs=1e-5)
    assert shapes == [(9, 32), (4, 32), (2, 32), (2, 32), (5, 32), (2, 32), (3, 32)]


@pytest.mark.parametrize(
    "said", ["CUDA failure 2: out of memory", "Non-zero status code returned while running Where node: std::bad_alloc"]
)
def test_memory_that_does_not_suffice_for_one_review_is_an_error(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    model = session(tiny_bundle, precision="fp32", batching="tokens")
    fails_above(model, 16, said, monkeypatch)
    with pytest.raises(OutOfMemoryError, match="in a batch of 1 × 32 tokens"):
        model.logits(some_runs(30, 30))


def test_another_fault_of_the_model_is_told_as_such(tiny_bundle: Path) -> None:
    for batching in ("alone", "tokens"):
        with pytest.raises(ModelError, match="the model failed on cpu"):
            session(tiny_bundle, batching=batching).logits(encoded([10**6, 3]))


def test_cuda_that_is_not_there_is_an_error(tiny_bundle: Path) -> None:
    if machine.cuda_device_count():
        pytest.skip("a GPU is here")
    with pytest.raises(DeviceError, match="cuda:1 was requested"):
        ModelSession(ModelBundle.load(tiny_bundle), ModelOptions(device="cuda:1"))


def test_batches_are_cut_by_tokens_longest_first() -> None:
    lengths = np.asarray([10, 500, 20, 16, 17])
    shape = BatchShape(budget=64, max_width=512, pads=True)
    assert [batch.tolist() for batch in shape.batches(lengths)] == [[1], [2, 4], [3, 0]]
    assert [shape.width(n) for n in (1, 16, 17, 500, 512)] == [16, 16, 32, 512, 512]
    assert BatchShape(64, 130, pads=True).width(129) == 130
    alone = BatchShape(budget=64, max_width=512, pads=False)
    assert [batch.tolist() for batch in alone.batches(np.asarray([9, 8, 9, 9]))] == [[0, 2, 3], [1]]
    assert alone.width(17) == 17


def test_the_last_batch_is_filled_up_to_the_rows_of_its_width() -> None:
    shape = BatchShape(budget=64, max_width=512, pads=True, fills=True)
    assert shape.filled(np.asarray([3, 0]), 16).tolist() == [3, 0, 3, 0]
    assert shape.filled(np.asarray([1]), 500).tolist() == [1]
    assert BatchShape(64, 512, pads=False, fills=True).filled(np.asarray([1]), 8).tolist() == [1]


def test_filled_batches_give_what_others_give(tiny_bundle: Path) -> None:
    texts = some_runs(*LENGTHS)
    model = session(tiny_bundle, precision="fp32", batching="tokens", batch_tokens=128)
    expected = model.logits(texts)
    model._shape = replace(model._shape, fills=True)
    widths = {model._shape.width(length) for length in LENGTHS}
    shapes = fails_above(model, 10**9, "", pytest.MonkeyPatch())
    model._session.run_with_iobinding = lambda b: type(model._session).run_with_iobinding(model._session, b._inner)
    found = model.logits(texts)
    assert found == pytest.approx(expected, abs=2e-5)
    assert model.logits(texts).tobytes() == found.tobytes()
    assert set(shapes) == {(max(1, 128 // width), width) for width in widths}  # one number of rows for each width


@settings(max_examples=300)
@given(runs=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), max_size=30))
def test_distinct_runs_are_those_of_a_dictionary(runs: list[list[int]]) -> None:
    first, inverse = distinct_runs(encoded(*runs))
    places = {tuple(run): place for place, run in reversed(list(enumerate(runs)))}
    assert first.tolist() == sorted(places.values())
    assert [runs[first[place]] for place in inverse] == runs


def test_buffers_are_used_again_and_hold_nothing_of_the_last_batch() -> None:
    buffers = BatchBuffers(np.int32, pinned=False)
    texts = encoded([7, 7, 7, 7], [8, 8], [9])
    first = buffers.fill(texts, np.asarray([0, 1]), 4)[0]
    ids, mask, types = buffers.fill(texts, np.asarray([2, 1]), 3)
    assert np.shares_memory(first, ids)
    assert ids.tolist() == [[9, 0, 0], [8, 8, 0]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert not types.any()
    assert {value.dtype for value in (ids, mask, types)} == {np.dtype(np.int32)}


def test_memory_that_cannot_be_pinned_is_used_all_the_same() -> None:
    ids, _, _ = BatchBuffers(np.int32, pinned=True).fill(encoded([7, 8]), np.asarray([0]), 2)
    assert ids.tolist() == [[7, 8]]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "50000 100000"}, 1),
        ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ({"cpu/a/b/cpu.cfs_quota_us": "400000", "cpu/a/b/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({}, 8),
    ],
)
def test_threads_follow_affinity_and_quota(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    own = tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/a/b\n0::/a/b\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine.usable_cpus() == expected


@pytest.mark.parametrize(
    ("capability", "cudnn", "message"),
    [
        ((9, 0), (9, 3, 0), ""),
        ((9, 0), (9, 19, 0), ""),
        ((9, 0), (9, 10, 0), "needs cuDNN 9.10.2 or later, and cuDNN is 9.10.0"),
        ((9, 0), (9, 10, 1), "cuDNN is 9.10.1"),
        ((9, 0), (9, 10, 2), ""),
        ((8, 0), None, ""),
        (None, None, ""),
        ((9, 0), (9, 1, 1), "needs cuDNN 9.3 or later, and cuDNN is 9.1.1"),
        ((9, 0), None, "no cuDNN was found"),
    ],
)
def test_slow_attention_is_told(
    capability: tuple[int, int] | None, cudnn: tuple[int, int, int] | None, message: str
) -> None:
    found = machine.slow_attention(capability, cudnn)
    assert (found == "") == (message == "")
    assert message in found
