"""Understand a network: what it relies on, what its shape forbids, where it differs from people.

Four systems, each a folder of its own: `deepin` (minimal sufficient representations with selected variables and tests),
`prequential` (what a feature costs in bits, and from how many samples on it pays), `tunnel` (what narrow residual
networks cannot represent) and `mindset` (controlled psychophysics on a vision network).
"""

__all__: list[str] = []
