"""Request bodies to pictures and fields: capped while they stream, spooled, and always closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile

from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from models.images import MEDIA_TYPES
from service.errors import (
    BadRequestError,
    BodyTooLargeError,
    UnprocessableError,
    UnsupportedTypeError,
)

MAX_FIELDS = 32
MAX_FIELD_BYTES = 65_536
SPOOL_BYTES = 1_048_576  # what stays in memory of one part; the rest goes to a temporary file
IDLE_S = 30.0  # between two pieces of a body
WHOLE_S = 300.0  # for the whole of it

IMAGE_TYPES = frozenset(MEDIA_TYPES.values())


@dataclass(frozen=True, slots=True)
class UploadLimits:
    max_bytes: int
    max_images: int
    idle_s: float = IDLE_S
    whole_s: float = WHOLE_S


@dataclass(slots=True)
class Upload:
    """Pictures and fields as they came, nothing of them checked but their number and names."""

    images: list[UploadFile] = field(default_factory=list)
    mask: UploadFile | None = None
    fields: dict[str, str] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def receive_upload(request: Request, limits: UploadLimits) -> AsyncIterator[Upload]:
    """The body of a submit; its files are gone when the block ends.

    Raises:
        BadRequestError: malformed multipart, or a body that stops coming.
        BodyTooLargeError: more than `max_bytes`, told before the rest is read.
        UnsupportedTypeError: neither multipart nor a picture.
        UnprocessableError: a file where a field is wanted, the reverse, or a field given twice.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in IMAGE_TYPES and media_type != "multipart/form-data":
        raise UnsupportedTypeError(
            f"the body is {media_type[:100] or 'of no stated type'}",
            hint="Send multipart/form-data, or image/png, image/jpeg or image/webp as the body.",
        )
    _check_stated_length(request.headers.get("content-length"), limits.max_bytes)
    capped = Request(request.scope, _capped(request.receive, limits))
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(limits.whole_s):
                if media_type in IMAGE_TYPES:
                    upload = Upload(images=[await _raw_picture(capped, stack)])
                else:
                    form = await capped.form(
                        max_files=limits.max_images + 1,
                        max_fields=MAX_FIELDS,
                        max_part_size=MAX_FIELD_BYTES,
                    )
                    stack.push_async_callback(form.close)
                    upload = _sort_form(form)
        except TimeoutError:
            raise BadRequestError(
                "the body stopped coming, or came too slowly", code="upload_stalled"
            ) from None
        _add_fields(upload.fields, request.query_params)
        yield upload


def _check_stated_length(header: str | None, max_bytes: int) -> None:
    if header is not None and header.isdecimal() and int(header[:19]) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is larger than the {max_bytes} bytes allowed")


def _capped(receive: Receive, limits: UploadLimits) -> Receive:
    """`receive` that counts: the length in a header can be missing, or a lie."""
    received = 0

    async def capped() -> Message:
        nonlocal received
        async with asyncio.timeout(limits.idle_s):
            message = await receive()
        received += len(message.get("body", b""))
        if received > limits.max_bytes:
            raise _too_large(limits.max_bytes)
        return message

    return capped


async def _raw_picture(request: Request, stack: contextlib.AsyncExitStack) -> UploadFile:
    spooled = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115  # closed by the stack
    picture = UploadFile(file=spooled, size=0)  # type: ignore[arg-type]  # as Starlette does
    stack.push_async_callback(picture.close)
    async for piece in request.stream():
        await picture.write(piece)
    await picture.seek(0)
    return picture


def _sort_form(form: FormData) -> Upload:
    upload = Upload()
    texts: list[tuple[str, str | UploadFile]] = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            if name in {"image", "mask"}:
                if not value:
                    continue
                raise UnprocessableError(f"{name} must be a file part, with a filename", field=name)
            texts.append((name, value))
        elif name == "image":
            upload.images.append(value)
        elif name == "mask":
            if upload.mask is not None:
                raise UnprocessableError("mask is given twice", field="mask")
            # A form whose file input was left empty sends a part of no name and no bytes.
            upload.mask = value if value.filename or value.size else None
        else:
            raise UnprocessableError(f"{name[:64]} must be text, not a file", field=name[:64])
    _add_fields(upload.fields, FormData(texts))
    return upload


def _add_fields(fields: dict[str, str], given: FormData | QueryParams) -> None:
    for name, value in given.multi_items():
        if name in fields:
            raise UnprocessableError(f"{name[:64]} is given twice", field=name[:64])
        fields[name] = str(value)
