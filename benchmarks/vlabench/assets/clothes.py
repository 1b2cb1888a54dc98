"""The parts that figures wear and carry; each function returns the parts that its name says."""

from benchmarks.vlabench.assets.figures import CHEST, HEAD, HEAD_HALF, both
from benchmarks.vlabench.assets.parts import Part, Triple

_WAIST = 0.052


def cape(colour: str) -> list[Part]:
    """Return a cape that is wider than the figure, so that it is also visible in front."""
    return [
        Part("box", (0.03, 0.002, 0.034), (0, 0.022, 0.06), (-10, 0, 0), colour),
        Part("capsule", (0.007, 0.02), (0, 0.012, 0.094), (0, 90, 0), colour),
    ]


def belt(colour: str) -> list[Part]:
    """Return a belt."""
    return [Part("cylinder", (0.0245, 0.0045), (0, 0, _WAIST), colour=colour)]


def emblem(colour: str, size: float = 0.009) -> list[Part]:
    """Return a badge on the chest."""
    return [Part("ellipsoid", (size, 0.003, size), (0, -0.0185, CHEST + 0.006), colour=colour)]


def front(colour: str) -> list[Part]:
    """Return a shirt that shows between the halves of a jacket."""
    return [Part("ellipsoid", (0.011, 0.008, 0.026), (0, -0.0125, CHEST), colour=colour)]


def trousers(colour: str) -> list[Part]:
    """Return short trousers."""
    return [Part("cylinder", (0.0255, 0.014), (0, 0, 0.05), colour=colour)]


def skirt(colour: str) -> list[Part]:
    """Return a wide skirt."""
    return [
        Part("cylinder", (0.033, 0.008), (0, 0, 0.038), colour=colour),
        Part("cylinder", (0.028, 0.008), (0, 0, 0.052), colour=colour),
    ]


def round_ears(colour: str) -> list[Part]:
    """Return the ears of a mouse."""
    at = (0.026, 0.002, HEAD + 0.028)
    return both("cylinder", (0.0185, 0.004), at, (90, 0, 0), colour)


def pointed_ears(colour: str) -> list[Part]:
    """Return the ears of a bat."""
    return both("ellipsoid", (0.006, 0.006, 0.02), (0.017, 0, HEAD + 0.027), (0, 8, 0), colour)


def hanging_ears(colour: str, head: Triple) -> list[Part]:
    """Return the ears of a dog; `head` is the centre of its head."""
    at = (HEAD_HALF, head[1], head[2] - 0.004)
    return both("ellipsoid", (0.006, 0.01, 0.021), at, (0, -12, 0), colour)


def horns(colour: str, length: float = 0.018) -> list[Part]:
    """Return horns that point up and outwards."""
    at = (0.02, 0, HEAD + 0.026 + length / 2)
    return both("capsule", (0.0045, length), at, (0, 25, 0), colour)


def antlers(colour: str) -> list[Part]:
    """Return the antlers of a reindeer with a hat."""
    stems = both("capsule", (0.0045, 0.014), (0.032, 0, HEAD + 0.026), (0, 45, 0), colour)
    return stems + both("capsule", (0.004, 0.009), (0.036, 0, HEAD + 0.036), (0, -15, 0), colour)


def bow(colour: str) -> list[Part]:
    """Return a bow on the head."""
    top = HEAD + 0.032
    loops = both("ellipsoid", (0.015, 0.006, 0.011), (0.014, -0.008, top), (0, -20, 0), colour)
    return [*loops, Part("sphere", (0.006,), (0, -0.011, top), colour=colour)]


def wide_hat(colour: str, band: str = "", brim: float = 0.045) -> list[Part]:
    """Return a hat with a brim; an empty `band` leaves out the band."""
    parts = [
        Part("cylinder", (brim, 0.0025), (0, 0, HEAD + 0.017), colour=colour),
        Part("ellipsoid", (0.026, 0.026, 0.027), (0, 0, HEAD + 0.022), colour=colour),
    ]
    if band:
        parts.append(Part("cylinder", (0.0275, 0.005), (0, 0, HEAD + 0.0235), colour=band))
    return parts


