"""What work was made from, computed and never listed by hand: a named fingerprint of data, options, models and code.

Two runs with equal fingerprints do the same work. What enters:

* tensors and arrays: dtype, shape and bytes; data sets: a fingerprint that they declare (`fingerprint` or
  `_fingerprint`, as Hugging Face's have), or the tensors of a `TensorDataset`, or every item of a map-style one, read
  under fixed seeds (declare a fingerprint where that takes too long);
* modules: class, parameters, buffers and settings, but not whether they are in train mode;
* functions: what they compile to, what they close over, their defaults, and the globals that they read, and so on
  through all code of the user (comments don't count); a module that they read from: the text of its file, and so on
  through the user's modules that it imports. Functions of libraries count by name, and those of Deepwright by name and
  by the text of their file; an identity holds the text of the whole package besides;
* containers, dataclasses, enums, paths (by name, not by what lies there), numbers, strings, generators' states;
* any other object: its class, and what pickle would keep of it, or what its `__resume_identity__()` returns.

What can't be identified (locks, open files, running generators) is refused. It is never left out.
"""

from __future__ import annotations

from deepwright.core.identity.digests import architecture, digest
from deepwright.core.identity.parts import Identity, identity, structure
from deepwright.core.identity.walk import Digest

__all__ = ["Digest", "Identity", "architecture", "digest", "identity", "structure"]
