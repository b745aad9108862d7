"""Result files: checked, and written whole or not at all."""

import hashlib
import os
import uuid
from pathlib import Path

from bozzetto_client.errors import ChecksumError, UnexpectedAnswerError
from bozzetto_client.objects import Artifact


def check(artifact: Artifact, data: bytes) -> bytes:
    """`data`, if it is what the job names. Raises ChecksumError."""
    found = hashlib.sha256(data).hexdigest()
    if found != artifact.sha256:
        raise ChecksumError(
            f"{artifact.name} came with sha256 {found}, the job names {artifact.sha256}",
            hint="Something between here and the server changed it. Download it again.",
            retryable=True,
        )
    return data


def place(path: str | os.PathLike[str], name: str) -> Path:
    """The file to write: `path`, or `name` in it where it is a folder.

    Raises:
        UnexpectedAnswerError: `name`, which a server chose, would lead out of the folder.
    """
    target = Path(path)
    if not target.is_dir():
        return target
    if name != os.path.basename(name) or "\\" in name or name in {"", ".", ".."}:
        raise UnexpectedAnswerError(f"{name!r} is no name of a file")
    return target / name


def write_whole(path: Path, data: bytes) -> None:
    """Readers see the old file or the whole new one, also when this process is killed midway."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
