#!/usr/bin/env python3
"""Compares the text reports of the fixtures with tests/report/golden.

  golden.py REPORT FOLDER [--update] [NAME...]     FOLDER holds the recordings of fixture.py

Also holds what every text report must: no line wider than 88 columns, no control character, the exit status.
With --update the files are written anew: read the difference before you commit it.
"""
import difflib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden"
# name, exit status, arguments
CASES = [
    ("summary-small", 0, ["summary", "small.geomem"]),
    ("summary-tree", 0, ["summary", "tree.geomem"]),
    ("summary-empty", 0, ["summary", "empty.geomem"]),
    ("summary-range", 0, ["summary", "--from=1", "--to=2500ms", "small.geomem"]),
    ("summary-process", 0, ["summary", "--process=101", "tree.geomem"]),
    ("leaks-small", 0, ["leaks", "small.geomem"]),
    ("leaks-ascii", 0, ["leaks", "--ascii", "--top=2", "small.geomem"]),
    ("leaks-tree", 0, ["leaks", "tree.geomem"]),
    ("leaks-tree-all", 0, ["leaks", "--process=all", "tree.geomem"]),
    ("leaks-empty", 0, ["leaks", "empty.geomem"]),
    ("leaks-cut", 0, ["leaks", "--top=1", "cut.geomem"]),
    ("leaks-names", 0, ["leaks", "names.geomem"]),
    ("leaks-range", 0, ["leaks", "--from=50%", "--to=3s", "small.geomem"]),
    ("leaks-filter", 0, ["leaks", "--function=session*", "small.geomem"]),
    ("leaks-none", 0, ["leaks", "--module=libnone", "small.geomem"]),
    ("leaks-fail", 1, ["leaks", "--fail-on=live:232447", "--top=1", "small.geomem"]),
    ("leaks-pass", 0, ["leaks", "--fail-on", "blocks:404", "--top=1", "small.geomem"]),
    ("sites-small", 0, ["sites", "--sort=growth", "small.geomem"]),
    ("sites-names", 0, ["sites", "--sort=id", "names.geomem"]),
    ("site-2", 0, ["site", "2", "small.geomem"]),
    ("site-3", 0, ["site", "small.geomem", "3"]),
    ("peak-small", 0, ["peak", "small.geomem"]),
    ("peak-tree", 0, ["peak", "tree.geomem"]),
    ("peak-process", 0, ["peak", "--process=#3", "tree.geomem"]),
    ("generations-small", 0, ["generations", "small.geomem"]),
    ("generations-tree", 0, ["generations", "tree.geomem"]),
    ("generations-gc", 0, ["generations", "gc.geomem"]),
    ("gc", 0, ["gc", "gc.geomem"]),
    ("gc-range", 0, ["gc", "--from=1", "--to=2", "--top=2", "gc.geomem"]),
    ("gc-none", 0, ["gc", "small.geomem"]),
    ("caches", 0, ["caches", "caches.geomem"]),
    ("caches-range", 0, ["caches", "--from=1", "--to=2", "--top=2", "caches.geomem"]),
    ("caches-ascii", 0, ["caches", "--ascii", "--top=1", "caches.geomem"]),
    ("caches-none", 0, ["caches", "small.geomem"]),
    ("summary-caches", 0, ["summary", "caches.geomem"]),
    ("summary-gc", 0, ["summary", "gc.geomem"]),
    ("timeline-small", 0, ["timeline", "small.geomem"]),
    ("timeline-tree", 0, ["timeline", "tree.geomem"]),
    ("timeline-ascii", 0, ["timeline", "--ascii", "--from=25%", "--to=75%", "small.geomem"]),
    ("tree-small", 0, ["tree", "small.geomem"]),
    ("tree-bottom-up", 0, ["tree", "--bottom-up", "--weight=allocations", "small.geomem"]),
    ("tree-names", 0, ["tree", "--min-percent=20", "names.geomem"]),
    ("flame-small", 0, ["flame", "small.geomem"]),
    ("flame-names", 0, ["flame", "--weight=allocations", "names.geomem"]),
    ("flame-tree", 0, ["flame", "--weight=peak", "tree.geomem"]),
    ("sql", 0, ["sql", "small.geomem", "SELECT site_id, leaf_function, live_bytes, NULL AS n FROM v_leaks"]),
    ("sql-csv", 0, ["sql", "--csv", "names.geomem", "SELECT function, line FROM v_frames ORDER BY 1"]),
    ("summary-sampled", 0, ["summary", "sampled.geomem"]),
    ("summary-sampled-range", 0, ["summary", "--from=1", "--to=3", "sampled.geomem"]),
    ("leaks-sampled", 0, ["leaks", "sampled.geomem"]),
    ("leaks-sampled-ascii", 0, ["leaks", "--ascii", "--top=1", "sampled.geomem"]),
    ("leaks-sampled-fail", 1, ["leaks", "--fail-on=live:1k", "--top=1", "sampled.geomem"]),
    ("sites-sampled", 0, ["sites", "--sort=bytes", "sampled.geomem"]),
    ("site-sampled", 0, ["site", "2", "sampled.geomem"]),
    ("peak-sampled", 0, ["peak", "sampled.geomem"]),
    ("generations-sampled", 0, ["generations", "sampled.geomem"]),
    ("timeline-sampled", 0, ["timeline", "--from=25%", "--to=75%", "sampled.geomem"]),
    ("tree-sampled", 0, ["tree", "sampled.geomem"]),
    ("tree-sampled-counts", 0, ["tree", "--weight=allocations", "sampled.geomem"]),
    ("check-sampled", 0, ["check", "sampled.geomem"]),
    ("check-small", 0, ["check", "small.geomem"]),
    ("check-tree", 1, ["check", "tree.geomem"]),
    ("check-cut", 1, ["check", "cut.geomem"]),
    ("help", 0, ["--help"]),
    ("help-leaks", 0, ["leaks", "--help"]),
]
# arguments, exit status, what the one line on standard error must hold
ERRORS = [
    ([], 2, "no command"),
    (["leeks", "small.geomem"], 2, "did you mean leaks?"),
    (["frobnicate", "small.geomem"], 2, "unknown command 'frobnicate'"),
    (["leaks"], 2, "usage: geomem-report leaks FILE"),
    (["leaks", "small.geomem", "tree.geomem"], 2, "too many"),
    (["leaks", "--jsn", "small.geomem"], 2, "did you mean --json?"),
    (["leaks", "-Z", "small.geomem"], 2, "unknown option -Z"),
    (["leaks", "--top", "small.geomem"], 2, "--top: cannot use 'small.geomem'"),
    (["leaks", "--top=0", "small.geomem"], 2, "--top"),
    (["leaks", "--top"], 2, "--top needs a value"),
    (["leaks", "--json=yes", "small.geomem"], 2, "--json takes no value"),
    (["leaks", "--weight=live", "small.geomem"], 2, "--weight does not apply to leaks"),
    (["leaks", "--from=x", "small.geomem"], 2, "--from: cannot use 'x'"),
    (["leaks", "--from=3", "--to=2", "small.geomem"], 2, "leave nothing"),
    (["leaks", "--from=99", "small.geomem"], 2, "leave nothing"),
    (["leaks", "--process=77", "small.geomem"], 2, "no process '77'"),
    (["leaks", "--fail-on=9", "small.geomem"], 2, "--fail-on"),
    (["leaks", "--top=3", "--all", "small.geomem"], 2, "exclude"),
    (["site", "99", "small.geomem"], 2, "no site 99"),
    (["site", "x", "small.geomem"], 2, "no site number"),
    (["tree", "--weight=peak", "--from=1", "small.geomem"], 2, "one moment"),
    (["sql", "small.geomem", "SELEC 1"], 2, "syntax error"),
    (["sql", "small.geomem", "DELETE FROM run"], 2, "only reading"),
    (["sql", "small.geomem", "SELECT 1; SELECT 2"], 2, "one statement"),
    (["sql", "small.geomem", ""], 2, "empty"),
    (["sql", "small.geomem", "ATTACH 'x' AS y"], 2, "query"),
    (["leaks", "none.geomem"], 3, "none.geomem: no such file"),
    (["leaks", "."], 3, "folder"),
    (["leaks", "/dev/null"], 3, "/dev/null"),
    (["leaks", "no\x1b[31m.geomem"], 3, "no\\x1b[31m.geomem"),
    (["flame", "-o", "small.geomem", "small.geomem"], 2, "-f overwrites"),
]


