"""An alarm on a stream of frames: evidence is summed, and one odd frame isn't enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_positive


class SequentialAlarm:
    """S_t = max(0, S_(t-1) + log(1 / p_t) - drift), an alarm from `threshold` on: the evidence of p-values, summed.

    On clean frames log(1 / p) has a mean of about 1, so the sum must drift down by more: a drift of 1 or less is
    refused. One frame adds at most log(n + 1) - drift, n clean frames having been calibrated on. Frames of one film
    resemble each other, so false alarms come in other numbers than frames drawn at random would give: find the
    threshold on whole clean films (`fit_threshold`), and promise no longer than they lasted.

    Args:
        threshold: b, above 0.
        drift: nu, above 1.

    Attributes:
        state: S, of this moment.
    """

    def __init__(self, threshold: float = 6.0, drift: float = 1.5) -> None:
        require_positive(threshold=threshold, drift=drift)
        if drift <= 1:
            raise InputError("drift", given=drift, expected="above 1, the mean evidence of clean frames", hint="1.5")
        self.threshold, self.drift = float(threshold), float(drift)
        self.state = 0.0

    @property
    def alarm(self) -> bool:
        """Whether it alarms now."""
        return self.state >= self.threshold

    def update(self, p: Any) -> float:
        """Take the next frame, or several in their order.

        Args:
            p: its p-value, in (0, 1].

        Returns:
            the state after it.
        """
        for value in _pvalues(p):
            self.state = max(0.0, self.state - math.log(value) - self.drift)
        return self.state

    def reset(self) -> Self:
        """Forget what was seen."""
        self.state = 0.0
        return self

    def states(self, p: Any) -> Float[Tensor, " n"]:
        """The states over a sequence from its beginning, whatever was seen before; this one's state stays.

        Args:
            p: its p-values.
        """
        total, found = 0.0, []
        for value in _pvalues(p):
            total = max(0.0, total - math.log(value) - self.drift)
            found.append(total)
        return torch.tensor(found, dtype=torch.float64)

    def false_alarms(self, p: Any) -> int:
        """How often it alarms on clean frames, beginning anew after each alarm.

        Args:
            p: their p-values.
        """
        total, count = 0.0, 0
        for value in _pvalues(p):
            total = max(0.0, total - math.log(value) - self.drift)
            if total >= self.threshold:
                total, count = 0.0, count + 1
        return count

    def delay(self, p: Any, begin: int) -> int | None:
        """Frames from the first attacked one to the alarm; 0 where that one alarms, None where none does.

        Args:
            p: p-values of a sequence.
            begin: index of the first attacked frame.
        """
        states = self.states(p)
        if not 0 <= begin < len(states):
            raise InputError("begin", given=begin, expected=f"a frame of 0..{len(states) - 1}")
        late = (states[begin:] >= self.threshold).nonzero()
        return int(late[0]) if len(late) else None

    def fit_threshold(self, clean_sequences: Sequence[Any], frames_between_alarms: float) -> Self:
        """The least threshold with at most one alarm in so many frames of whole clean sequences.

        Args:
            clean_sequences: p-values of each.
            frames_between_alarms: at least so many in the mean; no more than there are.

        Raises:
            InputError: fewer clean frames than that: nothing could be promised.
        """
        require_positive(frames_between_alarms=frames_between_alarms)
        sequences = [_pvalues(p) for p in clean_sequences]
        frames = sum(map(len, sequences))
        if frames < frames_between_alarms:
            given = f"{frames} clean frames for one alarm in {frames_between_alarms:g}"
            raise InputError("clean_sequences", given=given, expected="at least as many frames")
        allowed = math.floor(frames / frames_between_alarms)
        peaks = sorted({float(s) for p in sequences for s in self.states(p)}, reverse=True)
        best = SequentialAlarm(max(peaks[0], 1e-9) * (1 + 1e-9), self.drift)
        for peak in peaks:  # thresholds just above a state that occurs: alarms only become more
            tried = SequentialAlarm(peak * (1 + 1e-9) + 1e-12, self.drift)
            if sum(tried.false_alarms(p) for p in sequences) > allowed:
                break
            best = tried
        self.threshold = best.threshold
        return self.reset()


def _pvalues(p: Any) -> list[float]:
    values = numbers(p if isinstance(p, Tensor | list | tuple) else [p], "p-values").double().flatten().tolist()
    if not all(0 < v <= 1 for v in values):
        raise InputError("p-values", given=f"{min(values):g}..{max(values):g}", expected="within (0, 1]")
    return values
