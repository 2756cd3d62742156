"""The one error that means "what you gave me is wrong", so that the command line can tell it from a fault of ours."""


class InputError(ValueError):
    """Input from outside (a store, a checkpoint, an argument) that airmass refuses.

    The message names the file, the variable, what was found and what was expected, on one line: line breaks and other
    control characters in it are escaped. The command line prints it without a traceback and exits with 2.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: object) -> str:
    """A text from outside as a terminal can show it: on one line, with control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