def tall_hat(colour: str, mark: str) -> list[Part]:
    """Return a tall, wide hat with a cross on it."""
    at, top = (0.0, -0.029, HEAD + 0.034), HEAD + 0.03
    return [
        Part("cylinder", (0.036, 0.003), (0, 0, HEAD + 0.014), colour=colour),
        Part("cylinder", (0.029, 0.018), (0, 0, top), colour=colour),
        Part("box", (0.012, 0.002, 0.004), at, (0, 45, 0), mark),
        Part("box", (0.012, 0.002, 0.004), at, (0, -45, 0), mark),
    ]


def sailor_cap(colour: str) -> list[Part]:
    """Return a flat cap with a black band."""
    return [
        Part("cylinder", (0.021, 0.004), (0, 0, HEAD + 0.025), colour="black"),
        Part("cylinder", (0.027, 0.006), (0, 0, HEAD + 0.035), colour=colour),
    ]


def bill(colour: str) -> list[Part]:
    """Return the bill of a duck."""
    return [Part("ellipsoid", (0.017, 0.018, 0.006), (0, -0.036, HEAD - 0.01), colour=colour)]


def snout(colour: str, nose: str = "black") -> list[Part]:
    """Return a snout with a nose."""
    return [
        Part("ellipsoid", (0.015, 0.015, 0.011), (0, -0.027, HEAD - 0.011), colour=colour),
        Part("sphere", (0.006,), (0, -0.042, HEAD - 0.007), colour=nose),
    ]


def face(colour: str) -> list[Part]:
    """Return a lighter face on a dark head, or in a mask."""
    return [Part("ellipsoid", (0.021, 0.013, 0.02), (0, -0.0165, HEAD - 0.005), colour=colour)]


def mask(colour: str) -> list[Part]:
    """Return a band over the eyes."""
    return [Part("ellipsoid", (0.0285, 0.0265, 0.0085), (0, -0.0015, HEAD + 0.001), colour=colour)]


def crown(colour: str) -> list[Part]:
    """Return a band around the forehead."""
    return [Part("cylinder", (0.0285, 0.004), (0, 0.001, HEAD + 0.014), colour=colour)]


def long_hair(colour: str) -> list[Part]:
    """Return hair that reaches below the shoulders, at the back and at the sides."""
    locks = both("capsule", (0.0085, 0.02), (0.028, 0.006, HEAD - 0.018), (0, -6, 0), colour)
    behind = Part("ellipsoid", (0.028, 0.013, 0.042), (0, 0.021, HEAD - 0.024), colour=colour)
    return [behind, *locks]


def spikes(colour: str) -> list[Part]:
    """Return hair that stands up."""
    return [
        Part("ellipsoid", (0.007, 0.007, 0.015), (x, y, HEAD + 0.027), (0, tilt, 0), colour)
        for x, y, tilt in ((-0.017, 0, -30), (0, -0.006, 0), (0.017, 0, 30), (0, 0.013, 0))
    ]


def braid(colour: str) -> list[Part]:
    """Return a thick braid down the back, with a yellow bow."""
    return [
        Part("capsule", (0.0105, 0.032), (0.018, 0.027, HEAD - 0.038), colour=colour),
        Part("sphere", (0.012,), (0.018, 0.03, HEAD - 0.074), colour="#f5d90a"),
    ]


def beard(colour: str) -> list[Part]:
    """Return a beard."""
    return [Part("ellipsoid", (0.021, 0.01, 0.013), (0, -0.0185, HEAD - 0.02), colour=colour)]


def fringe(colour: str) -> list[Part]:
    """Return hair over one eye."""
    at = (0.012, -0.021, HEAD + 0.006)
    return [Part("ellipsoid", (0.015, 0.0095, 0.018), at, (0, 20, 0), colour)]


def grin(colour: str) -> list[Part]:
    """Return a wide mouth."""
    return [Part("ellipsoid", (0.014, 0.005, 0.0045), (0, -0.0245, HEAD - 0.013), colour=colour)]


def collar(colour: str) -> list[Part]:
    """Return a high collar behind the head."""
    at = (0.024, 0.014, HEAD - 0.014)
    return both("box", (0.011, 0.003, 0.022), at, (0, 16, 25), colour)


