"""The error for wrong input, which the command line tells from a bug of airmass."""


class InputError(ValueError):
    """Input from outside (a store, a checkpoint, an argument) that airmass refuses.

    The message names the file, the variable, what was found and what was expected, on one line: line breaks and other
    control characters in it are escaped. The command line prints it without a traceback and exits with 2.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: object) -> str:
    """`text` on one line, with control characters escaped, safe to print in a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
