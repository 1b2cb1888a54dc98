"""Exact rounding: which counts and means a printed number is consistent with.

All arithmetic uses fractions. A recomputed mean often lies halfway between two printed values:
66.45 may be printed as 66.5 or 66.4. Floating point would decide such a case by accident.
"""

from fractions import Fraction
from functools import cache


def decimals(text: str) -> int:
    """Return the number of decimals of a printed number."""
    return len(text.partition(".")[2])


def rounds_to(value: Fraction, text: str) -> bool:
    """Return whether a value rounds to a printed number, half away from zero or half to even."""
    scaled = value * 10 ** decimals(text)
    return _digits(text) in _roundings(scaled.numerator, scaled.denominator)


def same_number(one: str, other: str) -> bool:
    """Return whether two printed numbers agree, if one may be rounded further than the other."""
    short, long = sorted((one, other), key=decimals)
    return rounds_to(Fraction(long), short)


@cache
def successes(text: str, n: int) -> int | None:
    """Return how many of n episodes give a printed percentage, or None if no count does."""
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


def format_recomputed(value: Fraction, text: str, sign: str = "") -> str:
    """Format a recomputed value with up to two decimals more than the printed number."""
    return f"{float(round(value, decimals(text) + 2)):{sign}.10g}"


def _digits(text: str) -> int:
    """Return a printed number in units of its last decimal."""
    return int(text.replace(".", ""))


def _roundings(numerator: int, denominator: int) -> tuple[int, ...]:
    """Return the integers that a quotient rounds to: two if it lies halfway, else one."""
    sign = -1 if numerator < 0 else 1
    away, rest = divmod(2 * abs(numerator) + denominator, 2 * denominator)
    middle = rest == 0 and away % 2 == 1
    return (sign * away, sign * (away - 1)) if middle else (sign * away,)
