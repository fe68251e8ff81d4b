"""Data sets that have a name: embedded ones, real ones below a data root, and drawn ones with a known answer."""
