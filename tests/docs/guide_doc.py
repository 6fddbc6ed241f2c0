#!/usr/bin/env python3
"""Compiles every piece of C in docs/guide/*.md, from C and (headers) from C++, and runs those that have a main().

  guide_doc.py LIBRARY     libgeomem.so of the build
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(sys.argv[1]).resolve()
INCLUDE = ROOT / "libgeomem" / "include"
WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g"]


def pieces():
    for page in sorted((ROOT / "docs" / "guide").glob("*.md")):
        text = page.read_text()
        for found in re.finditer(r"^```c\n(.*?)^```$", text, re.S | re.M):
            yield f"{page.name}:{text[:found.start()].count(chr(10)) + 2}", found.group(1)


def run(*words):
    env = dict(os.environ, LD_LIBRARY_PATH=str(LIBRARY.parent))
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=env, timeout=60)
    return done.returncode, done.stdout + done.stderr


def main():
    wrong, compiled, ran = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="geomem-guide-") as folder:
        for place, code in pieces():
            source, program = Path(folder) / "piece.c", Path(folder) / "piece"
            source.write_text(code)
            has_main = re.search(r"^int main\(", code, re.M)
            words = ["gcc", *WARNINGS, "-I", INCLUDE, "-o", program, source]
            status, text = run(*words, *([LIBRARY] if has_main else ["-c"]))
            compiled += 1
            if status != 0:
                wrong.append(f"{place}: does not compile\n{text}")
            elif has_main:
                ran += 1
                status, text = run(program)
                print(place, text, sep="\n", end="")
                if status != 0:
                    wrong.append(f"{place}: exit status {status}\n{text}")
        for header in ("geomem.h", "memory.h", "listener.h", "cache_probe.h", "bdwgc.h", "mark.h"):
            for language, standard in (("c", "c11"), ("c++", "c++17")):
                source = Path(folder) / "header.c"
                source.write_text(f"#include <geomem/{header}>\nint main(void) {{ return 0; }}\n")
                status, text = run("gcc", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic",
                                   "-Werror", "-I", INCLUDE, "-fsyntax-only", source)
                if status != 0:
                    wrong.append(f"{header} from {language}\n{text}")
    if compiled < 8 or ran < 3:
        wrong.append(f"only {compiled} pieces found, {ran} of them with a main()")
    print("\n".join(wrong) if wrong else f"{compiled} pieces compile, {ran} run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
