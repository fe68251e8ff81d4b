"""What is said of a program that isn't read."""

from __future__ import annotations

from deepwright.core.errors import InputError

_HINT = "export it again with torch.export.save, or build the network in Python and give package.module:factory"


class RefusedProgram(InputError):
    """A program that holds something which isn't known to be harmless; nothing of it was run.

    Args:
        found: what was found.
        expected: what may stand there.
        place: where, as far as it is known.
    """

    def __init__(self, found: str, expected: str, place: tuple[str, ...] = ()) -> None:
        given = ": ".join([" ".join(place), found]) if place else found
        super().__init__("program refused", given=given, expected=expected, hint=_HINT)
        self.found, self.place = found, place

    def within(self, *place: str) -> RefusedProgram:
        """The same, told where it was found.

        Args:
            *place: the file, or the field.
        """
        return RefusedProgram(self.found, str(self.expected), (*place, *self.place))


def short(value: object) -> str:
    """A value of a stranger's file as an error shows it.

    Args:
        value: anything.
    """
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
