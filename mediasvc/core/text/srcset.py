"""The URLs of a srcset, split as the HTML standard splits it: never at a comma inside a URL."""

from collections.abc import Iterator

_BLANKS = " \t\n\r\f"


def candidates(value: str) -> Iterator[tuple[int, int]]:
    """The span of each candidate's URL in a decoded srcset value.

    Descriptors are skipped, whatever they say: a candidate that a browser drops is still an image of the
    article. Source: WHATWG HTML, "parse a srcset attribute".
    """
    position, length = 0, len(value)
    while True:
        while position < length and (value[position] in _BLANKS or value[position] == ","):
            position += 1
        if position == length:
            return
        start = position
        while position < length and value[position] not in _BLANKS:
            position += 1
        end = position
        while value[end - 1] == ",":
            end -= 1
        yield start, end
        if end == position:
            position = _after_descriptors(value, position)


def _after_descriptors(value: str, position: int) -> int:
    in_parentheses = False
    while position < len(value):
        char = value[position]
        position += 1
        if in_parentheses:
            in_parentheses = char != ")"
        elif char == "(":
            in_parentheses = True
        elif char == ",":
            break
    return position
