"""Previews as events: a cloud small enough to be sent along while it forms."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.ply import read_points
from geometry.point_cloud import PointCloud
from service.jobs import Job, JobState
from service.store.contract import Store, StoreError

_STEPS = 65_535


class CloudSource:
    """The newest preview of one job, each only once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sent: tuple[str, int] | None = None

    def newest(self, job: Job) -> dict[str, Any] | None:
        """What a `cloud` event says, or None where nothing new is there. It blocks.

        A preview that cannot be read is left out: the next one comes soon, or the job has ended.
        """
        preview = job.progress.preview
        if job.state is not JobState.RUNNING or preview is None:
            return None
        told = preview.key, preview.step  # another attempt has another key
        if told == self._sent:
            return None
        try:
            cloud = read_points(self._store.get(preview.key))
        except (StoreError, GeometryError):
            return None
        self._sent = told
        return {"step": preview.step, **quantized(cloud)}


def quantized(cloud: PointCloud) -> dict[str, Any]:
    """`position = origin + scale * value / 65535`, values and colours as base64 of their bytes.

    `positions` holds uint16 [N, 3], little-endian; `colors` uint8 [N, 3] sRGB, or is null. A point
    takes 12 characters, so that 2,048 stay below 30 kB, and moves by less than 1e-5 of the cloud's
    largest extent.
    """
    positions = cloud.positions.astype(np.float64)
    origin = positions.min(axis=0)
    scale = float((positions - origin).max()) or 1.0
    values = np.rint((positions - origin) * (_STEPS / scale)).astype("<u2")
    return {
        "points": len(cloud),
        "origin": origin.tolist(),
        "scale": scale,
        "positions": _base64(values),
        "colors": None if cloud.colors is None else _base64(cloud.colors),
    }


def _base64(array: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
