"""Thirty-five characters, recognizable by their colours, clothes and tools."""

from benchmarks.vlabench.assets import clothes as wear
from benchmarks.vlabench.assets.animals import ANIMALS
from benchmarks.vlabench.assets.asset import Asset
from benchmarks.vlabench.assets.figures import HEAD, Figure, both, eye, toy
from benchmarks.vlabench.assets.parts import Part

_LIGHT, _TAN = "#ffd2ad", "#eeb285"
_BLACK, _WHITE = "#141414", "#fafafa"
_RED, _BLUE, _GOLD, _YELLOW = "#d3121f", "#1c4fc4", "#f2b81a", "#ffd21a"
_SLIME = "#5cc435"

_DISNEY = {
    "mickey": Figure(
        _BLACK,
        _BLACK,
        _BLACK,
        _YELLOW,
        gloves=_WHITE,
        wears=(wear.round_ears(_BLACK), wear.face(_LIGHT), wear.trousers(_RED)),
    ),
    "minnie": Figure(
        _BLACK,
        "#ff5fa2",
        _BLACK,
        "#ff5fa2",
        sleeves=_BLACK,
        gloves=_WHITE,
        wears=(
            wear.round_ears(_BLACK),
            wear.face(_LIGHT),
            wear.bow("#ff5fa2"),
            wear.skirt("#ff5fa2"),
        ),
    ),
    "donald": Figure(
        _WHITE,
        _BLUE,
        _WHITE,
        "#ff9a1f",
        gloves=_WHITE,
        wears=(wear.bill("#ff9a1f"), wear.sailor_cap("#3f7be8"), wear.emblem(_RED)),
    ),
    "daisy": Figure(
        _WHITE,
        "#a04fd0",
        "#ff9a1f",
        "#e85fb0",
        gloves=_WHITE,
        wears=(wear.bill("#ff9a1f"), wear.bow("#ff4fb0"), wear.skirt("#c79bea")),
    ),
    "woody": Figure(
        _LIGHT,
        "#f2c52c",
        "#2f5fae",
        "#7a4a1f",
        hair="#6b3f1a",
        wears=(
            wear.wide_hat("#7a4a1f"),
            both("ellipsoid", (0.01, 0.02, 0.026), (0.016, 0, 0.073), (0, 0, 0), _WHITE),
            wear.belt("#7a4a1f"),
        ),
    ),
    "jessie": Figure(
        _LIGHT,
        _WHITE,
        "#2f5fae",
        "#7a4a1f",
        hair="#b5361a",
        wears=(wear.wide_hat("#d3121f", _WHITE), wear.braid("#b5361a"), wear.belt(_GOLD)),
    ),
    "buzz_lightyear": Figure(
        _LIGHT,
        _WHITE,
        _WHITE,
        "#6fc43a",
        gloves=_WHITE,
        hair="#6f3fa8",
        wide=1.2,
        wears=(
            wear.wings(_WHITE, _RED),
            wear.emblem("#35b84a", 0.012),
            wear.belt("#6fc43a"),
            wear.shoulders("#6fc43a"),
        ),
    ),
    "rex": Figure(
        "#3fa34a",
        "#3fa34a",
        "#3fa34a",
        "#2c7a36",
        wears=(
            wear.front("#cfe08a"),
            [Part("ellipsoid", (0.021, 0.024, 0.014), (0, -0.03, HEAD - 0.01), colour="#3fa34a")],
            [Part("box", (0.017, 0.004, 0.003), (0, -0.051, HEAD - 0.012), colour=_WHITE)],
            [Part("capsule", (0.011, 0.026), (0, 0.042, 0.035), (60, 0, 0), "#3fa34a")],
        ),
    ),
    "alien": Figure(
        _SLIME,
        "#3a6fd8",
        "#3a6fd8",
        "#22408a",
        gloves=_SLIME,
        wears=(
            list(eye(0, _WHITE, HEAD + 0.012)),
            wear.belt("#8f5fc0"),
            both("ellipsoid", (0.016, 0.005, 0.008), (0.036, 0, HEAD), (0, -20, 0), _SLIME),
            [Part("cylinder", (0.0025, 0.01), (0, 0, HEAD + 0.036), colour=_SLIME)],
            [Part("sphere", (0.008,), (0, 0, HEAD + 0.048), colour=_SLIME)],
        ),
    ),
}

