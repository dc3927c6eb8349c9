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


def shown(value: object, letters: int = 80) -> str:
    """Return a value as Python spells it, in so many letters at most; of an array its shape.

    Examples
    --------
    >>> shown([1, 2]), shown("m" * 100, 9)
    ('[1, 2]', "'mmm…mmm'")
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{a_kind(value)} of shape {shape}"
    if isinstance(value, list | tuple) and any(getattr(each, "shape", None) for each in value):
        inner = ", ".join(shown(each, letters) for each in value[:2])
        return f"{a_kind(value)} of {len(value)}: {inner}" + ", …" * (len(value) > 2)
    return shortened(repr(value), letters)


def a_kind(value: object) -> str:
    """Return the type of a value with its article.

    Examples
    --------
    >>> a_kind(1), a_kind("x")
    ('an int', 'a str')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def counted(n: int, noun: str, more: str = "") -> str:
    """Return a number with its noun, in the plural unless it is 1.

    Examples
    --------
    >>> counted(1, "item"), counted(2, "class", "classes")
    ('1 item', '2 classes')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {more or noun + 's'}"
