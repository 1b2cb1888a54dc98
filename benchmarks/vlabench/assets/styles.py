"""A picture for each style of painting, after a well-known one, in distinct colours."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.pictures import randomness, shade

_Draw = ImageDraw.ImageDraw
_SIZE = (250, 200)
_FRAME = 6
STYLES: dict[str, Callable[[], Image.Image]] = {}
"""The functions that draw a style's picture, by upstream's name of the style."""


def _style(
    name: str, bottom: str, top: str = ""
) -> Callable[[Callable[[_Draw], None]], Callable[[_Draw], None]]:
    """Register a function that paints a style on a plain background or on a colour gradient."""

    def register(paint: Callable[[_Draw], None]) -> Callable[[_Draw], None]:
        def picture() -> Image.Image:
            image = shade(bottom, top, _SIZE) if top else Image.new("RGB", _SIZE, bottom)
            draw = ImageDraw.Draw(image)
            paint(draw)
            frame = (0, 0, _SIZE[0] - 1, _SIZE[1] - 1)
            draw.rectangle(frame, outline="#241a10", width=_FRAME)
            return image

        STYLES[name] = picture
        return paint

    return register


@_style("academicism", "#d9bd8b", "#4f8fc9")
def _academicism(draw: _Draw) -> None:
    """A pale figure undresses on a beach, between a blue sea and a crowd in white."""
    draw.rectangle((0, 70, 250, 112), fill="#2a62a0")
    draw.rectangle((0, 112, 250, 200), fill="#d8c095")
    for x in (22, 52, 198, 228):
        _person(draw, x, 74, 100, "#f4efe4", "#c99a74")
    draw.polygon([(96, 84), (154, 84), (172, 190), (80, 190)], fill="#ffffff")
    _person(draw, 125, 30, 140, "#f3c9a5", "#f3c9a5")


@_style("art nouveau", "#6f8f5a")
def _art_nouveau(draw: _Draw) -> None:
    """A woman before a golden halo, between winding stems."""
    for x, way in ((20, 1), (48, -1), (202, 1), (230, -1)):
        for y in range(-10, 200, 40):
            start, end = (270, 90) if way > 0 else (90, 270)
            draw.arc((x - 18, y, x + 18, y + 42), start, end, fill="#f0e2a8", width=6)
            way = -way
    draw.circle((125, 92), 78, fill="#e3a63a", outline="#7a3f1a", width=8)
    draw.circle((125, 92), 54, fill="#f3dfa6", outline="#7a3f1a", width=5)
    draw.polygon([(125, 90), (184, 200), (66, 200)], fill="#c65a3a")
    draw.ellipse((96, 34, 154, 118), fill="#8a3b16")
    draw.ellipse((108, 50, 142, 98), fill="#f7d9b8")


@_style("baroque", "#120b06")
def _baroque(draw: _Draw) -> None:
    """A lit face and hand and a red cloth come out of the dark."""
    for reach, colour in ((120, "#1e1208"), (90, "#2e1b0b"), (60, "#43280f")):
        draw.ellipse((125 - reach, 80 - reach, 125 + reach, 80 + reach), fill=colour)
    draw.polygon([(125, 90), (200, 200), (50, 200)], fill="#8c0f12")
    draw.polygon([(125, 100), (150, 200), (96, 200)], fill="#5c0709")
    draw.ellipse((98, 28, 152, 100), fill="#e8b36a")
    draw.ellipse((98, 28, 128, 100), fill="#6e441c")
    draw.ellipse((160, 120, 196, 148), fill="#e8b36a")


@_style("cubism", "#8d7a5c")
def _cubism(draw: _Draw) -> None:
    """A face in facets."""
    random = randomness("cubism")
    colours = ("#b9a274", "#5f6b6a", "#3c3a35", "#d6c79c", "#7f5a3a", "#9aa39a")
    for index in range(46):
        centre = random.uniform((0, 0), _SIZE)
        points = centre + random.uniform(-46, 46, (3, 2))
        draw.polygon([tuple(p) for p in points], fill=colours[index % 6], outline="#1d1a16")
    draw.polygon([(125, 24), (180, 70), (125, 176)], fill="#e9dcb4", outline="black")
    draw.polygon([(125, 24), (78, 80), (125, 176)], fill="#6d7f86", outline="black")
    draw.polygon([(125, 70), (150, 124), (112, 124)], fill="#b5713c", outline="black")
    draw.rectangle((136, 72, 160, 86), fill="black")
    draw.rectangle((92, 82, 114, 96), fill="white", outline="black", width=4)


@_style("expressionism", "#e8541c")
def _expressionism(draw: _Draw) -> None:
    """Someone screams on a bridge under a burning sky."""
    x = np.arange(0, 251, 5)
    for row, colour in enumerate(
        ("#f7a51e", "#d92b12", "#fbc02d", "#e8541c", "#1f3d66", "#2f6a7a")
    ):
        y = 16 + row * 19 + 9 * np.sin(x / 24 + row)
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=colour, width=15)
    draw.polygon([(0, 112), (250, 190), (250, 200), (0, 200)], fill="#7a3b12")
    draw.line((0, 100, 250, 180), fill="#3d1a08", width=7)
    draw.polygon([(125, 110), (160, 200), (90, 200)], fill="#10141f")
    draw.ellipse((100, 52, 150, 126), fill="#efe0a0")
    for eye in (114, 136):
        draw.circle((eye, 80), 6, fill="black")
    draw.ellipse((117, 96, 133, 120), fill="black")


@_style("impressionism", "#7fb0b8")
def _impressionism(draw: _Draw) -> None:
    """Water lilies, in dabs."""
    random = randomness("impressionism")
    for colour, count in (("#8fc7c4", 160), ("#5d9a86", 160), ("#a9a0d4", 120), ("#c3dcd8", 90)):
        for x, y in random.uniform((0, 0), _SIZE, (count, 2)):
            draw.ellipse((x - 10, y - 3, x + 10, y + 3), fill=colour)
    for x, y in ((60, 60), (180, 50), (120, 110), (50, 150), (205, 140)):
        draw.ellipse((x - 34, y - 10, x + 34, y + 14), fill="#3f8f5f")
        draw.ellipse((x - 14, y - 14, x + 14, y + 4), fill="#ff9ec4")


@_style("minimalism", "#f7f6f2")
def _minimalism(draw: _Draw) -> None:
    """White on white."""
    points = [(92, 44), (190, 58), (174, 156), (78, 142)]
    draw.polygon(points, fill="#dcdad4")


@_style("neoclassicism", "#57524a")
def _neoclassicism(draw: _Draw) -> None:
    """Three men swear an oath before an arcade."""
    for x in (45, 125, 205):
        draw.rectangle((x - 30, 60, x + 30, 160), fill="#23201d")
        draw.pieslice((x - 30, 26, x + 30, 94), 180, 360, fill="#23201d")
    for x in (6, 85, 165, 244):
        draw.rectangle((x - 8, 56, x + 8, 162), fill="#d8d0bd")
    draw.rectangle((0, 160, 250, 200), fill="#a8957a")
    for x, cloth in ((34, "#f1ece0"), (60, "#b0181d"), (205, "#2f5f9e")):
        _person(draw, x, 84, 100, cloth, "#d9a066")
        draw.line((x, 112, x + (60 if x < 125 else -60), 92), fill="#d9a066", width=7)
    draw.polygon([(120, 120), (130, 60), (134, 120)], fill="#ffffff")


@_style("post-impressionism", "#16306e", "#1c4fa8")
def _post_impressionism(draw: _Draw) -> None:
    """A starry night."""
    for radius in range(8, 64, 9):
        box = (120 - radius, 74 - radius * 0.6, 120 + radius, 74 + radius * 0.6)
        draw.arc(box, radius * 7, radius * 7 + 230, fill="#a8d0f0", width=4)
    for x, y, radius in ((40, 36, 13), (82, 22, 9), (190, 86, 11), (30, 92, 9), (214, 36, 22)):
        draw.circle((x, y), radius + 7, fill="#5b86c0")
        draw.circle((x, y), radius, fill="#ffd93b")
    draw.polygon(
        [(0, 146), (80, 128), (170, 150), (250, 126), (250, 200), (0, 200)], fill="#12244f"
    )
    draw.polygon([(52, 34), (74, 200), (26, 200)], fill="#0c1a12")
    for x in range(100, 240, 26):
        draw.rectangle((x, 160, x + 14, 174), fill="#f0b429")


@_style("realism", "#bfd8ec", "#5b96d0")
def _realism(draw: _Draw) -> None:
    """A golden autumn by a stream."""
    draw.polygon([(0, 104), (250, 92), (250, 200), (0, 200)], fill="#b98a2c")
    draw.polygon([(150, 98), (172, 98), (210, 200), (96, 200)], fill="#2c5c94")
    for x, y, width in ((24, 60, 30), (62, 72, 24), (98, 84, 16), (226, 66, 26)):
        draw.rectangle((x - 3, y, x + 3, y + 84), fill="#efe9dd")
        draw.ellipse((x - width, y - 46, x + width, y + 34), fill="#e6a90f")
        draw.ellipse((x - width * 0.6, y - 40, x + width * 0.3, y), fill="#f7cf3d")


@_style("rococo", "#5f9a7c", "#a6d8cf")
def _rococo(draw: _Draw) -> None:
    """A lady in pink on a swing, in a garden."""
    for x, y, radius in ((20, 30, 50), (226, 40, 56), (18, 176, 44), (236, 180, 46)):
        draw.circle((x, y), radius, fill="#3f7a62")
    draw.line((126, 0, 108, 118), fill="#8d6a3c", width=3)
    draw.line((146, 0, 156, 118), fill="#8d6a3c", width=3)
    draw.polygon([(132, 84), (214, 160), (60, 168)], fill="#ff9fc0")
    draw.polygon([(132, 84), (176, 164), (110, 166)], fill="#ffd0de")
    draw.ellipse((116, 40, 148, 82), fill="#ffe3cf")
    draw.ellipse((108, 30, 156, 54), fill="#fff3e6")


@_style("romanticism", "#e6e9ee", "#8fa6bf")
def _romanticism(draw: _Draw) -> None:
    """A wanderer above a sea of fog."""
    draw.polygon([(150, 90), (204, 34), (250, 84), (250, 120)], fill="#6f87a3")
    draw.polygon([(0, 60), (44, 84), (88, 100), (0, 122)], fill="#7b92ac")
    for y in (104, 126, 148):
        draw.ellipse((-40, y, 150, y + 34), fill="#f3f4f6")
        draw.ellipse((110, y + 8, 300, y + 42), fill="#dfe4ea")
    draw.polygon([(46, 200), (104, 136), (146, 136), (210, 200)], fill="#2b241f")
    _person(draw, 125, 54, 88, "#16281f", "#b98c62")


@_style("surrealism", "#f2c14a", "#3fa0b5")
def _surrealism(draw: _Draw) -> None:
    """Clocks melt by a yellow coast."""
    draw.rectangle((0, 92, 250, 200), fill="#8a5a22")
    draw.rectangle((0, 124, 104, 200), fill="#5a3512")
    for x, y in ((64, 100), (172, 116)):
        draw.ellipse((x - 36, y - 20, x + 36, y + 20), fill="#e9eef0", outline="#b8892d", width=6)
        draw.polygon([(x + 4, y), (x + 36, y), (x + 30, y + 62), (x + 14, y + 56)], fill="#e9eef0")
        draw.line((x - 20, y - 6, x, y, x + 8, y - 14), fill="black", width=4)
    draw.line((212, 92, 212, 24, 170, 44), fill="#3b2510", width=8)


@_style("symbolism", "#1a0826", "#3c1466")
def _symbolism(draw: _Draw) -> None:
    """Sin: a pale woman in the night, with a green snake around her."""
    draw.circle((206, 44), 22, fill="#c8a6f0")
    draw.ellipse((86, 16, 160, 200), fill="#0b0410")
    draw.ellipse((104, 28, 146, 82), fill="#d8c8e6")
    draw.rectangle((106, 86, 144, 200), fill="#d8c8e6")
    for y in (92, 124, 156):
        draw.arc((70, y - 6, 180, y + 40), 170, 370, fill="#27d07a", width=13)
    draw.circle((66, 108), 12, fill="#27d07a")


@_style("ukiyo-e", "#f0e1bd")
def _ukiyo_e(draw: _Draw) -> None:
    """A great wave before a mountain, in flat colours."""
    draw.circle((204, 40), 24, fill="#d8301f")
    draw.polygon([(130, 140), (176, 76), (226, 140)], fill="#5577a0")
    draw.polygon([(160, 98), (176, 76), (194, 98)], fill="#ffffff")
    draw.rectangle((0, 138, 250, 200), fill="#1d3f78")
    draw.pieslice((-60, 20, 130, 230), 180, 330, fill="#1d3f78")
    draw.pieslice((20, 52, 124, 172), 150, 350, fill="#f0e1bd")
    for x, y in ((16, 34), (44, 24), (72, 26), (96, 38), (112, 56), (120, 78)):
        draw.circle((x, y), 13, fill="#ffffff")
    for x in range(10, 250, 60):
        draw.arc((x, 150, x + 56, 190), 180, 360, fill="#ffffff", width=6)


def _person(draw: _Draw, x: float, top: float, height: float, cloth: str, skin: str) -> None:
    """Draw a standing person; `x` and `top` are the position of the head's top."""
    head = height * 0.12
    draw.circle((x, top + head), head, fill=skin)
    wide = height * 0.2
    bottom = top + height
    draw.polygon([(x, top + head), (x + wide, bottom), (x - wide, bottom)], fill=cloth)
