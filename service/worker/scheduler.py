"""Which jobs join and which form the next batch. Policy only: no torch, no queue, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass

REGROW_AFTER = 64  # good evaluations at a reduced batch size before a larger one is tried again


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs of one model, oldest first; at least one."""

    model: str
    jobs: tuple[str, ...]


@dataclass(slots=True)
class _Entry:
    job: str
    model: str
    running: bool = False
    alone: bool = False


@dataclass(slots=True)
class _Limit:
    size: int
    successes: int = 0


def room(max_batch: int, held: int, finishing: int) -> int:
    """How many more jobs a worker should claim.

    Enough to fill a batch and no more, so that other workers get the rest. `held` jobs are being
    prepared or run; `finishing` jobs (surface, files) no longer need the device, but while a whole
    batch of them waits nothing more is taken in.
    """
    return 0 if finishing >= max_batch else max(0, max_batch - held)


class Scheduler:
    """Round robin between models, oldest first within one.

    A job waits, then runs (`next_group` moves it), until it is removed. At most `max_batch` jobs
    of a model run at once, so every running job takes part in each of its model's evaluations
    unless memory has forced smaller batches.
    """

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._entries: dict[str, _Entry] = {}  # in order of arrival
        self._limits: dict[str, _Limit] = {}
        self._turns: list[str] = []  # models, the one that waited longest first

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job: str) -> bool:
        return job in self._entries

    def add(self, job: str, model: str) -> None:
        """A new job, waiting. Raises ValueError if it is here already."""
        if job in self._entries:
            raise ValueError(f"job {job} was added twice")
        self._entries[job] = _Entry(job, model)
        if model not in self._turns:
            self._turns.append(model)

    def remove(self, job: str) -> None:
        """Finished, failed or stopped; fine if it is not here."""
        self._entries.pop(job, None)

    def limit(self, model: str) -> int:
        """Jobs that one evaluation of `model` may hold for now."""
        found = self._limits.get(model)
        return found.size if found else self._max_batch

    def next_group(self) -> Batch | None:
        """Waiting jobs of one model that start now, to be encoded together; None if none can."""
        for model in self._turns:
            entries = [entry for entry in self._entries.values() if entry.model == model]
            free = self._max_batch - sum(entry.running for entry in entries)
            group = [entry for entry in entries if not entry.running]
            group = group[: min(free, self.limit(model))]
            if group:
                for entry in group:
                    entry.running = True
                return Batch(model, tuple(entry.job for entry in group))
        return None

    def next_batch(self) -> Batch | None:
        """The running jobs that take part in the next evaluation; None if nothing runs."""
        for model in self._turns:
            running = [
                entry for entry in self._entries.values() if entry.running and entry.model == model
            ]
            if running:
                self._turns.remove(model)
                self._turns.append(model)
                return Batch(model, self._choose(running))
        return None

    def _choose(self, running: list[_Entry]) -> tuple[str, ...]:
        if running[0].alone:
            return (running[0].job,)
        together = [entry.job for entry in running if not entry.alone]
        return tuple(together[: self.limit(running[0].model)])

    def succeeded(self, batch: Batch) -> None:
        """An evaluation went well: a reduced limit grows back in time, suspects are cleared."""
        for job in batch.jobs:
            if job in self._entries:
                self._entries[job].alone = False
        found = self._limits.get(batch.model)
        if found is None:
            return
        found.successes += 1
        if found.successes >= REGROW_AFTER:
            found.size, found.successes = found.size * 2, 0
        if found.size >= self._max_batch:
            del self._limits[batch.model]

    def halve(self, batch: Batch) -> None:
        """The batch did not fit into memory: from now on half of it at a time."""
        self._limits[batch.model] = _Limit(max(1, len(batch.jobs) // 2))

    def isolate(self, jobs: Iterable[str]) -> None:
        """One of these broke an evaluation: the next one of each is its own."""
        for job in jobs:
            if job in self._entries:
                self._entries[job].alone = True
