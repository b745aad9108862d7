"""How many compute threads pay on a shared machine, found out again every few minutes.

With another program on one of two cores, two threads run slower than one: each step waits for the
thread that was kept off its core.
"""

import time

import torch

_TRIAL_STEPS = 4
_HOLD_STEPS = 120


class ThreadTuner:
    """Call `tick` after every step. Tries one thread and `most`, keeps the faster for a while."""

    def __init__(self, most: int) -> None:
        self.choices = (1, most) if most > 1 else (1,)
        self.seconds: dict[int, float] = {}
        self.left = 0
        self._begin(self.choices[0])

    def _begin(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.left, self.started = _TRIAL_STEPS, time.perf_counter()

    def tick(self) -> None:
        self.left -= 1
        if self.left > 0 or len(self.choices) == 1:
            return
        if len(self.seconds) == len(self.choices):
            self.seconds = {}
            self._begin(self.choices[0])
            return
        self.seconds[torch.get_num_threads()] = time.perf_counter() - self.started
        untried = [threads for threads in self.choices if threads not in self.seconds]
        if untried:
            self._begin(untried[0])
        else:
            torch.set_num_threads(min(self.seconds, key=lambda n: self.seconds[n]))
            self.left = _HOLD_STEPS
