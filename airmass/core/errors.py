"""The one error that means "what you gave me is wrong", so that the command line can tell it from a fault of ours."""


class InputError(ValueError):
    """Input from outside (a store, a checkpoint, an argument) that airmass refuses.

    The message names the file, the variable, what was found and what was expected, on one line. The command line
    prints it without a traceback and exits with 2.
    """
