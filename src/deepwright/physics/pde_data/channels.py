"""Names of variables, so that data sets and models know the same thing by the same number."""

from __future__ import annotations

from dataclasses import dataclass

from deepwright.core.errors import InputError, unknown_name

DEFAULT_CHANNELS = ("u", "density", "pressure", "Vx", "Vy", "Vz", "height", "v", "vorticity")


@dataclass(frozen=True)
class ChannelRegistry:
    """Names of all variables that a model knows; a data set uses some of them.

    Attributes:
        names: different ones.

    Raises:
        InputError: no names, or one of them twice.
    """

    names: tuple[str, ...] = DEFAULT_CHANNELS

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise InputError("channels", given=self.names, expected="different names, at least one")

    def __len__(self) -> int:
        return len(self.names)

    def indices(self, channels: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of some channels.

        Args:
            channels: their names.

        Raises:
            InputError: a name that isn't there (the closest and all are told).
        """
        for c in channels:
            if c not in self.names:
                raise unknown_name("channel", c, self.names)
        return tuple(self.names.index(c) for c in channels)