def _in_hand(shape: str, size: tuple[float, ...], colour: str, height: float = 0.06) -> list[Part]:
    """Return a long, upright part in the hand on the viewer's right."""
    return [Part(shape, size, (0.043, -0.01, height), colour=colour)]


def hammer() -> list[Part]:
    """Return the hammer of a thunder god."""
    head = Part("box", (0.017, 0.01, 0.01), (0.045, -0.012, 0.03), colour="#8f969e")
    return [*_in_hand("cylinder", (0.004, 0.02), "#6b4423"), head]


def trident(colour: str) -> list[Part]:
    """Return a trident that is taller than the figure."""
    tines = [
        Part("capsule", (0.003, 0.013), (x, -0.01, 0.15), colour=colour)
        for x in (0.032, 0.043, 0.054)
    ]
    bar = Part("box", (0.013, 0.003, 0.003), (0.043, -0.01, 0.137), colour=colour)
    return [*_in_hand("cylinder", (0.003, 0.065), colour, 0.071), bar, *tines]


def archers_bow(colour: str) -> list[Part]:
    """Return an archer's bow that reaches above the shoulders."""
    return [
        Part(
            "capsule",
            (0.0035, 0.026),
            (-0.05, -0.01, 0.055 + way * 0.024),
            (0, way * 20, 0),
            colour,
        )
        for way in (-1, 1)
    ]


def swords() -> list[Part]:
    """Return three swords at the hip."""
    return [
        Part("capsule", (0.0035, 0.034), (0.03 + step * 0.006, 0.006, 0.044), (60, 20, 0), colour)
        for step, colour in enumerate(("#f4f4f4", "#8f1020", "#161616"))
    ]


def wings(colour: str, tips: str) -> list[Part]:
    """Return the wings of a jet pack, with coloured tips."""
    plain = both("box", (0.017, 0.003, 0.006), (0.036, 0.02, 0.09), (0, -12, 0), colour)
    return plain + both("box", (0.004, 0.0035, 0.007), (0.054, 0.02, 0.094), (0, -12, 0), tips)


def shoulders(colour: str) -> list[Part]:
    """Return shoulder pads."""
    return both("sphere", (0.0115,), (0.028, 0, 0.09), (0, 0, 0), colour)


def lightning(colour: str) -> list[Part]:
    """Return bolts beside the ears."""
    return both("ellipsoid", (0.003, 0.007, 0.014), (0.029, 0, HEAD + 0.01), (-25, 10, 0), colour)


def big_eyes(colour: str) -> list[Part]:
    """Return the eyes of a mask."""
    at = (0.0125, -0.0215, HEAD + 0.002)
    return both("ellipsoid", (0.0095, 0.008, 0.0115), at, (0, -25, 0), colour)


def lower_face(colour: str) -> list[Part]:
    """Return the part of the face below a cowl."""
    return [Part("ellipsoid", (0.018, 0.012, 0.0125), (0, -0.017, HEAD - 0.014), colour=colour)]


def helmet(colour: str) -> list[Part]:
    """Return a helmet with an open face."""
    return [Part("ellipsoid", (0.031, 0.027, 0.026), (0, 0.006, HEAD + 0.009), colour=colour)]


def chin(colour: str) -> list[Part]:
    """Return a broad chin with folds."""
    at = (0.006, -0.0225, HEAD - 0.016)
    return both("ellipsoid", (0.004, 0.005, 0.009), at, (0, 0, 0), colour)


def beard_small(colour: str) -> list[Part]:
    """Return a goatee."""
    return [Part("ellipsoid", (0.006, 0.005, 0.008), (0, -0.0245, HEAD - 0.017), colour=colour)]


def gem(colour: str) -> list[Part]:
    """Return a gem on the forehead."""
    return [Part("ellipsoid", (0.006, 0.004, 0.007), (0, -0.0235, HEAD + 0.0175), colour=colour)]


def discs(colour: str) -> list[Part]:
    """Return armour plates on the chest."""
    return [
        disc
        for height in (0.064, 0.084)
        for disc in both(
            "ellipsoid", (0.007, 0.003, 0.007), (0.012, -0.0175, height), (0, 0, 0), colour
        )
    ]
