import pytest
import torch

from training import threads
from training.threads import ThreadTuner


@pytest.fixture(autouse=True)
def keep_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by `pace[number of threads]` at each reading."""

    class Clock:
        def __init__(self) -> None:
            self.pace = {1: 1.0, 2: 1.0}
            self.now = 0.0

        def perf_counter(self) -> float:
            self.now += self.pace[torch.get_num_threads()]
            return self.now

    found = Clock()
    monkeypatch.setattr(threads, "time", found)
    return found


@pytest.mark.parametrize(("pace", "best"), [({1: 1.0, 2: 0.5}, 2), ({1: 0.5, 2: 4.0}, 1)])
def test_the_faster_count_is_kept(clock, pace, best):
    clock.pace = pace
    tuner = ThreadTuner(2)
    for _ in range(2 * threads._TRIAL_STEPS):
        tuner.tick()
    for _ in range(threads._HOLD_STEPS - 1):
        assert torch.get_num_threads() == best
        tuner.tick()


def test_a_change_on_the_machine_is_noticed(clock):
    clock.pace = {1: 0.5, 2: 4.0}
    tuner = ThreadTuner(2)
    for _ in range(2 * threads._TRIAL_STEPS):
        tuner.tick()
    clock.pace = {1: 1.0, 2: 0.5}
    for _ in range(threads._HOLD_STEPS + 2 * threads._TRIAL_STEPS):
        tuner.tick()
    assert torch.get_num_threads() == 2
