"""Images of a data set that are frames of films, decoded by FFmpeg when they are used."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from harness.contracts.bounded_files import open_regular
from harness.contracts.errors import UsageError
from harness.contracts.foreign_text import error_line

_LONGEST_REASON = 300
_MOST_FRAMES = 64
"""Frames that one process decodes, so that they fit into memory."""


@dataclass(frozen=True)
class FilmPlace:
    """Where the frames of an episode are.

    Attributes:
        path: The film.
        start: The time of the episode's first frame in it, in seconds.
        fps: Frames per second.
        length: The episode's frames.
        alone: Whether the film holds nothing else.
    """

    path: Path
    start: float
    fps: int
    length: int
    alone: bool

    def frames(self, first: int, number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Decode frames of the episode, (number, H, W, 3).

        Raises:
            ValueError: The film is damaged, or has other frames.
            ModuleNotFoundError: FFmpeg is not installed.
        """
        # A film that ends later than its episode belongs to another one.
        beyond = self.alone and first + number == self.length
        found = list(self._decoded(first, number + beyond, size))
        if len(found) > number:
            raise ValueError(f"it has more frames than the {self.length} steps of its episode")
        if len(found) < number:
            raise ValueError(f"frame {first + len(found)} of the episode is missing")
        return np.stack(found)

    def _decoded(
        self, first: int, number: int, size: tuple[int, int]
    ) -> Iterator[NDArray[np.uint8]]:
        import imageio_ffmpeg  # type: ignore[import-untyped]

        open_regular(self.path).close()
        # Half a frame earlier, so that rounded times lead to the same frame.
        start = max(0.0, self.start + (first - 0.5) / self.fps)
        # The fixed format and protocol keep a film from opening anything else.
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-threads", "1"]
        command += ["-protocol_whitelist", "file", "-f", "mp4", "-ss", f"{start:.6f}"]
        command += ["-i", f"file:{self.path}", "-map", "0:v:0", "-frames:v", str(number)]
        command += ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "pipe:1"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                while (image := _read_ppm(process.stdout, size)) is not None:
                    yield image
            finally:
                process.stdout.close()
                said = process.stderr.read(4096).decode(errors="replace")
                process.kill()
        if said.strip():
            raise ValueError(error_line(said.strip(), _LONGEST_REASON))


class FilmImages:
    """The images of one camera in films, with the interface of `EncodedImages`."""

    def __init__(
        self,
        places: Sequence[FilmPlace],
        episode: NDArray[np.int64],
        step: NDArray[np.int64],
        size: tuple[int, int],
        name: Callable[[int], str],
    ) -> None:
        """Keep where the images are.

        Args:
            places: The films of all episodes.
            episode: Each image's episode, an index into `places`.
            step: Each image's step in its episode.
            size: Height and width of every image.
            name: Says to which row the image with this index belongs, for error messages.
        """
        self._places, self._episode, self._step = places, episode, step
        self._name, self.size = name, size

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._step)

    def __getitem__(self, indices: slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode these images, (n, H, W, 3); successive ones at once.

        Raises:
            UsageError: One is damaged.
        """
        chosen = np.arange(len(self))[indices]
        images = np.empty((len(chosen), *self.size, 3), np.uint8)
        row = 0
        for index, number in self._runs(chosen):
            place = self._places[self._episode[index]]
            try:
                frames = place.frames(int(self._step[index]), number, self.size)
            except (OSError, ValueError) as error:
                where = f"{place.path}, from {self._name(index)} on"
                raise UsageError(f"cannot read {where}: {error}") from error
            images[row : row + number] = frames
            row += number
        return images

    def _runs(self, chosen: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield the first index and the number of images that follow each other in a film."""
        places = zip(chosen.tolist(), self._episode[chosen], self._step[chosen], strict=True)
        numbers = count()
        for _, group in groupby(places, lambda place: (place[1], place[2] - next(numbers))):
            indices = [index for index, *_ in group]
            for start in range(0, len(indices), _MOST_FRAMES):
                yield indices[start], len(indices[start : start + _MOST_FRAMES])


def _read_ppm(stream: IO[bytes], size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Read an image in the format PPM; None at the end.

    Raises:
        ValueError: It has another size, or is cut.
    """
    height, width = size
    header = f"P6\n{width} {height}\n255\n".encode()
    found = stream.read(len(header))
    if not found:
        return None
    if found != header:
        raise ValueError(f"its frames are not of {height} x {width} pixels")
    content = stream.read(height * width * 3)
    if len(content) != height * width * 3:
        raise ValueError("a frame is cut")
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)
