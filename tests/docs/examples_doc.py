#!/usr/bin/env python3
"""Runs what the documents tell a reader to type: the commands of README.md's tour and the queries of schema.md.

  examples_doc.py BUILD_DIR
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(sys.argv[1]).resolve()
# Files that the tour names without making them.
FILE_CC = "#include <map>\n#include <string>\nstd::map<std::string, int> m;\nint main() { m[\"a\"] = 1; }\n"


def commands():
    """Lines of README.md's indented blocks that start one of our commands. geomem-top wants a terminal."""
    for line in (ROOT / "README.md").read_text().splitlines():
        found = re.match(r" {4}(geomem-(?:record|report) .*?)(?: {3,}\S.*)?$", line)
        if found and found.group(1).split()[1:]:
            yield found.group(1)


def excerpt():
    """The lines of the report that README.md shows."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"^    STILL LIVE .*?\n\n(?=\S)", text, re.S | re.M).group(0)
    return [line[4:] for line in block.splitlines() if line.strip()]


def run(command, folder):
    print("$", command)
    env = dict(os.environ, PATH=f"{BUILD}/bin:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def main():
    wrong, tried = [], 0
    with tempfile.TemporaryDirectory(prefix="geomem-docs-") as folder:
        room = Path(folder)
        (room / "file.cc").write_text(FILE_CC)
        (room / "build").mkdir()
        (room / "build" / "release").symlink_to(BUILD)
        leaky = shlex.quote(str(ROOT / "examples" / "leaky.c"))
        setup = [f"gcc -g -O1 -o build/leaky {leaky}", "geomem-record -o FILE -- build/leaky 20000",
                 "git init -q && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first"]
        for command in setup + list(commands()):
            status, text = run(command, folder)
            tried += 1
            if status != 0:
                wrong.append(f"README.md: {command}: exit status {status}\n{text}")
        run("geomem-record -f --events=all -o full.geomem -- build/leaky", folder)
        _, text = run("geomem-report leaks full.geomem", folder)
        wrong += [f"README.md shows what is not in the report: {line}" for line in excerpt()
                  if line not in text.splitlines()]
        run(f"geomem-record -f -o gc.geomem -- {BUILD}/tests/targets/gc_history", folder)
        status, text = run(f"{sys.executable} {ROOT}/tests/docs/schema_doc.py --run full.geomem gc.geomem", folder)
        print(text, end="")
        if status != 0:
            wrong.append(text)
    if tried < 10:
        wrong.append(f"only {tried} commands found in README.md")
    print("\n".join(wrong) if wrong else f"{tried} commands as the documents say")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
