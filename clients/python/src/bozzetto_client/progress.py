"""Showing how far a job is: a bar in the terminal or notebook, or the caller's own function."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from bozzetto_client.events import DoneEvent, JobEvent, ProgressEvent, StateEvent
from bozzetto_client.objects import Progress

OnProgress = Callable[[Progress], object]
ShowProgress = bool | OnProgress

_BAR: Final = "{desc:<24} {percentage:3.0f}% |{bar}| {elapsed}"


@contextlib.contextmanager
def shown(progress: ShowProgress) -> Iterator[Callable[[JobEvent], None]]:
    """What to call with each event. True draws a bar, a function gets each `Progress`."""
    if progress is True:
        with _bar() as see:
            yield see
        return

    def tell(event: JobEvent) -> None:
        if callable(progress) and isinstance(event, ProgressEvent):
            progress(event.progress)

    yield tell


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[JobEvent], None]]:
    from tqdm.auto import tqdm  # takes a while, and most callers want none

    with tqdm(total=100.0, desc="queued", bar_format=_BAR) as bar:

        def see(event: JobEvent) -> None:
            match event:
                case ProgressEvent(_, progress):
                    bar.set_description_str(_stage(progress), refresh=False)
                    bar.n = progress.percent
                case StateEvent(_, "queued"):
                    bar.set_description_str("queued", refresh=False)
                    bar.n = 0.0
                case DoneEvent(_, status):
                    bar.set_description_str(status, refresh=False)
                    bar.n = 100.0 if status == "succeeded" else bar.n
                case _:
                    return
            bar.refresh()

        yield see


def _stage(progress: Progress) -> str:
    counted = f" {progress.step}/{progress.steps}" if progress.steps else ""
    return f"{progress.stage}{counted}"
