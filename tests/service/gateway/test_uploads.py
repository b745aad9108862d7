import asyncio

import pytest
from starlette.requests import Request

from service.errors import BadRequestError, BodyTooLargeError
from service.gateway import uploads
from service.gateway.uploads import UploadLimits, receive_upload

LIMITS = UploadLimits(max_bytes=1_000_000, max_images=1)


def make_request(receive, content_type="image/png", query=b""):
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/reconstruct",
        "query_string": query,
        "headers": [(b"content-type", content_type.encode())],
    }
    return Request(scope, receive)


def pieces(*bodies):
    left = list(bodies)

    async def receive():
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return receive, left


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("limit", [{"idle_s": 0.01}, {"whole_s": 0.01}])
async def test_a_body_that_stops_coming(kind, limit):
    came = asyncio.Event()

    async def receive():
        if came.is_set():
            await asyncio.Event().wait()
        came.set()
        return {"type": "http.request", "body": b"--x\r\n", "more_body": True}

    with pytest.raises(BadRequestError) as caught:
        async with receive_upload(make_request(receive, kind), UploadLimits(1_000, 1, **limit)):
            pass
    assert caught.value.code == "upload_stalled"


async def test_nothing_is_read_past_the_cap():
    receive, left = pieces(*[bytes(400)] * 10)
    with pytest.raises(BodyTooLargeError):
        async with receive_upload(make_request(receive), UploadLimits(1_000, 1)):
            pass
    assert len(left) == 7


async def test_a_large_picture_is_spooled_and_its_file_closed(monkeypatch):
    monkeypatch.setattr(uploads, "SPOOL_BYTES", 1_000)
    receive, _ = pieces(b"a" * 900, b"b" * 900, b"")
    async with receive_upload(make_request(receive), LIMITS) as upload:
        (picture,) = upload.images
        assert getattr(picture.file, "_rolled", None) is True
        assert picture.file.read() == b"a" * 900 + b"b" * 900
    assert picture.file.closed


async def test_files_are_closed_when_the_block_fails():
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    receive, _ = pieces(part + b"hi\r\n--x--\r\n")
    request = make_request(receive, "multipart/form-data; boundary=x", b"seed=3")
    pictures = []

    async def use():
        async with receive_upload(request, LIMITS) as upload:
            pictures.extend(upload.images)
            assert upload.fields == {"seed": "3"}
            assert pictures[0].file.read() == b"hi"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()
    assert pictures[0].file.closed
