"""Helpers that draw the assets' pictures."""

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG with fast compression; it is read at once."""
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def randomness(name: str) -> np.random.Generator:
    """Return a generator with a seed from a name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def write(image: Image.Image, text: str, box: tuple[int, int, int, int], colour: str) -> None:
    """Fill a box (left, top, right, bottom) with bold letters, stretched to its size."""
    font = ImageFont.load_default(200)
    mask = Image.new("L", (200 * len(text) + 80, 320))
    ImageDraw.Draw(mask).text((40, 20), text, fill=255, font=font, stroke_width=6)
    left, top, right, bottom = box
    mask = mask.crop(mask.getbbox()).resize((right - left, bottom - top))
    image.paste(colour, (left, top), mask)


def shade(bottom: str, top: str, size: tuple[int, int]) -> Image.Image:
    """Return a vertical colour gradient."""
    ramp = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)


def grain(image: Image.Image, generator: np.random.Generator, strength: float) -> Image.Image:
    """Return a picture with noise in its brightness."""
    pixels = np.asarray(image, dtype=np.float64)
    noise = generator.normal(0, strength, (*pixels.shape[:2], 1))
    return _from_pixels(pixels + noise)


def _from_pixels(pixels: NDArray[np.float64]) -> Image.Image:
    """Return the picture of an array with values from 0 to 255."""
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
