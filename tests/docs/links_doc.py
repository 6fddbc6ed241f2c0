#!/usr/bin/env python3
"""Every relative link and every `path/in/the/tree` that a document names must exist, and every docs/….md that a
comment in the source names."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS, SOURCES = (".md", ".scd"), (".c", ".h", ".py", ".txt", ".cmake", ".sh", ".sql")
FOLDERS = r"(?:schemas|libgeomem|collector|analyzer|tui|tests|bench|docs|cmake|examples)"


def tracked():
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True, check=True).stdout
        return [ROOT / line for line in out.splitlines() if line.endswith(DOCUMENTS + SOURCES)]
    except (OSError, subprocess.CalledProcessError):  # an unpacked release has no git
        return [p for p in ROOT.rglob("*") if p.suffix in DOCUMENTS + SOURCES and "build" not in p.parts]


def anchor(heading):
    """The anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken(path):
    text = path.read_text()
    if path.suffix in SOURCES:
        for name in re.findall(r"docs/[\w./-]+[.](?:md|scd)", text):
            if not (ROOT / name).exists():
                yield f"no such document: {name}"
        return
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            yield f"no such file: {target}"
        elif fragment and fragment not in map(anchor, re.findall(r"^#+ (.*)$", file.read_text(), re.M)):
            yield f"no such heading: {target}"
    for name in re.findall(rf"`({FOLDERS}/[\w./+-]*\w)/?`", text):
        if not (ROOT / name).exists():
            yield f"no such file or folder: {name}"


def main():
    wrong = [f"{p.relative_to(ROOT)}: {what}" for p in tracked() if p.exists() for what in broken(p)]
    print("\n".join(wrong) if wrong else "all links lead somewhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
