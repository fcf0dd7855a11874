"""Decodes files of images. Worker processes run this file as a program, so it imports nothing that takes long."""

import functools
import marshal
import sys
from collections.abc import Sequence
from typing import NamedTuple

# The format by each ending, those first that Pillow loads at once. It runs another program for some formats, such as
# PostScript, so that only these are read, whatever the ending.
ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    ".bmp": "BMP",
    ".gif": "GIF",
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".webp": "WEBP",
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
}
# Endings of images that are not read, but counted.
OTHERS = {
    *(
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".jpx",
        ".svg",
        ".psd",
        ".tga",
        ".ico",
        ".dds",
        ".eps",
        ".pcx",
    ),
    *(".qoi", ".exr", ".hdr", ".dcm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
}
MODES = {1: "L", 3: "RGB"}
DEEP = 16  # bits of a pixel of the deepest images that are read


class Form(NamedTuple):
    """What every image becomes: bytes `[size, size, channels]`."""

    size: int
    channels: int
    depth: int = DEEP  #: the number of bits that images of 16 bits use, of which the upper 8 are kept
    draft: bool = False  #: whether a JPEG is decoded at the smallest scale that is not below the size


@functools.cache
def readable() -> dict[str, str]:
    """Returns the format of each ending that this installation of Pillow reads."""
    from PIL import features

    missing = {
        name.upper() for name in ("webp", "avif") if name not in features.modules or not features.check(name)
    }
    return {ending: form for ending, form in ENDINGS.items() if form not in missing}


def decode(file: str, form: Form) -> bytes:
    """Reads one image, rotated upright, cut to its central square and resized: bytes `[size, size, channels]`.

    Transparent parts become white.

    Raises:
        OSError: the file is not a complete image, or its pixels are not of 8 or 16 bits.
        Exception: anything else that Pillow raises for a broken file.
    """
    from PIL import Image, ImageOps

    with Image.open(file, formats=_formats()) as opened:
        if form.draft:
            opened.draft(MODES[form.channels], (form.size, form.size))
        image = ImageOps.exif_transpose(opened)
        if _is_deep(image):  # which Pillow would clip at 255
            image = _upper_bits(image, form.depth)
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert(MODES[form.channels])
        return ImageOps.fit(image, (form.size, form.size), Image.Resampling.BICUBIC).tobytes()


def depth_of(file: str) -> int:
    """Returns how many bits the pixels of an image of 16 bits use, or 0 for another image.

    Raises:
        Exception: as for `decode`.
    """
    from PIL import Image

    with Image.open(file, formats=_formats()) as image:
        return int(_deep(image).max()).bit_length() if _is_deep(image) else 0


def decode_all(files: Sequence[str], form: Form) -> list[bytes | str]:
    """Returns each image, or why it cannot be read."""
    return [_or_reason(decode, file, form) for file in files]


def depths_of(files: Sequence[str], form: Form) -> list[int | str]:
    """Returns `depth_of` each image, or why it cannot be read."""
    return [_or_reason(depth_of, file) for file in files]


ANSWERS = {"pixels": decode_all, "depths": depths_of}  # by the word of a request


def _or_reason(read, *arguments):
    try:
        return read(*arguments)
    except MemoryError:  # not the fault of the file
        raise
    except Exception as error:  # Pillow raises errors of many types for broken files
        return str(error) or type(error).__name__


@functools.cache
def _formats() -> tuple[str, ...]:
    return tuple(dict.fromkeys(readable().values()))


def _is_deep(image) -> bool:
    return image.mode[0] in "IF"


def _deep(image):
    import numpy as np

    pixels = np.asarray(image)
    if pixels.dtype.kind == "f" or pixels.min() < 0 or pixels.max() >= 1 << DEEP:
        raise OSError(f"its {pixels.dtype} pixels are not of 8 or 16 bits")
    return pixels


def _upper_bits(image, depth: int):
    import numpy as np
    from PIL import Image

    pixels = _deep(image)
    if pixels.max() >> depth:
        raise OSError(
            f"its pixels reach {pixels.max()}; those of the training images end at {(1 << depth) - 1}"
        )
    shifted = pixels >> depth - 8 if depth > 8 else pixels << 8 - depth
    return Image.fromarray(shifted.astype(np.uint8))


def _serve() -> None:
    """Answers requests of the process that started this one, until it closes the pipe."""
    sys.stdout = sys.stderr
    with open(0, "rb") as requests, open(1, "wb") as answers:
        while requests.peek(1):
            what, files, form = marshal.load(requests)
            marshal.dump(ANSWERS[what](files, Form(*form)), answers)
            answers.flush()


if __name__ == "__main__":
    _serve()
