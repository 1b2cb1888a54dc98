"""Numbers as a paper prints them: what a text with so many decimals can stand for.

Everything is exact. A recomputed mean often lies on the edge between two printed values (66.45
becomes 66.5 or 66.4), where floating point would decide by accident.
"""

from fractions import Fraction
from functools import cache


def decimals(text: str) -> int:
    """Return how many decimals a number is printed with."""
    return len(text.partition(".")[2])


def rounds_to(value: Fraction, text: str) -> bool:
    """Return whether a value may be printed so, by rounding half away from zero or half to even."""
    scaled = value * 10 ** decimals(text)
    return _digits(text) in _roundings(scaled.numerator, scaled.denominator)


def same(one: str, other: str) -> bool:
    """Return whether two texts can be one number, the one perhaps rounded further."""
    short, long = sorted((one, other), key=decimals)
    return rounds_to(Fraction(long), short)


@cache
def successes(text: str, n: int) -> int | None:
    """Return how many of n episodes a printed percentage is, or None if no count gives it."""
    scale: int = 10 ** decimals(text)
    below = _digits(text) * n // (100 * scale)
    for count in (below, below + 1):
        if count <= n and _digits(text) in _roundings(100 * count * scale, n):
            return count
    return None


@cache
def denominators(text: str, most: int) -> frozenset[int]:
    """Return every number of episodes up to `most` that can give a printed percentage."""
    return frozenset(n for n in range(1, most + 1) if successes(text, n) is not None)


def show(value: Fraction, text: str, sign: str = "") -> str:
    """Return a recomputed value with up to two decimals more than the text it is compared with."""
    return f"{float(round(value, decimals(text) + 2)):{sign}.10g}"


def _digits(text: str) -> int:
    """Return a printed number in units of its last decimal."""
    return int(text.replace(".", ""))


def _roundings(numerator: int, denominator: int) -> tuple[int, ...]:
    """Return what a quotient rounds to: one integer, or two if it lies in the middle."""
    sign = -1 if numerator < 0 else 1
    away, rest = divmod(2 * abs(numerator) + denominator, 2 * denominator)
    middle = rest == 0 and away % 2 == 1
    return (sign * away, sign * (away - 1)) if middle else (sign * away,)