def width(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def run(report, folder, args):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GEOMEM", "LC_", "LANG", "NO_COLOR", "CLICOLOR"))}
    env.update(LC_ALL="C.UTF-8", TERM="xterm-256color")
    return subprocess.run([report, *args], cwd=folder, env=env, capture_output=True, timeout=60)


def golden_case(report, folder, version, name, status, args, update):
    result = run(report, folder, args)
    text = result.stdout.decode("utf-8").replace("geomem " + version, "geomem VERSION")
    wrong = []
    if result.returncode != status or result.stderr:
        wrong.append("%s: status %d instead of %d, stderr %r" % (name, result.returncode, status, result.stderr))
    if args[0] not in ("flame", "sql"):
        wrong += ["%s: %d columns: %s" % (name, width(l), l) for l in text.split("\n") if width(l) > 88]
    if any(unicodedata.category(c) == "Cc" and c not in "\r\n" for c in text):
        wrong.append("%s: a control character" % name)
    path = GOLDEN / (name + ".txt")
    if update:
        path.write_bytes(text.encode())
        return wrong
    golden = path.read_bytes().decode() if path.exists() else ""
    if golden != text:
        wrong += list(difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden/%s.txt" % name, "now", lineterm=""))
    return wrong


def error_case(report, folder, args, status, part):
    result = run(report, folder, args)
    error = result.stderr.decode("utf-8")
    if result.returncode == status and part in error and error.count("\n") == 1 and not result.stdout and "\x1b" not in error:
        return []
    return ["%s: status %d instead of %d; %r" % (args, result.returncode, status, error)]


def main():
    update = "--update" in sys.argv
    report, folder, *names = [a for a in sys.argv[1:] if a != "--update"]
    report = str(Path(report).resolve())
    version = run(report, folder, ["--version"]).stdout.decode().split()[1]
    wrong, count = [], 0
    for name, status, args in CASES:
        if not names or name in names:
            wrong += golden_case(report, folder, version, name, status, args, update)
            count += 1
    for args, status, part in ERRORS if not names else []:
        wrong += error_case(report, folder, args, status, part)
        count += 1
    print("\n".join(wrong) if wrong else "%d cases as they should be" % count)
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
