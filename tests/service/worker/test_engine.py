"""The engine with a scripted model: what one job does wrong stays its own."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from geometry.point_cloud import PointCloud
from models.catalog import DRAFT
from models.contract import PREVIEW_POINTS, PreparedImages, Result, SamplingParams
from models.errors import NonFiniteError
from service.worker.engine import DeviceLostError, Engine, EngineJob, JobTooLargeError
from tests.fakes_model import (
    CRASH_SEED,
    ENCODE_SEED,
    FINISH_SEED,
    NAN_SEED,
    STALL_SEED,
    FakeModel,
)


@dataclass
class Notes:
    """An `EngineListener` that writes everything down."""

    finals: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    steps: list[tuple[str, int, int]] = field(default_factory=list)
    looking: bool = False
    seen: list[tuple[str, int, PointCloud | None]] = field(default_factory=list)

    def progressed(self, job, step, steps, look):
        self.steps.append((job.id, step, steps))
        if self.looking:
            self.seen.append((job.id, step, look()))

    def finished(self, job, result):
        self._end(job, "finished")
        self.results[job.id] = result

    def failed(self, job, error):
        self._end(job, "failed")
        self.errors[job.id] = error

    def dropped(self, job):
        self._end(job, "dropped")

    def _end(self, job, how):
        assert job.id not in self.finals, "a job ended twice"
        self.finals[job.id] = how


def job(name, seed=1, steps=1, model="draft", stopped=lambda: False) -> EngineJob:
    picture = torch.full((1, 4, 8, 8), (seed % 7) / 7)
    return EngineJob(
        name, model, PreparedImages(picture), SamplingParams(256, steps, seed), stopped
    )


def run(engine: Engine, limit: int = 200) -> None:
    for _ in range(limit):
        if not engine.step():
            return
    raise AssertionError("the engine does not come to rest")


def make(model: FakeModel | None = None, max_batch: int = 8):
    model, notes = model or FakeModel(), Notes()
    return Engine({"draft": model}, notes, max_batch), model, notes


def alone(seed, steps=1):
    engine, _, notes = make()
    engine.add(job("only", seed, steps))
    run(engine)
    return notes.results["only"].points.positions


def test_jobs_join_and_leave_between_evaluations():
    engine, model, notes = make()
    engine.add(job("a", seed=1, steps=4))
    engine.step()
    engine.add(job("b", seed=2, steps=1))
    engine.step()
    engine.add(job("c", seed=3, steps=2))
    run(engine)

    assert model.batches == [(1,), (1, 2), (1, 3), (1, 3)]
    assert notes.finals == dict.fromkeys("abc", "finished")
    assert [step for name, step, steps in notes.steps if name == "a"] == [1, 2, 3, 4]


def test_a_result_does_not_depend_on_the_company():
    engine, model, notes = make(max_batch=4)
    for seed in range(1, 11):
        engine.add(job(str(seed), seed, steps=1 + seed % 3))
    run(engine)

    assert max(map(len, model.batches)) == 4
    for seed in range(1, 11):
        together = notes.results[str(seed)].points.positions
        np.testing.assert_array_equal(together, alone(seed, 1 + seed % 3))


def test_jobs_are_encoded_together():
    engine, model, _ = make()
    for seed in range(1, 6):
        engine.add(job(str(seed), seed))
    run(engine)

    assert model.encoded == [5]


def test_a_listener_may_look_at_the_object_on_the_way():
    engine, _, notes = make(FakeModel(previews=True))
    notes.looking = True
    engine.add(job("a", seed=1, steps=3))
    run(engine)

    assert [(step, cloud and len(cloud)) for _, step, cloud in notes.seen] == [
        (1, PREVIEW_POINTS),
        (2, PREVIEW_POINTS),
        (3, None),  # the object itself is next
    ]
    np.testing.assert_array_equal(notes.results["a"].points.positions, alone(1, 3))


def test_a_look_that_fails_is_not_the_jobs_failure():
    class Blind(FakeModel):
        def preview(self, state):
            raise RuntimeError("scripted")

    engine, _, notes = make(Blind())
    notes.looking = True
    engine.add(job("a", steps=2))
    run(engine)

    assert notes.seen == [("a", 1, None), ("a", 2, None)]
    assert notes.finals == {"a": "finished"}


def test_nan_fails_only_its_own_job():
    engine, _, notes = make()
    for name, seed in (("a", 1), ("bad", NAN_SEED), ("c", 3)):
        engine.add(job(name, seed, steps=3))
    run(engine)

    assert notes.finals == {"a": "finished", "bad": "failed", "c": "finished"}
    assert isinstance(notes.errors["bad"], NonFiniteError)
    np.testing.assert_array_equal(notes.results["a"].points.positions, alone(1, 3))


@pytest.mark.parametrize("seed", [CRASH_SEED, STALL_SEED, ENCODE_SEED, FINISH_SEED])
def test_a_poisonous_job_fails_alone(seed):
    engine, _, notes = make()
    for name, its_seed in (("a", 1), ("bad", seed), ("c", 3)):
        engine.add(job(name, its_seed, steps=3))
    run(engine)

    assert notes.finals == {"a": "finished", "bad": "failed", "c": "finished"}
    np.testing.assert_array_equal(notes.results["c"].points.positions, alone(3, 3))


def test_out_of_memory_halves_the_batch():
    engine, model, notes = make(FakeModel(fits=3))
    for seed in range(1, 9):
        engine.add(job(str(seed), seed, steps=2))
    run(engine)

    assert set(notes.finals.values()) == {"finished"}
    sizes = [len(batch) for batch in model.batches]
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[2:]) <= 3


def test_out_of_memory_alone_is_the_jobs_fault():
    engine, model, notes = make(FakeModel(fits=0))
    engine.add(job("a", 1))
    engine.add(job("b", 2))
    run(engine)

    assert notes.finals == {"a": "failed", "b": "failed"}
    assert isinstance(notes.errors["a"], JobTooLargeError)
    assert [len(batch) for batch in model.batches] == [2, 1, 1]


def test_out_of_memory_while_encoding():
    engine, model, notes = make(FakeModel(encode_fits=1))
    for seed in range(1, 4):
        engine.add(job(str(seed), seed))
    run(engine)

    assert set(notes.finals.values()) == {"finished"}
    assert model.encoded == [1, 1, 1]


def test_a_stopped_job_leaves_between_evaluations():
    stop: set[str] = set()
    engine, model, notes = make()
    for name, seed in (("a", 1), ("b", 2)):
        engine.add(job(name, seed, steps=4, stopped=lambda name=name: name in stop))
    engine.step()
    stop.add("b")
    run(engine)

    assert notes.finals == {"a": "finished", "b": "dropped"}
    assert model.batches == [(1, 2), (1,), (1,), (1,)]
    np.testing.assert_array_equal(notes.results["a"].points.positions, alone(1, 4))


def test_a_job_that_was_stopped_before_it_started_never_runs():
    engine, model, notes = make()
    engine.add(job("a", stopped=lambda: True))
    run(engine)

    assert notes.finals == {"a": "dropped"}
    assert not model.batches


def test_two_models_take_turns():
    first, second = FakeModel(), FakeModel(card=replace(DRAFT, id="other"))
    notes = Notes()
    engine = Engine({"draft": first, "other": second}, notes, 4)
    engine.add(job("a", 1, steps=3))
    engine.add(job("b", 2, steps=3, model="other"))
    for _ in range(4):
        engine.step()

    assert (len(first.batches), len(second.batches)) == (2, 2)


def test_a_lost_device_is_nobodys_fault():
    def lose(states):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    engine, _, notes = make(FakeModel(before_step=lose))
    engine.add(job("a"))

    with pytest.raises(DeviceLostError):
        engine.step()
    assert not notes.finals


def test_usage_shares_an_evaluation_between_its_jobs():
    ticks = iter(range(100))
    notes = Notes()
    engine = Engine({"draft": FakeModel()}, notes, 8, clock=lambda: next(ticks))
    first, second = job("a", 1), job("b", 2, steps=2)
    engine.add(first)
    engine.add(second)
    run(engine)

    assert (first.usage.compute_s, first.usage.batch_mean) == (0.5, 2.0)
    assert (second.usage.compute_s, second.usage.batch_mean) == (1.5, 1.5)


def test_an_idle_engine_waits_and_can_be_woken():
    engine, _, notes = make()
    assert engine.step() is False
    engine.wake()
    assert engine.step(wait_s=60) is False
    engine.add(job("a"))
    assert engine.step(wait_s=60) is True
    assert notes.finals == {"a": "finished"}
