#!/usr/bin/env python3
"""docs/faults.md and the tests: every test it names exists, and every test_fault_NN has its row."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows():
    """number -> prefixes of tests that the row names"""
    found = {}
    for line in (ROOT / "docs" / "faults.md").read_text().splitlines():
        row = re.match(r"\| (\d+) \|", line)
        if row:
            found[int(row.group(1))] = re.findall(r"`(test_\w+|\w+::\w+)`", line)
    return found


def main():
    tests = set()
    for path in (ROOT / "tests" / "e2e").glob("test_*.py"):
        tests |= set(re.findall(r"def (test_\w+)", path.read_text()))
    for path in (ROOT / "tests" / "unit").glob("test_*.c"):
        tests |= {"::".join(found) for found in re.findall(r"^Test\((\w+), (\w+)", path.read_text(), re.M)}
    documented, wrong = rows(), []
    for number, named in documented.items():
        wrong += [f"row {number} names {n}, and no test is called so" for n in named
                  if not any(test.startswith(n) for test in tests)]
    for test in sorted(tests):
        for number in map(int, re.findall(r"(?:fault|and)_(\d\d)_", test)):
            if not documented.get(number):
                wrong.append(f"{test} shows fault {number}, whose row names no test")
    print("\n".join(wrong) if wrong else "rows and tests agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
