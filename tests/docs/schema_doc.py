#!/usr/bin/env python3
"""Holds docs/schema.md against schemas/schema.sql.

  schema_doc.py            fails when the document differs from the schema
  schema_doc.py --write    writes the generated part (the tables) anew
  schema_doc.py --run FILE GC_FILE
                           runs every SQL example of the document on a recording, those of v_gc* on GC_FILE, which is
                           one of a program with a collector

The tables are generated from the DDL and its comments. The views are written by hand, since their columns
need words; here only names and order are compared.
"""
import argparse
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "schemas" / "schema.sql"
DOC = ROOT / "docs" / "schema.md"
EVENTS = ROOT / "analyzer" / "core" / "events_plan.h"
BEGIN = "<!-- tables: generated from schemas/schema.sql by tests/docs/schema_doc.py --write -->\n"
END = "<!-- end of tables -->\n"


def sentence(lines):
    """Comment lines as running text."""
    return " ".join(line.strip() for line in lines).strip().rstrip(";")


def tables(sql):
    """Yields (name, text, [(column, type, text)]) in the order of the file."""
    above, name, columns, shared = [], None, [], []
    for line in sql.splitlines():
        comment = re.match(r"\s*--\s?(.*)", line)
        start = re.match(r"CREATE TABLE (\w+) \(", line)
        if name is None:
            if start:
                name, columns, shared = start.group(1), [], []
            elif comment:
                above.append(comment.group(1))
                continue
            if not start:
                above = []
            continue
        if line.startswith(")"):
            yield name, sentence(above), columns
            above, name = [], None
        elif comment:
            # Indented deeper than a column: goes on with the column above; else it stands for those below.
            if line.startswith("     ") and columns:
                columns[-1][2].append(comment.group(1))
            else:
                shared.append(comment.group(1))
        else:
            column = re.match(r"\s+(\w+) (INTEGER|TEXT|REAL|BLOB)\b([^-]*)(?:--\s*(.*))?", line)
            if column and column.group(1) != "PRIMARY":
                columns.append([column.group(1), column.group(2).lower(), shared])
                shared = []
                allowed = re.search(r"CHECK \(\w+ IN \(([^)]*)\)", line)
                if allowed:
                    columns[-1][2].append(f"{allowed.group(1)};".replace("'", "`"))
                if column.group(4):
                    columns[-1][2].append(column.group(4))


def generated(sql):
    out = []
    for name, text, columns in tables(sql):
        out += [f"### {name}", ""]
        if text:
            out += [text, ""]
        out += ["| column | type | |", "|---|---|---|"]
        out += [f"| `{c}` | {t} | {sentence(words).replace('|', chr(92) + '|')} |" for c, t, words in columns]
        out.append("")
    return "\n".join(out)


def split(doc):
    head, rest = doc.split(BEGIN)
    middle, tail = rest.split(END)
    return head, middle, tail


def views_in_schema(sql):
    db = sqlite3.connect(":memory:")
    db.executescript(sql)
    names = [r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")]
    return {name: [r[1] for r in db.execute(f"PRAGMA table_info({name})")] for name in names}


def views_in_document(doc):
    views, name = {}, None
    for line in doc.splitlines():
        heading = re.match(r"### (\w+)$", line)
        row = re.match(r"\| `([^|]*)` \|", line)
        if heading:
            name = heading.group(1)
            views[name] = []
        elif row and name:
            views[name] += re.split(r"`, `", row.group(1))
    return views


def events_in_code():
    """The columns of gm_events."""
    return re.findall(r"^    X\((\w+), \"", EVENTS.read_text(), re.M)


def compare(doc, sql):
    wrong = []
    if split(doc)[1] != "\n" + generated(sql):
        wrong.append("the tables are not those of schema.sql: run tests/docs/schema_doc.py --write")
    schema, document = views_in_schema(sql), views_in_document(split(doc)[0])
    schema["gm_events"] = events_in_code()
    for name in sorted(schema.keys() | document.keys()):
        if schema.get(name) != document.get(name):
            wrong.append(f"{name}: schema has {schema.get(name)}, document has {document.get(name)}")
    return wrong


def events_rows(path, query):
    """gm_events is not in the file: geomem-report, found on the path, knows it."""
    done = subprocess.run(["geomem-report", "sql", "--json", path, query], capture_output=True, text=True)
    if done.returncode:
        raise sqlite3.Error(done.stderr)
    return json.loads(done.stdout)["rows"]


def run_examples(doc, path, path_gc):
    examples = re.findall(r"```sql\n(.*?)```", doc, re.S)
    wrong = [] if examples else ["no SQL examples found in the document"]
    of_path, of_gc = (sqlite3.connect(f"file:{p}?mode=ro", uri=True) for p in (path, path_gc))
    for example in examples:
        db = of_gc if "v_gc" in example else of_path
        try:
            rows = events_rows(path, example) if "gm_events" in example else db.execute(example).fetchall()
            print(f"{len(rows)} rows: {' '.join(example.split())[:90]}")
            if not rows and "v_cache" not in example:  # not every program has caches
                wrong.append(f"no rows from: {example}")
        except sqlite3.Error as error:
            wrong.append(f"{error}: {example}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--run", nargs=2, metavar=("FILE", "GC_FILE"))
    args = parser.parse_args()
    doc, sql = DOC.read_text(), SQL.read_text()
    if args.write:
        head, _, tail = split(doc)
        DOC.write_text(head + BEGIN + "\n" + generated(sql) + END + tail)
        return 0
    wrong = run_examples(doc, *args.run) if args.run else compare(doc, sql)
    for line in wrong:
        print("docs/schema.md:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
