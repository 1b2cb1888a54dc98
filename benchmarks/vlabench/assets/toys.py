"""Thirty-five characters, each by the colours and the things that it is known for."""

from benchmarks.vlabench.assets import clothes as wear
from benchmarks.vlabench.assets.animals import ANIMALS
from benchmarks.vlabench.assets.asset import Asset
from benchmarks.vlabench.assets.figures import HEAD, Figure, both, eye, toy
from benchmarks.vlabench.assets.parts import Part

LIGHT, TAN = "#ffd2ad", "#eeb285"
BLACK, WHITE, GREY = "#141414", "#fafafa", "#8d939b"
RED, BLUE, GOLD, YELLOW = "#d3121f", "#1c4fc4", "#f2b81a", "#ffd21a"
SLIME = "#5cc435"

DISNEY = {
    "mickey": Figure(
        BLACK,
        BLACK,
        BLACK,
        YELLOW,
        gloves=WHITE,
        wears=(wear.round_ears(BLACK), wear.face(LIGHT), wear.trousers(RED)),
    ),
    "minnie": Figure(
        BLACK,
        "#ff5fa2",
        BLACK,
        "#ff5fa2",
        sleeves=BLACK,
        gloves=WHITE,
        wears=(
            wear.round_ears(BLACK),
            wear.face(LIGHT),
            wear.bow("#ff5fa2"),
            wear.skirt("#ff5fa2"),
        ),
    ),
    "donald": Figure(
        WHITE,
        BLUE,
        WHITE,
        "#ff9a1f",
        gloves=WHITE,
        wears=(wear.bill("#ff9a1f"), wear.sailor_cap("#3f7be8"), wear.emblem(RED)),
    ),
    "daisy": Figure(
        WHITE,
        "#a04fd0",
        "#ff9a1f",
        "#e85fb0",
        gloves=WHITE,
        wears=(wear.bill("#ff9a1f"), wear.bow("#ff4fb0"), wear.skirt("#c79bea")),
    ),
    "woody": Figure(
        LIGHT,
        "#f2c52c",
        "#2f5fae",
        "#7a4a1f",
        hair="#6b3f1a",
        wears=(
            wear.wide_hat("#7a4a1f"),
            both("ellipsoid", (0.01, 0.02, 0.026), (0.016, 0, 0.073), (0, 0, 0), WHITE),
            wear.belt("#7a4a1f"),
        ),
    ),
    "jessie": Figure(
        LIGHT,
        WHITE,
        "#2f5fae",
        "#7a4a1f",
        hair="#b5361a",
        wears=(wear.wide_hat("#d3121f", WHITE), wear.braid("#b5361a"), wear.belt(GOLD)),
    ),
    "buzz_lightyear": Figure(
        LIGHT,
        WHITE,
        WHITE,
        "#6fc43a",
        gloves=WHITE,
        hair="#6f3fa8",
        wide=1.2,
        wears=(
            wear.wings(WHITE, RED),
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
            [Part("box", (0.017, 0.004, 0.003), (0, -0.051, HEAD - 0.012), colour=WHITE)],
            [Part("capsule", (0.011, 0.026), (0, 0.042, 0.035), (60, 0, 0), "#3fa34a")],
        ),
    ),
    "alien": Figure(
        SLIME,
        "#3a6fd8",
        "#3a6fd8",
        "#22408a",
        gloves=SLIME,
        wears=(
            list(eye(0, WHITE, HEAD + 0.012)),
            wear.belt("#8f5fc0"),
            both("ellipsoid", (0.016, 0.005, 0.008), (0.036, 0, HEAD), (0, -20, 0), SLIME),
            [Part("cylinder", (0.0025, 0.01), (0, 0, HEAD + 0.036), colour=SLIME)],
            [Part("sphere", (0.008,), (0, 0, HEAD + 0.048), colour=SLIME)],
        ),
    ),
}

ONE_PIECE = {
    "luffy": Figure(
        LIGHT,
        RED,
        "#3b6fc4",
        "#c98f4a",
        sleeves=LIGHT,
        hair=BLACK,
        wears=(wear.wide_hat("#f0d264", RED, 0.048), wear.front(LIGHT), wear.belt(YELLOW)),
    ),
    "zoro": Figure(
        TAN,
        WHITE,
        "#1c1f24",
        BLACK,
        hair="#2fa84f",
        wears=(wear.spikes("#2fa84f"), wear.belt("#2f7a3f"), wear.swords()),
    ),
    "nami": Figure(
        LIGHT,
        "#3fb6e8",
        LIGHT,
        "#d9762a",
        sleeves=LIGHT,
        hair="#ff8a1f",
        wears=(wear.long_hair("#ff8a1f"), wear.skirt("#f5a12a")),
    ),
    "sanji": Figure(
        LIGHT,
        "#16181d",
        "#16181d",
        BLACK,
        hair="#ffe04a",
        wears=(wear.fringe("#ffe04a"), wear.front("#3f74d0")),
    ),
    "chopper": Figure(
        "#9a6234",
        "#9a6234",
        "#b5301f",
        "#5a3a1a",
        wears=(
            wear.tall_hat("#f25a8a", WHITE),
            wear.antlers("#7a4a22"),
            wear.snout("#d9a066", "#2a58d0"),
        ),
    ),
    "robin": Figure(
        TAN,
        "#6a2fa0",
        "#6a2fa0",
        "#3f1a66",
        sleeves=TAN,
        hair="#12121a",
        wears=(wear.long_hair("#12121a"), wear.wide_hat("#c9b8e0", "#6a2fa0", 0.04)),
    ),
    "ace": Figure(
        TAN,
        TAN,
        "#20222a",
        BLACK,
        hair="#20140c",
        wears=(wear.wide_hat("#f27a1a", "#2f5fd0"), wear.belt("#e04a1a"), wear.emblem(RED, 0.006)),
    ),
    "reiju": Figure(
        LIGHT,
        "#f7a6d0",
        "#2f2438",
        WHITE,
        hair="#ff5fb0",
        wears=(wear.fringe("#ff5fb0"), wear.cape("#b03fd8"), wear.skirt("#fbd0e6")),
    ),
}

