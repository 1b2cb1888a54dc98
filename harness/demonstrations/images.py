"""Images as PNG: lossless, and decoded only when they are used."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.contracts.errors import UsageError

_COMPRESSION = 2
"""Takes a third of the default level's time, for files that are 5 % larger."""

_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files."""


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Return the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


def decode_image(content: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG.

    A PNG's checksums are compared, so no changed byte changes the image. A JPEG has none.

    Raises:
        ValueError: It is no image of this height and width, or is damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            image.verify()
            found = image.size[::-1]
        if found == size:  # Else it may be too large for the memory.
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                return np.array(image.convert("RGB"))
    except _DAMAGE as error:
        raise ValueError(f"an image cannot be read: {error}") from error
    raise ValueError(f"an image is {found}, not {size}")


class EncodedImages:
    """The images of one camera, kept encoded in memory.

    `images[indices]` decodes a batch; `images[:]` decodes all, for those who use them repeatedly.
    """

    def __init__(
        self, contents: Sequence[bytes], size: tuple[int, int], name: Callable[[int], str]
    ) -> None:
        """Keep the bytes of image files.

        Args:
            contents: The files.
            size: Height and width of every image.
            name: Says where the image with this index is from, for error messages.
        """
        self._contents, self._name = contents, name
        self.size = size

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._contents)

    def __getitem__(self, indices: slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode these images, (n, H, W, 3).

        Raises:
            UsageError: One is damaged.
        """
        chosen = np.arange(len(self))[indices]
        images = np.empty((len(chosen), *self.size, 3), np.uint8)
        for row, index in enumerate(chosen):
            try:
                images[row] = decode_image(self._contents[index], self.size)
            except ValueError as error:
                raise UsageError(f"cannot read {self._name(int(index))}: {error}") from error
        return images


def image_histogram(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the values of each channel, (3, 256)."""
    counts = [np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(3)]
    return np.stack(counts)
