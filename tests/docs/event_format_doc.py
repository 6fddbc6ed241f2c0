#!/usr/bin/env python3
"""Holds docs/event-format.md against schemas/wire.h and schemas/event_kinds.h.

  event_format_doc.py WIRE_LAYOUT    WIRE_LAYOUT: the program built from wire_layout.c
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "event-format.md"
# What a table of the document describes, by its heading row.
TABLES = {
    ("offset", "bytes", "field", "writer", ""): None,  # the session's, then the ring's
    ("hello: offset", "bytes", "field", ""): "gm_hello",
    ("welcome: offset", "bytes", "field", ""): "gm_welcome",
    ("code", "kind", "words", ""): "kind",
    ("code", "function"): "function",
}


def cells(line):
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])


def document_lines(doc):
    """What wire_layout should print, as the document has it."""
    yield "version " + re.search(r"^Wire version (\d+)", doc, re.M).group(1)
    what, layouts = None, iter(("gm_session", "gm_ring"))
    for line in doc.splitlines():
        if not line.startswith("|"):
            what = None
        elif cells(line) in TABLES:
            what = TABLES[cells(line)] or next(layouts)
        elif what and not line.startswith("|---"):
            row = cells(line)
            if what in ("kind", "function"):
                yield " ".join((what,) + row)
            else:
                yield " ".join((what,) + row[:3])


def fields_in_header():
    """Names of the fields of the four structs, so that wire_layout.c cannot forget one."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "schemas" / "wire.h").read_text(), flags=re.S)
    for name in ("gm_session", "gm_ring", "gm_hello", "gm_welcome"):
        body = re.search(rf"struct {name} {{(.*?)\n}};", text, re.S).group(1)
        for field in re.findall(r"(\w+)(?:\[[^]]*\])?;", body):
            if not field.startswith("reserved"):
                yield name, field


def main():
    printed = subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout
    layout, document = set(printed.splitlines()), set(document_lines(DOC.read_text()))
    wrong = [f"in the headers, not in the document: {line}" for line in sorted(layout - document)]
    wrong += [f"in the document, not in the headers: {line}" for line in sorted(document - layout)]
    known = {(words[0], words[3]) for words in (line.split() for line in layout) if words[0].startswith("gm_")}
    wrong += [f"wire_layout.c lacks {s}.{f}" for s, f in fields_in_header() if (s, f) not in known]
    for line in wrong:
        print("docs/event-format.md:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
