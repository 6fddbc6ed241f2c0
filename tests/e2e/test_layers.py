"""The layers of docs/architecture.md, as the includes show them, and the seams: SQL, curses, events."""
import os
import re
import unittest

import harness

# Where each folder's files may include from. A folder not listed may include nothing of the project's.
# A longer path wins over a shorter one.
EDGES = {
    "schemas": {"schemas"},
    "libgeomem": {"schemas", "libgeomem"},
    "collector": {"schemas", "collector", "libgeomem/ring", "libgeomem/base", "libgeomem/policy"},
    "analyzer/core": {"schemas", "analyzer/core"},
    "analyzer/report": {"schemas", "analyzer/core", "analyzer/report"},
    "tui": {"schemas", "analyzer/core", "tui"},
}
# Inside libgeomem, lower stages know nothing of later ones; heap, gc and cache know a listener, not the ring.
LIBGEOMEM = {
    "libgeomem/base": {"schemas", "libgeomem/base"},
    "libgeomem/ring": {"schemas", "libgeomem/base", "libgeomem/ring"},
    "libgeomem/unwind": {"schemas", "libgeomem/base", "libgeomem/unwind"},
    "libgeomem/event": {"schemas", "libgeomem/base", "libgeomem/ring", "libgeomem/unwind", "libgeomem/event",
                        "libgeomem/include"},
    "libgeomem/heap": {"libgeomem/base", "libgeomem/heap", "libgeomem/include"},
    "libgeomem/gc": {"libgeomem/base", "libgeomem/heap", "libgeomem/gc", "libgeomem/include"},
    "libgeomem/profile": {"libgeomem/base", "libgeomem/unwind", "libgeomem/heap", "libgeomem/gc",
                          "libgeomem/profile", "libgeomem/include"},
    "libgeomem/bdwgc": {"libgeomem/base", "libgeomem/heap", "libgeomem/gc", "libgeomem/bdwgc", "libgeomem/include"},
    "libgeomem/adapters": {"libgeomem/base", "libgeomem/adapters", "libgeomem/include"},
    "libgeomem/policy": {"libgeomem/base", "libgeomem/policy"},
    "libgeomem/cache": {"libgeomem/base", "libgeomem/heap", "libgeomem/gc", "libgeomem/policy", "libgeomem/cache",
                        "libgeomem/include"},
}
SQL_HOMES = ("schemas/", "collector/store", "collector/symbolize", "analyzer/core/")
FOLDERS = ("schemas", "libgeomem", "collector", "analyzer", "tui")


def sources():
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(harness.SOURCE, top)):
            for name in names:
                if name.endswith((".c", ".h", ".S")):
                    yield os.path.relpath(os.path.join(folder, name), harness.SOURCE)


def read(path):
    with open(os.path.join(harness.SOURCE, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def folder_rules(path):
    rules = {**EDGES, **LIBGEOMEM}
    fitting = [prefix for prefix in rules if path.startswith(prefix + "/")]
    return rules[max(fitting, key=len)] if fitting else set()


class Layers(unittest.TestCase):
    def test_there_is_something_to_check(self):
        found = {path.split("/")[0] for path in sources()}
        self.assertEqual(found, set(FOLDERS))

    def test_only_the_documented_edges_exist(self):
        bad = []
        for path in sources():
            allowed = folder_rules(path)
            for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), flags=re.M):
                place = name if "/" in name else f"{os.path.dirname(path)}/{name}"
                if place.startswith("geomem/"):
                    place = "libgeomem/include/" + place
                if not any(place.startswith(prefix + "/") for prefix in allowed):
                    bad.append(f"{path} includes {name}")
        self.assertEqual(bad, [])

    def test_no_leftover_folders(self):
        for folder, names, _ in os.walk(harness.SOURCE):
            names[:] = [name for name in names if name not in (".git", "build")]
            self.assertFalse({"common", "utils", "util", "misc"} & set(names), folder)

    def test_sql_stands_in_its_homes_only(self):
        statement = re.compile(r'"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|PRAGMA|ATTACH|BEGIN|COMMIT|WITH)\s',
                               flags=re.I)
        for path in sources():
            if not path.startswith(SQL_HOMES):
                text = without_comments(read(path))
                found = [match.group(0) for match in statement.finditer(text) if match.group(1).isupper()]
                self.assertEqual(found, [], f"{path} holds SQL")
                self.assertNotRegex(text, r"\bsqlite3_(prepare|exec|step|bind|column)\w*\(", f"{path} talks to SQLite")

    def test_writes_stand_in_the_store_and_the_schema_only(self):
        for path in sources():
            if path.startswith("analyzer/core/"):
                self.assertNotRegex(without_comments(read(path)), r'"\s*(INSERT|UPDATE|DELETE|REPLACE) ', path)

    def test_curses_stands_behind_one_file(self):
        for path in sources():
            if not path.startswith("tui/terminal"):
                self.assertNotRegex(read(path), r"#\s*include\s+<(n?curses\w*|ncursesw/\S+|term)(\.h)?>", path)

    def test_the_event_kinds_are_listed_once(self):
        for path in sources():
            if path != "schemas/event_kinds.h":
                self.assertNotRegex(without_comments(read(path)), r"#\s*define\s+GM_(EVENT_KINDS|ALLOC_FUNCTIONS)\b", path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
