"""Endless animations from frames: GIF, and WebP whose frames are encoded one by one."""

import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

_QUALITY, _METHOD = 82, 1
_ALPHA_QUALITY = 85  # lower ones leave too few levels for a soft shadow
_PALETTE = 255  # colours


def gif_file(frames: list[Picture], frame_ms: int) -> bytes:
    """`frames` [H, W, 3] share one palette, else their background would flicker."""
    sample = np.concatenate([frame[::3, ::3] for frame in frames[::5]], axis=1)
    palette = Image.fromarray(sample).quantize(_PALETTE, Image.Quantize.MEDIANCUT)
    indexed = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in frames
    ]
    file = BytesIO()
    indexed[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=frame_ms,
        loop=0,
        optimize=False,  # the palette is full
    )
    return file.getvalue()


def webp_frame(picture: Picture) -> bytes:
    """[H, W, 4] as the chunks that a frame of an animation holds."""
    file = BytesIO()
    Image.fromarray(picture).save(
        file, "WEBP", quality=_QUALITY, alpha_quality=_ALPHA_QUALITY, method=_METHOD
    )
    chunks = file.getvalue()[12:]
    return chunks[18:] if chunks.startswith(b"VP8X") else chunks  # the file has its own


def webp_file(frames: list[bytes], size: int, frame_ms: int) -> bytes:
    """Square `frames` of `webp_frame`, one after the other, in a container of RFC 9649."""
    extended = struct.pack("<B3x", 0x12) + 2 * (size - 1).to_bytes(3, "little")  # alpha, motion
    chunks = [_chunk(b"VP8X", extended), _chunk(b"ANIM", struct.pack("<IH", 0, 0))]
    for frame in frames:
        side = (size - 1).to_bytes(3, "little")
        # Frames replace the picture (no blending) and stay until the next.
        header = bytes(6) + 2 * side + frame_ms.to_bytes(3, "little") + b"\x02"
        chunks.append(_chunk(b"ANMF", header + frame))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
