"""What a program of this folder prints: `ok NAME what` or `FAIL NAME why`, one line a step.

A step that fails is told and the next one runs. What a step returns is printed as well, so that two
servers are compared by what the client saw, not by whether it was content.
"""

import sys

PREFIX = "clients/python/"


class Told:
    """The steps so far."""

    def __init__(self):
        self.failed = 0

    def step(self, name, work):
        """Runs a step; `work` returns what there is to compare."""
        try:
            seen = work()
            print(f"ok {name} {'' if seen is None else seen}".rstrip(), flush=True)
        except Exception as error:  # every failure is a line of the comparison
            self.failed += 1
            print(f"FAIL {name} {type(error).__name__}: {error}".replace("\n", " "), flush=True)

    def end(self):
        """Ends the program."""
        sys.exit(1 if self.failed else 0)


def refused(work):
    """The class and the text of the error that `work` must end with."""
    try:
        answer = work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"not refused: {answer}")


def equal(seen, wanted):
    """Fails unless both are equal."""
    assert seen == wanted, f"{seen!r}, not {wanted!r}"
    return seen
