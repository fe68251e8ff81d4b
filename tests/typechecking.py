"""The checker of annotations that the tests install: beartype, where an int may stand for a float as PEP 484 says."""

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function):
    """Check a function's arguments and result, but for `Self`: that word means something inside a class only."""
    annotations = getattr(function, "__annotations__", {})
    if "Self" in str(annotations.get("return")):
        function.__annotations__ = {name: hint for name, hint in annotations.items() if name != "return"}
    return _check(function)
