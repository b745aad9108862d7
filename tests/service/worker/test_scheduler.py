from hypothesis import given
from hypothesis import strategies as st

from service.worker.scheduler import REGROW_AFTER, Batch, Scheduler, room


def start_all(scheduler: Scheduler) -> None:
    while scheduler.next_group() is not None:
        pass


def test_a_group_holds_the_oldest_waiting_jobs_of_one_model():
    scheduler = Scheduler(max_batch=2)
    for job, model in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x")):
        scheduler.add(job, model)

    assert scheduler.next_group() == Batch("x", ("a", "c"))
    assert scheduler.next_group() == Batch("y", ("b",))
    assert scheduler.next_group() is None  # x runs as many as fit

    scheduler.remove("a")
    assert scheduler.next_group() == Batch("x", ("d",))


def test_models_take_turns():
    scheduler = Scheduler(max_batch=4)
    for job, model in (("a", "x"), ("b", "y"), ("c", "x")):
        scheduler.add(job, model)
    start_all(scheduler)

    turns = [scheduler.next_batch() for _ in range(4)]

    assert turns == [Batch("x", ("a", "c")), Batch("y", ("b",))] * 2


def test_a_model_with_nothing_to_run_is_passed_over():
    scheduler = Scheduler(max_batch=4)
    scheduler.add("a", "x")
    scheduler.add("b", "y")
    start_all(scheduler)
    scheduler.remove("a")

    assert scheduler.next_batch() == Batch("y", ("b",))
    scheduler.remove("b")
    assert scheduler.next_batch() is None
    assert len(scheduler) == 0


def test_memory_halves_the_batch_and_time_brings_it_back():
    scheduler = Scheduler(max_batch=8)
    for number in range(8):
        scheduler.add(str(number), "x")
    start_all(scheduler)
    whole = scheduler.next_batch()
    assert whole is not None
    scheduler.halve(whole)

    half = scheduler.next_batch()
    assert half == Batch("x", ("0", "1", "2", "3"))
    scheduler.halve(half)
    assert scheduler.limit("x") == 2

    for expected in (4, 8):
        for _ in range(REGROW_AFTER):
            scheduler.succeeded(half)
        assert scheduler.limit("x") == expected
    assert scheduler.next_batch() == whole


def test_a_limit_is_the_models_own():
    scheduler = Scheduler(max_batch=4)
    scheduler.halve(Batch("x", ("a", "b")))

    assert (scheduler.limit("x"), scheduler.limit("y")) == (1, 4)


def test_suspects_run_alone_until_they_have_proved_harmless():
    scheduler = Scheduler(max_batch=4)
    for job in "abc":
        scheduler.add(job, "x")
    start_all(scheduler)
    scheduler.isolate(["a", "b", "c"])

    first = scheduler.next_batch()
    assert first == Batch("x", ("a",))
    scheduler.succeeded(first)
    assert scheduler.next_batch() == Batch("x", ("a",))  # b and c are still suspect

    scheduler.remove("a")
    assert scheduler.next_batch() == Batch("x", ("b",))


@given(
    st.integers(1, 6),
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("xyz")),
            st.tuples(st.sampled_from(["start", "step", "halve", "isolate", "remove"])),
        ),
        max_size=60,
    ),
)
def test_invariants(max_batch, actions):
    """Batches are of one model, running, unique, no larger than allowed; no job is forgotten."""
    scheduler = Scheduler(max_batch)
    model_of: dict[str, str] = {}
    running: set[str] = set()
    last: Batch | None = None
    for number, (name, *rest) in enumerate(actions):
        match name:
            case "add":
                scheduler.add(str(number), rest[0])
                model_of[str(number)] = rest[0]
            case "start":
                group = scheduler.next_group()
                waiting = set(model_of) - running
                if group is None:
                    for model in {model_of[job] for job in waiting}:
                        assert sum(model_of[job] == model for job in running) == max_batch
                else:
                    assert set(group.jobs) <= waiting
                    running |= set(group.jobs)
            case "step":
                last = scheduler.next_batch()
                assert (last is None) == (not running)
                if last is not None:
                    assert set(last.jobs) <= running
                    assert {model_of[job] for job in last.jobs} == {last.model}
                    assert len(set(last.jobs)) == len(last.jobs) <= scheduler.limit(last.model)
                    scheduler.succeeded(last)
            case "halve" if last is not None:
                scheduler.halve(last)
                assert 1 <= scheduler.limit(last.model) <= max_batch
            case "isolate" if last is not None:
                scheduler.isolate(last.jobs)
            case "remove" if model_of:
                job = min(model_of)
                scheduler.remove(job)
                del model_of[job]
                running.discard(job)
        assert len(scheduler) == len(model_of)


@given(st.integers(1, 8), st.integers(1, 30))
def test_every_running_job_gets_its_turn(max_batch, count):
    """With smaller batches than jobs, too: the oldest finish first, then the others move up."""
    scheduler = Scheduler(max_batch)
    for number in range(count):
        scheduler.add(str(number), "xyz"[number % 3])
    done: list[str] = []
    for _ in range(10 * count):
        start_all(scheduler)
        batch = scheduler.next_batch()
        if batch is None:
            break
        for job in batch.jobs:
            scheduler.remove(job)
            done.append(job)
    assert sorted(done, key=int) == [str(number) for number in range(count)]


@given(st.integers(1, 64), st.integers(0, 100), st.integers(0, 100))
def test_room_never_overfills(max_batch, held, finishing):
    free = room(max_batch, held, finishing)

    assert 0 <= free <= max_batch
    assert free == 0 or held + free <= max_batch
    assert free > 0 or held >= max_batch or finishing >= max_batch
