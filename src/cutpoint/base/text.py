"""Text that came with data or weights, made safe to print."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Return `text` as one line that no terminal can misread.

    Control characters, line breaks and tabs among them, marks that turn the direction of writing,
    and broken Unicode come out as escapes: a file's name can't forge a line.

    Examples
    --------
    >>> print(printable("a.png  cat 0.99\nb.png"))
    a.png  cat 0.99\nb.png
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    return shown.encode("utf-8", "backslashreplace").decode()


def shortened(text: str, letters: int) -> str:
    """Return a text of so many letters at most, its middle left out if need be.

    Examples
    --------
    >>> shortened("encoder.layer.11.output", 11)
    'enco…output'
    """
    if len(text) <= letters:
        return text
    half = (letters + 1) // 2
    return f"{text[: letters - half - 1]}…{text[-half:]}"
