"""Attenuation patches."""
