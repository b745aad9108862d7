"""Guesses from a moving average of the seconds that one job runs (`pace`), and how many run."""

import math

UNKNOWN_RETRY_S = 5
LONGEST_RETRY_S = 60


def eta_seconds(position: int, pace_s: float | None, workers: int, running: int) -> float | None:
    """Seconds until a job with `position` jobs ahead of it ends; None when nothing is known.

    A worker runs several jobs side by side, so what runs now counts, if it is more than workers.
    """
    if pace_s is None or workers == 0:
        return None
    side_by_side = max(workers, running)
    return pace_s * (position // side_by_side + 1)


def retry_after_s(waiting: int, pace_s: float | None, running: int) -> int:
    """Seconds until about a tenth of a full queue has been worked off, between 1 and 60."""
    if pace_s is None:
        return UNKNOWN_RETRY_S
    seconds = math.ceil(0.1 * waiting * pace_s / max(running, 1))
    return min(max(seconds, 1), LONGEST_RETRY_S)