MARVEL = {
    "ironman": Figure(
        "#b01018",
        "#b01018",
        GOLD,
        "#b01018",
        sleeves=GOLD,
        eyes="#9ff4ff",
        wears=(wear.face(GOLD), wear.emblem("#8ff4ff"), wear.shoulders("#b01018")),
    ),
    "spiderman": Figure(
        "#d8141f",
        "#d8141f",
        "#1f3fc0",
        "#d8141f",
        sleeves="#1f3fc0",
        wears=(
            wear.big_eyes(WHITE),
            wear.emblem(BLACK, 0.007),
            both("ellipsoid", (0.007, 0.0195, 0.022), (0.019, 0, 0.066), (0, 0, 0), "#1f3fc0"),
        ),
    ),
    "thanos": Figure(
        "#8a5fc0",
        "#1f3f7a",
        "#1f3f7a",
        GOLD,
        gloves=GOLD,
        wide=1.35,
        wears=(wear.shoulders(GOLD), wear.belt(GOLD), wear.helmet(GOLD), wear.chin("#6f45a8")),
    ),
    "hawkeye": Figure(
        LIGHT,
        "#4a2a78",
        "#24202c",
        BLACK,
        sleeves=LIGHT,
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
        LIGHT,
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
        GOLD,
        wears=(wear.cape("#f5d43a"), wear.gem(YELLOW), wear.emblem(GOLD), wear.belt(GOLD)),
    ),
    "thor": Figure(
        LIGHT,
        "#3a4250",
        "#22262e",
        GOLD,
        sleeves="#aeb6c0",
        hair="#f0c850",
        wide=1.2,
        wears=(
            wear.long_hair("#f0c850"),
            wear.cape(RED),
            wear.hammer(),
            wear.beard("#d9a838"),
            wear.discs("#d5dbe2"),
        ),
    ),
    "loki": Figure(
        LIGHT,
        "#1f5a35",
        "#14301f",
        BLACK,
        sleeves="#14301f",
        hair="#141414",
        wears=(
            wear.crown(GOLD),
            wear.horns(GOLD, 0.026),
            wear.cape("#2f8a4f"),
            wear.belt(GOLD),
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

DC = {
    "flashman": Figure(
        "#e01a14",
        "#e01a14",
        "#e01a14",
        YELLOW,
        wears=(
            wear.lower_face(LIGHT),
            wear.lightning(YELLOW),
            wear.emblem(YELLOW, 0.011),
            wear.belt(YELLOW),
        ),
    ),
    "wonder_woman": Figure(
        TAN,
        "#c0141f",
        TAN,
        "#c0141f",
        sleeves=TAN,
        hair="#1a1210",
        wears=(
            wear.long_hair("#1a1210"),
            wear.crown(GOLD),
            wear.belt(GOLD),
            wear.skirt("#1f3f9f"),
            wear.emblem(GOLD),
        ),
    ),
    "superman": Figure(
        LIGHT,
        "#1f5fe0",
        "#1f5fe0",
        RED,
        hair=BLACK,
        wears=(
            wear.cape(RED),
            wear.emblem(YELLOW, 0.012),
            wear.trousers(RED),
            wear.belt(YELLOW),
        ),
    ),
    "batman": Figure(
        "#1c1e24",
        "#5a5f68",
        "#5a5f68",
        "#1c1e24",
        gloves="#1c1e24",
        wears=(
            wear.lower_face(LIGHT),
            wear.pointed_ears("#1c1e24"),
            wear.cape("#1c1e24"),
            wear.emblem(BLACK, 0.011),
            wear.belt(YELLOW),
        ),
    ),
    "joker": Figure(
        "#f7f4ee",
        "#7a2a9f",
        "#7a2a9f",
        BLACK,
        hair="#35c43a",
        wears=(wear.spikes("#35c43a"), wear.grin(RED), wear.front("#f28a1a")),
    ),
    "aquaman": Figure(
        TAN,
        "#f28a1a",
        "#1f7a4a",
        "#14603a",
        gloves="#1f7a4a",
        hair="#e8c45a",
        wears=(wear.trident(GOLD), wear.beard("#d9b04a"), wear.belt(GOLD)),
    ),
}

FIGURES = {**DISNEY, **ONE_PIECE, **MARVEL, **DC}
NAMES = (*FIGURES, *ANIMALS)


def character(name: str) -> Asset:
    """Return the toy of a character."""
    return ANIMALS[name](name) if name in ANIMALS else toy(name, FIGURES[name].parts())
