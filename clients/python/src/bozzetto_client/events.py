"""What happens to a job while it is followed."""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bozzetto_client.errors import UnexpectedAnswerError
from bozzetto_client.objects import Progress
from bozzetto_client.sse import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS: Final = 65_535  # of a coordinate on the wire


@dataclass(frozen=True, slots=True)
class StateEvent:
    """The job has gone to another state; back to `queued` when it is tried again."""

    id: str
    status: str


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    id: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class Cloud:
    """The object as it is guessed after `step`: sent live only, and never sent again.

    Attributes:
        positions: x, y, z of one point after the other, float32, in the frame of the result.
        colors: red, green, blue likewise, sRGB bytes.
    """

    step: int
    points: int
    positions: array[float]
    colors: bytes | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Cloud:
        """Raises ValueError when the parts do not fit together."""
        levels = array("H", base64.b64decode(raw["positions"], validate=True))
        if sys.byteorder == "big":
            levels.byteswap()
        points = int(raw["points"])
        coded = raw.get("colors")
        colors = None if coded is None else base64.b64decode(coded, validate=True)
        if len(levels) != 3 * points or (colors is not None and len(colors) != 3 * points):
            raise ValueError(f"the cloud is not one of {points} points")
        unit = float(raw["scale"]) / LEVELS
        positions = array("f", bytes(4 * len(levels)))
        for axis, origin in enumerate(raw["origin"]):
            positions[axis::3] = array("f", [origin + unit * level for level in levels[axis::3]])
        return cls(int(raw["step"]), points, positions, colors)

    def numpy(self) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        """Positions [N, 3] and colours [N, 3], without a copy. Needs NumPy."""
        import numpy as np

        positions = np.frombuffer(self.positions, np.float32).reshape(-1, 3)
        if self.colors is None:
            return positions, None
        return positions, np.frombuffer(self.colors, np.uint8).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The last one: the job's final state."""

    id: str
    status: str


JobEvent = StateEvent | ProgressEvent | Cloud | DoneEvent


def event_of(message: Message) -> JobEvent | None:
    """None for kinds that a newer server sends.

    Raises:
        UnexpectedAnswerError: a known kind, but its data cannot be read.
    """
    try:
        match message.event:
            case "state":
                return StateEvent(message.id, json.loads(message.data)["state"])
            case "progress":
                return ProgressEvent(message.id, Progress.of(json.loads(message.data)))
            case "cloud":
                return Cloud.of(json.loads(message.data))
            case "done":
                return DoneEvent(message.id, json.loads(message.data)["state"])
            case _:
                return None
    except (ValueError, KeyError, TypeError) as error:
        raise UnexpectedAnswerError(f"cannot read a {message.event} event: {error!r}") from error
