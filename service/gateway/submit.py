"""From an upload to a job in the queue: pictures verified and stored first, then one submit."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from starlette.datastructures import UploadFile

from models import images
from models.catalog import ModelCard
from models.errors import ImageError, ImageTooLargeError, ImageTypeError
from service.errors import ForbiddenError, ServiceError, UnprocessableError, UnsupportedTypeError
from service.gateway.dependencies import Gateway
from service.gateway.fields import Wish
from service.gateway.problems import as_service_error
from service.gateway.uploads import Upload
from service.jobs import InputInfo, JobRequest, new_job_id
from service.queue.contract import (
    JobGoneError,
    JobNotFoundError,
    QueueError,
    QueueUnreachableError,
    Submitted,
)
from service.store.contract import Store, StoreError
from service.telemetry import ROOT_LOGGER

logger = logging.getLogger(f"{ROOT_LOGGER}.gateway")


@dataclass(frozen=True, slots=True)
class StoredPicture:
    key: str
    info: InputInfo
    bytes: int


async def submit(
    gateway: Gateway, wish: Wish, upload: Upload, owner: str, idempotency_key: str | None
) -> Submitted:
    """Store the pictures and put the job in the queue. A refused submit leaves no file behind.

    Raises:
        ServiceError: whatever was wrong, in the words of the HTTP contract.
    """
    check_servable(wish.card, gateway.settings.models.accepted_licences)
    _check_number(upload, wish)
    job_id = new_job_id()
    try:
        async with gateway.picture_slots:
            stored = await asyncio.to_thread(
                _keep, gateway.store, job_id, upload, gateway.settings.uploads.max_pixels
            )
        submitted = await gateway.queue.submit(
            job_id,
            _request(wish, stored, has_mask=upload.mask is not None, owner=owner),
            idempotency_key=idempotency_key,
            body_hash=_body_hash(upload, stored),
        )
    except QueueUnreachableError as error:
        # The answer may have been lost after the job was accepted: its pictures must stay then.
        if await _certainly_absent(gateway, job_id):
            await discard(gateway.store, job_id)
        raise as_service_error(error) from error
    except (QueueError, StoreError) as error:
        await discard(gateway.store, job_id)
        raise as_service_error(error) from error
    except ServiceError:
        await discard(gateway.store, job_id)
        raise
    if not submitted.created:
        await discard(gateway.store, job_id)
    else:
        gateway.metrics.upload_bytes.observe(sum(picture.bytes for picture in stored))
    return submitted


async def discard(store: Store, job_id: str) -> None:
    """Remove every file of a job. One that cannot be removed is left to the store's sweep."""
    try:
        await asyncio.to_thread(store.delete_prefix, f"{job_id}/")
    except StoreError as error:
        logger.warning("files were left behind: %s", error, extra={"job_id": job_id})


def check_servable(card: ModelCard, accepted: Collection[str]) -> None:
    """A model that no worker may serve takes no jobs: they would wait for ever.

    Raises:
        ForbiddenError: its licence has not been accepted.
        UnprocessableError: this version has no weights for it, or it takes no pictures.
    """
    refusal = card.refusal(accepted)
    if refusal is None:
        return
    if not card.weights or card.unfit:
        raise UnprocessableError(
            f"{card.id}: {refusal}",
            field="model",
            code="invalid_field" if card.weights else "unknown_model",
            hint="GET /models shows which models are ready, and why the others are not.",
        )
    raise ForbiddenError(f"{card.id}: {refusal}", code="licence_not_accepted")


def _check_number(upload: Upload, wish: Wish) -> None:
    given, allowed = len(upload.images), wish.card.max_images
    if given == 0:
        raise UnprocessableError(
            "image: a picture is needed",
            field="image",
            hint="Send it as the form part `image`, or as the body itself.",
        )
    if given > allowed:
        raise UnprocessableError(
            f"image: {given} pictures, {wish.card.id} takes {allowed}", field="image"
        )


def _keep(store: Store, job_id: str, upload: Upload, max_pixels: int) -> list[StoredPicture]:
    """Verify and store each picture, the mask last. One is in memory at a time."""
    kept = []
    for number, picture in enumerate(upload.images):
        kept.append(_keep_one(store, f"{job_id}/input/{number}", picture, max_pixels, "image"))
    if upload.mask is not None:
        mask = _keep_one(store, f"{job_id}/input/mask", upload.mask, max_pixels, "mask")
        _check_mask(mask.info, kept[0].info)
        kept.append(mask)
    return kept


def _keep_one(
    store: Store, key: str, picture: UploadFile, max_pixels: int, field: str
) -> StoredPicture:
    data = picture.file.read()
    try:
        header = images.verify(data, max_pixels)
    except ImageError as error:
        raise _picture_error(error, field) from error
    # As durable as the queue's own everysec, and the caller does not wait for two disk flushes.
    store.put(key, data, flush="soon")
    info = InputInfo(hashlib.sha256(data).hexdigest(), header.width, header.height)
    return StoredPicture(key, info, len(data))


def _picture_error(error: ImageError, field: str) -> ServiceError:
    if isinstance(error, ImageTypeError):
        return UnsupportedTypeError(f"{field}: {error}")
    code = "image_too_large" if isinstance(error, ImageTooLargeError) else "image_undecodable"
    return UnprocessableError(f"{field}: {error}", field=field, code=code)


def _check_mask(mask: InputInfo, image: InputInfo) -> None:
    if (mask.width, mask.height) != (image.width, image.height):
        raise UnprocessableError(
            f"mask: {mask.width} x {mask.height} pixels, the image has "
            f"{image.width} x {image.height}",
            field="mask",
        )


def _request(wish: Wish, stored: list[StoredPicture], *, has_mask: bool, owner: str) -> JobRequest:
    pictures, mask = (stored[:-1], stored[-1]) if has_mask else (stored, None)
    return JobRequest(
        model=wish.card.id,
        params=wish.params,
        outputs=wish.outputs,
        input=pictures[0].info,
        images=tuple(picture.key for picture in pictures),
        mask=None if mask is None else mask.key,
        remove_background=wish.remove_background,
        target_faces=wish.target_faces,
        texture_size=wish.texture_size,
        compression=wish.compression,
        priority=wish.priority,
        deadline_s=wish.deadline_s,
        metadata=wish.metadata,
        owner=owner,
    )


def _body_hash(upload: Upload, stored: Iterable[StoredPicture]) -> str:
    """sha256 over the fields as they were sent and the pictures, so that a drawn seed, which
    differs each time, does not make the same request another one."""
    parts = [sorted(upload.fields.items()), upload.mask is not None]
    parts.append([picture.info.sha256 for picture in stored])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def _certainly_absent(gateway: Gateway, job_id: str) -> bool:
    try:
        await gateway.queue.get(job_id)
    except (JobNotFoundError, JobGoneError):
        return True
    except QueueUnreachableError:
        return False
    return False
