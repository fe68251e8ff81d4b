"""Whole jobs on the user's own network: one function each, one options object each, usable from Python and from the command."""
