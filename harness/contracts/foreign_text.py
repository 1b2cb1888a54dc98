"""Shows text that somebody else wrote: bounded, and without control characters."""

LONGEST_ERROR = 2000
"""Characters of an error in one line, at most."""


def printable(text: str) -> str:
    """Return a text with its control characters escaped, except line ends.

    An error may quote what a stranger sent, and no stranger may write to a terminal.
    """
    return "".join(
        letter
        if letter == "\n" or letter.isprintable()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def error_line(text: str, longest: int = LONGEST_ERROR) -> str:
    """Return an error's text as one line of printable letters, at most `longest` of them."""
    start = " ".join(text[: 2 * longest].split())
    line = printable(start)
    if len(line) <= longest and len(text) <= 2 * longest:
        return line
    return line[: longest - 4] + " ..."


def outline(value: object) -> str:
    """Say what a value is, without its content if that may be long."""
    match value:
        case None | bool() | float():
            return str(value)
        case int():
            return str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
        case str() | bytes():
            kind = "a text" if isinstance(value, str) else "bytes"
            return f"{kind} of length {len(value)}"
        case list() | tuple() | dict():
            kind = "a map" if isinstance(value, dict) else "a list"
            return f"{kind} of length {len(value)}"
    return type(value).__name__
