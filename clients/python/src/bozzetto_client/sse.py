"""Server-sent events out of a stream of bytes, as the HTML standard's section 9.2.6 reads them."""

import codecs
import re
from dataclasses import dataclass
from typing import Final

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Message:
    """One event. `id` is the last one that was sent, with this event or an earlier one."""

    event: str
    data: str
    id: str


class Parser:
    """Takes pieces as they come, cut anywhere; an event that is never completed is dropped.

    Attributes:
        retry_s: seconds to wait before coming back, if the server has said so.
    """

    def __init__(self) -> None:
        self.retry_s: float | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest: list[str] = []  # pieces of a line whose end has not come
        self._after_cr = False
        self._id = ""
        self._event = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Message]:
        """The events that this piece completes."""
        text = self._decoder.decode(piece)
        if not text:
            return []
        # A line's end may be cut in two; its first half has ended the line already.
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        first, *others = _LINE_END.split(text)
        self._rest.append(first)
        messages = []
        for line in others:
            message = self._take("".join(self._rest))
            self._rest = [line]
            if message is not None:
                messages.append(message)
        return messages

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_s = int(value) / 1000
        return None

    def _complete(self) -> Message | None:
        event, data = self._event or "message", "\n".join(self._data)
        empty = not self._data
        self._event, self._data = "", []
        return None if empty else Message(event, data, self._id)
