"""Bad and unusual pictures, over HTTP."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models import images
from tests.service.gateway.kit import picture, problem


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(kind, side=64):
    pixels = np.random.default_rng(2).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), kind)


def bomb():
    """13,000 x 13,000 pixels in about 20 kB."""
    head = struct.pack(">IIBBBBB", 13_000, 13_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1626 * 13_000), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def exif_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(Image.new("RGB", (24, 16)), "JPEG", exif=exif)


def animated():
    frames = [Image.new("RGB", (24, 16), (shade, 0, 0)) for shade in (10, 200)]
    return encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])


BAD = [
    (b"hello, I am no picture", 415, "unsupported_type"),
    (b"GIF89a" + bytes(100), 415, "unsupported_type"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_type"),
    (b"", 422, "image_undecodable"),
    (noise("PNG")[:2000], 422, "image_undecodable"),
    (noise("JPEG")[:-100], 422, "image_undecodable"),
    (noise("WEBP")[:500], 422, "image_undecodable"),
    (b"\x89PNG\r\n\x1a\n", 422, "image_undecodable"),
    (bomb(), 422, "image_too_large"),
]


@pytest.mark.parametrize(("data", "status", "code"), BAD)
async def test_bad_pictures(gateway, data, status, code):
    multipart = await gateway.http.post("/reconstruct", files={"image": ("a.png", data)})
    raw = await gateway.http.post(
        "/reconstruct", content=data, headers={"content-type": "image/png"}
    )
    mask = await gateway.http.post(
        "/reconstruct", files={"image": ("a.png", picture()), "mask": ("b.png", data)}
    )
    for response in (multipart, raw, mask):
        body = problem(response, status, code)
        assert body["retryable"] is False
    if status == 422:
        assert multipart.json()["field"] == raw.json()["field"] == "image"
        assert mask.json()["field"] == "mask"
    assert gateway.files() == []


GOOD = {
    "animated": (animated(), (24, 16)),
    "cmyk": (encode(Image.new("CMYK", (24, 16)), "JPEG"), (24, 16)),
    "16-bit": (encode(Image.new("I;16", (24, 16)), "PNG"), (24, 16)),
    "palette": (encode(Image.new("P", (24, 16)), "PNG", transparency=0), (24, 16)),
    "exif": (exif_turned(), (16, 24)),
    "progressive": (encode(Image.new("RGB", (24, 16)), "JPEG", progressive=True), (24, 16)),
}


@pytest.mark.parametrize("name", GOOD)
async def test_unusual_pictures_are_accepted(gateway, name):
    data, size = GOOD[name]
    job = await gateway.submit(data)
    assert (job["input"]["width"], job["input"]["height"]) == size
    stored = gateway.store.get(f"{job['id']}/input/0")
    assert images.decode(stored, 10_000).shape == (size[1], size[0], 4)


async def test_the_content_counts_not_the_stated_type(gateway):
    response = await gateway.http.post(
        "/reconstruct", content=picture("WEBP"), headers={"content-type": "image/png"}
    )
    assert response.status_code == 202


async def test_a_body_over_the_cap(make_gateway):
    gateway = await make_gateway(uploads={"max_bytes": 20_000})
    data = noise("PNG", 100)
    assert len(data) > 20_000
    multipart = await gateway.http.post("/reconstruct", files={"image": ("a.png", data)})
    raw = await gateway.http.post(
        "/reconstruct", content=data, headers={"content-type": "image/png"}
    )
    for response in (multipart, raw):
        assert "20000" in problem(response, 413, "body_too_large")["detail"]


async def test_pixels_over_the_cap(make_gateway):
    gateway = await make_gateway(uploads={"max_pixels": 1_000})
    response = await gateway.http.post(
        "/reconstruct", files={"image": ("a.png", picture(size=(101, 10)))}
    )
    assert "101 x 10" in problem(response, 422, "image_too_large")["detail"]
