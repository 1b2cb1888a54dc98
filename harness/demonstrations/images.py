"""Images as PNG: lossless, and decoded only when they are used."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COMPRESSION = 2
"""Takes a third of the default level's time, for files that are 5 % larger."""


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Return the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


def decode_image(content: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG.

    Raises:
        ValueError: It is no image of this height and width.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.size != size[::-1]:
                raise ValueError(f"an image is {image.size[::-1]}, not {size}")
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"an image cannot be read: {error}") from error


class EncodedImages:
    """The images of one camera, kept encoded in memory.

    `images[indices]` decodes a batch; `images[:]` decodes all, for those who use them repeatedly.
    """

    def __init__(self, contents: Sequence[bytes], size: tuple[int, int]) -> None:
        """Keep the bytes of image files, all of this height and width."""
        self._contents = contents
        self.size = size

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._contents)

    def __getitem__(self, indices: slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode these images, (n, H, W, 3)."""
        chosen = np.arange(len(self))[indices]
        images = np.empty((len(chosen), *self.size, 3), np.uint8)
        for row, index in enumerate(chosen):
            images[row] = decode_image(self._contents[index], self.size)
        return images


def image_histogram(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the values of each channel, (3, 256)."""
    counts = [np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(3)]
    return np.stack(counts)
