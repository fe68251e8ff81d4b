"""What goes wrong over time: sensors that flicker, frames that come late or never.

Begin with `film(frames, get("dynamic_rain"), 3)` for a whole film, or with `FaultyCamera(fault, severity)`, which takes
one frame at a time. Faults are all perturbations of pictures, and those of the stream in `FRAME_FAULTS`.
"""

from deepwright.corruptions.dynamic.camera import FaultyCamera, film
from deepwright.corruptions.dynamic.frames import FRAME_FAULTS, FrameFault
from deepwright.corruptions.dynamic.sensor import SENSOR

__all__ = ["FRAME_FAULTS", "SENSOR", "FaultyCamera", "FrameFault", "film"]
