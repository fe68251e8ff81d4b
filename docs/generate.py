"""Write what comes from `deepwright.systems`: README's table, the navigation of the docs, the results in the package.

Run by `make docs`; `tests/test_systems.py` fails where the committed text isn't what this writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deepwright.systems import SYSTEMS, System

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- systems: written by docs/generate.py -->", "<!-- end of systems -->"
NAV_BEGIN, NAV_END = "  # systems: written by docs/generate.py", "  # end of systems"


def table(systems: tuple[System, ...] = SYSTEMS) -> str:
    """README's table, one row a system."""
    lines = ["| system | where | state |", "|---|---|---|"]
    for s in systems:
        paper = f" (arXiv {s.paper})" if s.paper else ""
        name = f"[{s.title}](docs/systems/{s.slug}.md){paper}" if s.here else f"{s.title}{paper}"
        state = f"here but for {s.missing}" if s.missing else s.state
        study = f"; [study](docs/results/{s.slug}.md)" if s.study else ""
        where = f"`{s.room}.{s.folder}`" if s.here else f"`{s.room}`"
        lines.append(f"| {name} | {where} | {state}{study} |")
    return "\n".join(lines)


def navigation(systems: tuple[System, ...] = SYSTEMS) -> str:
    """The two parts of `nav` in mkdocs.yml: a page a system, a result a study."""
    lines = ["  - Systems:"]
    lines += [f"      - {s.slug}: systems/{s.slug}.md" for s in systems if s.here]
    lines += ["  - Results:"]
    lines += [f"      - {s.slug}: results/{s.slug}.md" for s in systems if s.study]
    return "\n".join([*lines, "      - Benchmarks: benchmarks.md"])


def between(text: str, begin: str, end: str, content: str) -> str:
    """`text` with what stands between two marks replaced."""
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def written() -> dict[Path, str]:
    """The files as they should be."""
    readme, site = ROOT / "README.md", ROOT / "mkdocs.yml"
    return committed() | {
        readme: between(readme.read_text(), BEGIN, END, table()),
        site: between(site.read_text(), NAV_BEGIN, NAV_END, navigation()),
    }


def committed(systems: tuple[System, ...] = SYSTEMS) -> dict[Path, str]:
    """The studies' results without their figures, as `deepwright study --check` reads them where only a wheel is."""
    folder, found = ROOT / "src/deepwright/studies/committed", {}
    for s in systems:
        if s.study:
            result = json.loads((ROOT / f"docs/results/{s.slug}.json").read_text(encoding="utf-8"))
            found[folder / f"{s.slug}.json"] = json.dumps(result | {"figures": []}, indent=1) + "\n"
    return found


def main() -> int:
    """Write them; 1 when something changed."""
    changed = 0
    for path, text in written().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
            changed = 1
    return changed


if __name__ == "__main__":
    main()
    sys.exit(0)
