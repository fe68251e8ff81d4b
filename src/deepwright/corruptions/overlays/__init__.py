"""Weather and other things between the camera and the scene: snow, rain, birds, sun, lightning, smoke.

Begin with `overlay("rain", t=3.5)`, which is what one looks like; `apply(x, "static_rain", 3)` lays a fixed one over
pictures, `apply(frame, "dynamic_rain", 3, t=17)` one that moves with t, any real number of frames.
"""

from deepwright.corruptions.overlays.laying import DYNAMIC_OVERLAYS, KINDS, OVERLAYS, overlay

__all__ = ["DYNAMIC_OVERLAYS", "KINDS", "OVERLAYS", "overlay"]
