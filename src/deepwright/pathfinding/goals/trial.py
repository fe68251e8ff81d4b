"""A program of its own: grounds a logic program within limits, so that nothing else suffers where it doesn't end.

Reads {"seconds", "bytes", "blocks"} as JSON; writes the messages of clingo, and "grounded" at the end.
"""

import json
import sys


def main() -> int:
    """Ground what stands on the input."""
    asked = json.load(sys.stdin)
    try:
        import resource
    except ImportError:  # no such limits here; who started this waits for so long and no longer
        pass
    else:
        resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"] + 1))
        resource.setrlimit(resource.RLIMIT_AS, (asked["bytes"], asked["bytes"]))
    import clingo

    control = clingo.Control(["--single-shot"], logger=lambda code, message: print(message), message_limit=20)
    try:
        for text in asked["blocks"]:
            control.add("base", [], text)
        control.ground([("base", [])], context=object())
    except (RuntimeError, MemoryError) as error:
        print(error)
        return 1
    print("grounded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