_ONE_PIECE = {
    "luffy": Figure(
        _LIGHT,
        _RED,
        "#3b6fc4",
        "#c98f4a",
        sleeves=_LIGHT,
        hair=_BLACK,
        wears=(wear.wide_hat("#f0d264", _RED, 0.048), wear.front(_LIGHT), wear.belt(_YELLOW)),
    ),
    "zoro": Figure(
        _TAN,
        _WHITE,
        "#1c1f24",
        _BLACK,
        hair="#2fa84f",
        wears=(wear.spikes("#2fa84f"), wear.belt("#2f7a3f"), wear.swords()),
    ),
    "nami": Figure(
        _LIGHT,
        "#3fb6e8",
        _LIGHT,
        "#d9762a",
        sleeves=_LIGHT,
        hair="#ff8a1f",
        wears=(wear.long_hair("#ff8a1f"), wear.skirt("#f5a12a")),
    ),
    "sanji": Figure(
        _LIGHT,
        "#16181d",
        "#16181d",
        _BLACK,
        hair="#ffe04a",
        wears=(wear.fringe("#ffe04a"), wear.front("#3f74d0")),
    ),
    "chopper": Figure(
        "#9a6234",
        "#9a6234",
        "#b5301f",
        "#5a3a1a",
        wears=(
            wear.tall_hat("#f25a8a", _WHITE),
            wear.antlers("#7a4a22"),
            wear.snout("#d9a066", "#2a58d0"),
        ),
    ),
    "robin": Figure(
        _TAN,
        "#6a2fa0",
        "#6a2fa0",
        "#3f1a66",
        sleeves=_TAN,
        hair="#12121a",
        wears=(wear.long_hair("#12121a"), wear.wide_hat("#c9b8e0", "#6a2fa0", 0.04)),
    ),
    "ace": Figure(
        _TAN,
        _TAN,
        "#20222a",
        _BLACK,
        hair="#20140c",
        wears=(wear.wide_hat("#f27a1a", "#2f5fd0"), wear.belt("#e04a1a"), wear.emblem(_RED, 0.006)),
    ),
    "reiju": Figure(
        _LIGHT,
        "#f7a6d0",
        "#2f2438",
        _WHITE,
        hair="#ff5fb0",
        wears=(wear.fringe("#ff5fb0"), wear.cape("#b03fd8"), wear.skirt("#fbd0e6")),
    ),
}

