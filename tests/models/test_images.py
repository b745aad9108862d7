import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models import images
from models.errors import ImageError, ImageTooLargeError, ImageTypeError, ImageUndecodableError

LIMIT = 1_000_000
FORMATS = ("PNG", "JPEG", "WEBP")


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width=24, height=16):
    """Red grows to the right, green grows downwards, blue is 40."""
    red, green = np.meshgrid(np.linspace(0, 240, width), np.linspace(0, 240, height))
    return np.stack([red, green, np.full_like(red, 40)], axis=-1).astype(np.uint8)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour_type, rows, *extra):
    """A PNG written by hand, for what Pillow cannot write."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def linear_profile():
    """An ICC profile with the primaries of sRGB and a linear tone curve."""

    def fixed(*values):
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"curv\0\0\0\0\0\0\0\0"  # no entries: identity
    name = b"linear\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(79)
    tags = {
        b"desc": desc + bytes(-len(desc) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.4360, 0.2225, 0.0139),
        b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for tag, body in tags.items():
        table += tag + struct.pack(">II", offset + len(bodies), len(body))
        bodies += body
    head = struct.pack(
        ">I4sI4s4s4s", offset + len(bodies), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies


@pytest.mark.parametrize("kind", FORMATS)
def test_plain_picture(kind):
    pixels = gradient()
    data = encode(Image.fromarray(pixels), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert images.inspect(data, LIMIT) == images.ImageHeader(kind, 24, 16)
    assert images.verify(data, LIMIT) == images.ImageHeader(kind, 24, 16)
    rgba = images.decode(data, LIMIT)
    assert rgba.shape == (16, 24, 4)
    assert rgba.dtype == np.uint8
    assert rgba.flags.writeable
    assert (rgba[..., 3] == 255).all()
    tolerance = 12 if kind == "JPEG" else 0
    assert np.abs(rgba[..., :3].astype(int) - pixels).max() <= tolerance


def test_alpha_is_straight_and_kept_where_it_is_zero():
    pixels = np.dstack([gradient(), np.tile(np.arange(24, dtype=np.uint8) * 10, (16, 1))])
    assert (images.decode(encode(Image.fromarray(pixels), "PNG"), LIMIT) == pixels).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turn(kind, orientation):
    pixels = gradient()
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(pixels), kind, exif=exif, quality=100)
    rgba = images.decode(data, LIMIT)
    assert rgba.shape[:2] == turned.shape[:2]
    assert np.abs(rgba[..., :3].astype(int) - turned).mean() < 4
    seen = images.verify(data, LIMIT)
    assert (seen.height, seen.width) == turned.shape[:2]


# Pillow warns of it; under -W error it could not go on.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_broken_exif_is_ignored():
    data = encode(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert images.decode(data, LIMIT).shape == (16, 24, 4)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind):
    first = Image.fromarray(gradient())
    second = Image.new("RGB", first.size, (255, 255, 255))
    options = {"save_all": True, "append_images": [second], "duration": 50}
    data = encode(first, kind, **options, **({"lossless": True} if kind == "WEBP" else {}))
    assert (images.decode(data, LIMIT)[..., :3] == gradient()).all()
    assert images.verify(data, LIMIT).width == 24


def test_cmyk():
    inks = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    rgba = images.decode(encode(inks, "JPEG", quality=100), LIMIT)
    red, green, blue, alpha = rgba[10, 10]
    assert red > 240
    assert max(green, blue) < 15
    assert alpha == 255


def test_16_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 128, 129, 300, 32_768, 65_407, 65_535]], dtype=np.uint16)
    rgba = images.decode(encode(Image.fromarray(values), "PNG"), LIMIT)
    assert rgba[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]
    assert (rgba[..., 3] == 255).all()


def test_16_bit_grey_with_a_transparent_value():
    rows = [struct.pack(">3H", 0, 300, 65_535)]
    data = png(3, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 300)))
    assert images.decode(data, LIMIT)[0].tolist() == [[0, 0, 0, 255], [1, 1, 1, 0], [255] * 4]


def test_16_bit_colour_and_its_transparent_colour():
    rows = [struct.pack(">6H", 65_535, 32_768, 256, 1_000, 2_000, 3_000)]
    data = png(2, 1, 16, 2, rows, chunk(b"tRNS", struct.pack(">3H", 1_000, 2_000, 3_000)))
    rgba = images.decode(data, LIMIT)[0].tolist()
    assert rgba[0] == [255, 128, 1, 255]
    assert rgba[1][3] == 0


def test_16_bit_colour_with_alpha():
    rows = [struct.pack(">4H", 65_535, 32_768, 0, 32_768)]
    assert images.decode(png(1, 1, 16, 6, rows), LIMIT)[0, 0].tolist() == [255, 128, 0, 128]


def test_palette_with_alpha():
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 0])
    data = encode(image, "PNG", transparency=bytes([255, 128, 0]))
    wanted = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 0], [255, 0, 0, 255]]
    assert images.decode(data, LIMIT)[0].tolist() == wanted


def test_palette_with_one_transparent_index():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    rgba = images.decode(encode(image, "PNG", transparency=1), LIMIT)
    assert rgba[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]


def test_grey_with_alpha_and_one_bit():
    grey = images.decode(encode(Image.new("LA", (2, 2), (77, 99)), "PNG"), LIMIT)
    assert grey[0, 0].tolist() == [77, 77, 77, 99]
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    assert images.decode(encode(bits, "PNG"), LIMIT)[0].tolist() == [[0, 0, 0, 255], [255] * 4]


def test_icc_profile_is_converted_to_srgb():
    data = encode(Image.new("RGB", (4, 4), (128, 128, 128)), "PNG", icc_profile=linear_profile())
    # 128 / 255 of linear light is 188 in sRGB.
    assert np.abs(images.decode(data, LIMIT)[..., :3].astype(int) - 188).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_broken_icc_profile_is_ignored(kind):
    data = encode(Image.new("RGB", (8, 8), (128, 128, 128)), kind, icc_profile=b"not a profile")
    assert np.abs(images.decode(data, LIMIT)[..., :3].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("kind", FORMATS)
def test_more_pixels_than_allowed(kind):
    data = encode(Image.new("RGB", (101, 100)), kind)
    for read in (images.inspect, images.verify, images.decode):
        with pytest.raises(ImageTooLargeError, match="101 x 100 = 10100"):
            read(data, 10_000)
        read(data, 10_100)


def test_bomb_is_refused_by_its_header():
    data = png(13_000, 13_000, 1, 0, [bytes(1625)] * 13_000)
    assert len(data) < 25_000
    for read in (images.inspect, images.verify, images.decode):
        with pytest.raises(ImageTooLargeError):
            read(data, 25_000_000)


def test_bomb_in_webp_is_refused_before_its_canvas_is_made():
    side = (16_383 - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    with pytest.raises(ImageTooLargeError):
        images.inspect(data, 25_000_000)


def test_jpeg_of_countless_scans():
    data = encode(Image.fromarray(gradient()), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    stuffed = data[:start] + data[start:-2] * 101
    with pytest.raises(ImageUndecodableError, match="scans"):
        images.inspect(stuffed, LIMIT)
    assert images.decode(data, LIMIT).shape == (16, 24, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"hello, world",
        b"GIF89a" + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"BM" + bytes(60),
        b"RIFF\0\0\0\0WAVE",
        b"\x89PN",
    ],
)
def test_other_types_are_refused(data):
    for read in (images.inspect, images.verify, images.decode):
        with pytest.raises(ImageTypeError):
            read(data, LIMIT)


def test_empty():
    with pytest.raises(ImageUndecodableError, match="0 bytes"):
        images.inspect(b"", LIMIT)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated(kind, kept):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(ImageUndecodableError):
        images.verify(data[: int(len(data) * kept)], LIMIT)


def test_a_png_with_a_wrong_sum_or_without_its_end_is_noticed():
    data = encode(Image.fromarray(gradient()), "PNG")
    wrong_sum = bytearray(data)
    wrong_sum[-13] ^= 0x55  # of the pixels; the end chunk has 12 bytes
    for damaged in (bytes(wrong_sum), data[:-20]):
        with pytest.raises(ImageUndecodableError):
            images.verify(damaged, LIMIT)


SAMPLES = {kind: encode(Image.fromarray(gradient()), kind) for kind in FORMATS}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    st.floats(0, 1),
)
def test_damage_gives_a_typed_error_or_a_picture(kind, changes, kept):
    data = bytearray(SAMPLES[kind])
    for place, value in changes:
        data[int(place * len(data))] = value
    for read in (images.inspect, images.verify, images.decode):
        try:
            read(bytes(data[: int(kept * len(data))]), LIMIT)
        except ImageError:
            continue
