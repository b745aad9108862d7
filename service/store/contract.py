from typing import Literal, Protocol

Flush = Literal["now", "soon", "never"]


class StoreError(Exception):
    """StoreError
    +- ObjectMissingError   nothing under that key
    +- StoreFullError       no space left; nothing half-written stays behind
    """


class ObjectMissingError(StoreError):
    pass


class StoreFullError(StoreError):
    pass


class Store(Protocol):
    """Bytes by key. Keys look like `<job id>/input/0`, `<job id>/<attempt>/mesh.glb`.

    A key is written whole or not at all. Blocking; the gateway calls it in a thread.
    """

    def put(self, key: str, data: bytes, *, flush: Flush = "now") -> None:
        """Written when it returns, whatever happens to this process. `flush` is for a crash of
        the machine: "now" survives one from here on, "soon" from a moment later on, without
        waiting for the disk, and "never" is for what is of no use after one.

        Raises:
            StoreFullError, StoreError.
        """
        ...

    def get(self, key: str) -> bytes:
        """Raises ObjectMissingError, StoreError."""
        ...

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Raises ObjectMissingError, StoreError."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Remove every key under `prefix`; fine when there is none."""
        ...
