#!/usr/bin/env python3
"""The options that `COMMAND --help` lists and those that the command's man page lists must be the same.

  man_doc.py COMMAND...     paths of the commands
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def in_help(command):
    text = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in text.splitlines() if re.match(r"\s+-", line)]
    return {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line)}


def in_page(page):
    """Definitions only: lines at the margin that begin with a bold option."""
    lines = [line for line in page.read_text().splitlines() if re.match(r"\*-", line)]
    return {option for line in lines for option in re.findall(r"\*(--[a-z][a-z0-9-]*)\*", line)}


def main():
    wrong = []
    for command in sys.argv[1:]:
        page = ROOT / "docs" / "man" / (Path(command).name + ".1.scd")
        if not page.exists():
            wrong.append(f"{page.name}: missing")
            continue
        help_options, page_options = in_help(command), in_page(page)
        wrong += [f"{page.name} lacks {option}" for option in sorted(help_options - page_options)]
        wrong += [f"{page.name} has {option}, --help has not" for option in sorted(page_options - help_options)]
    print("\n".join(wrong) if wrong else "pages and --help agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
