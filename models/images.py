"""Picture bytes to pixels: PNG, JPEG and WebP by content, nothing else. No torch, no FastAPI."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.errors import ImageError, ImageTooLargeError, ImageTypeError, ImageUndecodableError

ImageFormat = Literal["PNG", "JPEG", "WEBP"]

MEDIA_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

# Each scan of a progressive JPEG is a pass over the whole picture, and a file of 100 kB can hold
# thousands. Encoders write about ten.
MAX_JPEG_SCANS: Final = 100

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})

# What Pillow's three readers raise on bytes that are not what they seem.
_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # they warn of damaged EXIF; under -W error that is raised
)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Width and height in pixels."""

    format: ImageFormat
    width: int
    height: int


def inspect(data: bytes, max_pixels: int) -> ImageHeader:
    """What the header says, without decoding a pixel; sizes as stored, before any EXIF turn.

    Raises:
        ImageTypeError: not PNG, JPEG or WebP.
        ImageTooLargeError: more than `max_pixels`.
        ImageUndecodableError: empty, or the header itself is broken.
    """
    return _header(_open(data, max_pixels))


def verify(data: bytes, max_pixels: int) -> ImageHeader:
    """Read the whole file as `decode` would, but keep nothing; sizes after the EXIF turn.

    Cheaper than `decode`: a JPEG is reduced while it is read, nothing is converted.

    Raises:
        ImageTypeError, ImageTooLargeError: as `inspect`.
        ImageUndecodableError: truncated or corrupt.
    """
    image = _open(data, max_pixels)
    header = _header(image)
    if isinstance(image, JpegImageFile):
        image.draft(None, (1, 1))
    elif isinstance(image, PngImageFile):
        _check_png_sums(data)
    _load(image)
    if _orientation(image) in _SWAPS_SIDES:
        return ImageHeader(header.format, header.height, header.width)
    return header


def decode(data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """The first frame, upright, as [H, W, 4] uint8: straight-alpha RGBA in sRGB.

    An ICC profile is applied when it describes RGB or CMYK and is sound, and ignored otherwise.
    16-bit samples are scaled to 8 bits.

    Raises:
        ImageTypeError, ImageTooLargeError: as `inspect`.
        ImageUndecodableError: truncated or corrupt.
    """
    image = _open(data, max_pixels)
    _load(image)
    turn = _UPRIGHT.get(_orientation(image))
    try:
        colour, alpha = _colour_and_alpha(image)
        rgba = _to_srgb(colour, image.info.get("icc_profile")).convert("RGBA")
        if alpha is not None:
            rgba.putalpha(alpha)
        return np.array(rgba if turn is None else rgba.transpose(turn))
    except (*_BROKEN, MemoryError) as error:
        raise _undecodable(error) from error


def _open(data: bytes, max_pixels: int) -> ImageFile:
    if not data:
        raise ImageUndecodableError("the picture is empty: 0 bytes")
    # The plugin itself, not Image.open: the type is settled by content alone, and the limit is ours
    # instead of Pillow's, which at half the pixels only warns.
    plugin = _plugin(data)
    if plugin is WebPImageFile and (size := _webp_size(data)) is not None:
        _check_pixels(size, max_pixels)  # its reader makes room for the canvas when it opens
    try:
        image = plugin(BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"more pixels than the {max_pixels} allowed") from error
    except _BROKEN as error:
        raise _undecodable(error) from error
    _check_pixels(image.size, max_pixels)
    if plugin is JpegImageFile and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageUndecodableError(f"a JPEG of more than {MAX_JPEG_SCANS} scans")
    return image


def _plugin(data: bytes) -> Callable[[BytesIO], ImageFile]:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    raise ImageTypeError("not a PNG, JPEG or WebP picture")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas size; None when the header is too short or unknown, which the reader then refuses."""
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X" and len(body) == 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 " and len(body) == 10:
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{width} x {height} = {width * height} pixels, at most {max_pixels} are allowed"
        )


def _header(image: ImageFile) -> ImageHeader:
    formats: dict[str | None, ImageFormat] = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WEBP"}
    return ImageHeader(formats[image.format], image.width, image.height)


def _load(image: ImageFile) -> None:
    try:
        image.load()
    except (*_BROKEN, MemoryError) as error:
        raise _undecodable(error) from error


def _check_png_sums(data: bytes) -> None:
    """Pillow decodes a PNG without looking at the check sums of its pixels, or for its end."""
    try:
        PngImageFile(BytesIO(data)).verify()
    except _BROKEN as error:
        raise _undecodable(error) from error


def _undecodable(error: BaseException) -> ImageError:
    said = str(error) or type(error).__name__
    return ImageUndecodableError(f"the picture cannot be decoded: {said}")


def _orientation(image: ImageFile) -> int:
    """1 (upright) when the EXIF block is missing or broken: the pixels are still good."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _colour_and_alpha(image: ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """Colour in mode RGB or CMYK, and alpha in mode L where the picture has any."""
    if image.mode == "CMYK":
        return image, None
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    _narrow_transparency(image)
    if not image.has_transparency_data:
        return image.convert("RGB"), None
    rgba = image.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def _from_16_bit(image: ImageFile) -> tuple[Image.Image, Image.Image | None]:
    wide = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey.convert("RGB"), None
    return grey.convert("RGB"), Image.fromarray(
        np.where(wide == transparent, 0, 255).astype(np.uint8)
    )


def _narrow_transparency(image: ImageFile) -> None:
    """Of 16-bit colours Pillow keeps the high byte, but their transparent colour stays 16-bit."""
    transparent = image.info.get("transparency")
    if isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def _to_srgb(colour: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; as it is when there is no usable profile for its mode."""
    if not profile:
        return colour.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != colour.mode or _is_srgb(source):
            return colour.convert("RGB")
        converted = ImageCms.profileToProfile(colour, source, _srgb(), outputMode="RGB")
    except (*_BROKEN, ImageCms.PyCMSError):
        return colour.convert("RGB")
    return colour.convert("RGB") if converted is None else converted


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "srgb" in ImageCms.getProfileDescription(profile).lower()


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