_MARVEL = {
    "ironman": Figure(
        "#b01018",
        "#b01018",
        _GOLD,
        "#b01018",
        sleeves=_GOLD,
        eyes="#9ff4ff",
        wears=(wear.face(_GOLD), wear.emblem("#8ff4ff"), wear.shoulders("#b01018")),
    ),
    "spiderman": Figure(
        "#d8141f",
        "#d8141f",
        "#1f3fc0",
        "#d8141f",
        sleeves="#1f3fc0",
        wears=(
            wear.big_eyes(_WHITE),
            wear.emblem(_BLACK, 0.007),
            both("ellipsoid", (0.007, 0.0195, 0.022), (0.019, 0, 0.066), (0, 0, 0), "#1f3fc0"),
        ),
    ),
    "thanos": Figure(
        "#8a5fc0",
        "#1f3f7a",
        "#1f3f7a",
        _GOLD,
        gloves=_GOLD,
        wide=1.35,
        wears=(wear.shoulders(_GOLD), wear.belt(_GOLD), wear.helmet(_GOLD), wear.chin("#6f45a8")),
    ),
    "hawkeye": Figure(
        _LIGHT,
        "#4a2a78",
        "#24202c",
        _BLACK,
        sleeves=_LIGHT,
        hair="#b98a4a",
        wears=(wear.archers_bow("#9b6fe0"), wear.mask("#5f35a0"), wear.front("#24202c")),
    ),
    "antman": Figure(
        "#b8bec6",
        "#a3121a",
        "#2a2c31",
        "#a3121a",
        sleeves="#2a2c31",
        eyes="#ff2a2a",
        wears=(wear.emblem("#2a2c31", 0.012), wear.horns("#b8bec6", 0.01), wear.belt("#b8bec6")),
    ),
    "doctor_strange": Figure(
        _LIGHT,
        "#1f4f9a",
        "#1a3560",
        "#3a2a1a",
        hair="#1c1614",
        wears=(
            wear.cape("#c01722"),
            wear.collar("#c01722"),
            wear.emblem("#3fe08a", 0.008),
            wear.belt("#7a4a22"),
            wear.beard_small("#1c1614"),
        ),
    ),
    "vision": Figure(
        "#b5183a",
        "#1f8a4a",
        "#1f8a4a",
        _GOLD,
        wears=(wear.cape("#f5d43a"), wear.gem(_YELLOW), wear.emblem(_GOLD), wear.belt(_GOLD)),
    ),
    "thor": Figure(
        _LIGHT,
        "#3a4250",
        "#22262e",
        _GOLD,
        sleeves="#aeb6c0",
        hair="#f0c850",
        wide=1.2,
        wears=(
            wear.long_hair("#f0c850"),
            wear.cape(_RED),
            wear.hammer(),
            wear.beard("#d9a838"),
            wear.discs("#d5dbe2"),
        ),
    ),
    "loki": Figure(
        _LIGHT,
        "#1f5a35",
        "#14301f",
        _BLACK,
        sleeves="#14301f",
        hair="#141414",
        wears=(
            wear.crown(_GOLD),
            wear.horns(_GOLD, 0.026),
            wear.cape("#2f8a4f"),
            wear.belt(_GOLD),
        ),
    ),
    "hulk": Figure(
        "#5cae3a",
        "#5cae3a",
        "#5cae3a",
        "#4a9a2c",
        hair="#1c2a14",
        wide=1.45,
        wears=(wear.trousers("#5a2f8f"), wear.shoulders("#5cae3a")),
    ),
}

_DC = {
    "flashman": Figure(
        "#e01a14",
        "#e01a14",
        "#e01a14",
        _YELLOW,
        wears=(
            wear.lower_face(_LIGHT),
            wear.lightning(_YELLOW),
            wear.emblem(_YELLOW, 0.011),
            wear.belt(_YELLOW),
        ),
    ),
    "wonder_woman": Figure(
        _TAN,
        "#c0141f",
        _TAN,
        "#c0141f",
        sleeves=_TAN,
        hair="#1a1210",
        wears=(
            wear.long_hair("#1a1210"),
            wear.crown(_GOLD),
            wear.belt(_GOLD),
            wear.skirt("#1f3f9f"),
            wear.emblem(_GOLD),
        ),
    ),
    "superman": Figure(
        _LIGHT,
        "#1f5fe0",
        "#1f5fe0",
        _RED,
        hair=_BLACK,
        wears=(
            wear.cape(_RED),
            wear.emblem(_YELLOW, 0.012),
            wear.trousers(_RED),
            wear.belt(_YELLOW),
        ),
    ),
    "batman": Figure(
        "#1c1e24",
        "#5a5f68",
        "#5a5f68",
        "#1c1e24",
        gloves="#1c1e24",
        wears=(
            wear.lower_face(_LIGHT),
            wear.pointed_ears("#1c1e24"),
            wear.cape("#1c1e24"),
            wear.emblem(_BLACK, 0.011),
            wear.belt(_YELLOW),
        ),
    ),
    "joker": Figure(
        "#f7f4ee",
        "#7a2a9f",
        "#7a2a9f",
        _BLACK,
        hair="#35c43a",
        wears=(wear.spikes("#35c43a"), wear.grin(_RED), wear.front("#f28a1a")),
    ),
    "aquaman": Figure(
        _TAN,
        "#f28a1a",
        "#1f7a4a",
        "#14603a",
        gloves="#1f7a4a",
        hair="#e8c45a",
        wears=(wear.trident(_GOLD), wear.beard("#d9b04a"), wear.belt(_GOLD)),
    ),
}

_FIGURES = {**_DISNEY, **_ONE_PIECE, **_MARVEL, **_DC}
NAMES = (*_FIGURES, *ANIMALS)


def character(name: str) -> Asset:
    """Return the toy of a character."""
    return ANIMALS[name](name) if name in ANIMALS else toy(name, _FIGURES[name].parts())
