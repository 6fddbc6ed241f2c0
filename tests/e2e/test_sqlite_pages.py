#!/usr/bin/env python3
"""SQLite's page caches in the reports: the same hits and misses that SQLite itself counts."""
import collections
import os
import re
import shutil
import unittest

import harness

LIBRARY = os.path.join(harness.BUILD, "lib/geomem/geomem_sqlite_pages.so")
# The preload reaches the recorder as well, which, if it is built with AddressSanitizer, wants its own library to be first.
PRELOADED = {"LD_PRELOAD": LIBRARY, "ASAN_OPTIONS": "verify_asan_link_order=0"}
ROWS = 12000
MAKE = ("CREATE TABLE t (a INTEGER PRIMARY KEY, b, c); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {ROWS}) INSERT INTO t SELECT i, randomblob(300), i * 7919 % {ROWS} FROM n; CREATE INDEX tc ON t (c);")

# Each makes SQLite treat pages in another way. (what the shell is told first, then the statements)
WORKLOADS = {
    "a scan": ("PRAGMA cache_size = 100", "SELECT sum(length(b)) FROM t"),
    "an index": ("PRAGMA cache_size = 200", f"SELECT sum(length(b)) FROM t WHERE c < {ROWS // 2} ORDER BY c"),
    "updates that spill": ("PRAGMA cache_size = 50", "UPDATE t SET b = randomblob(250) WHERE a % 10 = 3"),
    # the content of a page that is used again is not wanted
    "freed pages used again": ("PRAGMA cache_size = 2000",
                               f"DELETE FROM t WHERE a % 2 = 0; INSERT INTO t SELECT a + {ROWS}, randomblob(300), a FROM t;"
                               f"DELETE FROM t WHERE a > {ROWS}; INSERT INTO t SELECT a + {ROWS}, randomblob(3000), a FROM t"
                               f" WHERE a < {ROWS // 8}"),
    "a rollback": ("PRAGMA cache_size = 50",
                   f"BEGIN; DELETE FROM t WHERE a % 2 = 0; INSERT INTO t SELECT a + {ROWS}, randomblob(300), a FROM t;"
                   f"SAVEPOINT s; DELETE FROM t WHERE a > {ROWS}; ROLLBACK TO s; ROLLBACK; SELECT count(*) FROM t"),
    "a write-ahead log": ("PRAGMA journal_mode = WAL; PRAGMA cache_size = 50",
                          "UPDATE t SET b = randomblob(250) WHERE a % 10 = 3; SELECT sum(length(b)) FROM t;"
                          f"DELETE FROM t WHERE a % 3 = 1; INSERT INTO t SELECT a + {ROWS}, randomblob(300), a FROM t"),
    "vacuum": ("PRAGMA cache_size = 100", "DELETE FROM t WHERE a % 2 = 0; VACUUM; SELECT sum(length(b)) FROM t"),
    "other sizes of the cache": ("PRAGMA cache_size = 300",
                                 "SELECT sum(length(b)) FROM t; PRAGMA shrink_memory; SELECT sum(length(b)) FROM t;"
                                 "PRAGMA cache_size = 40; SELECT sum(length(b)) FROM t"),
    "pages given back": ("PRAGMA auto_vacuum = 2; VACUUM; PRAGMA cache_size = 150",
                         f"DELETE FROM t WHERE a < {ROWS // 2}; PRAGMA incremental_vacuum (200); INSERT INTO t"
                         f" SELECT a + {ROWS}, randomblob(300), a FROM t; SELECT count(*) FROM t WHERE b LIKE 'x'"),
    "overflow pages": ("PRAGMA cache_size = 200",
                       "CREATE TABLE o (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                       " INSERT INTO o SELECT randomblob(50000) FROM n; DELETE FROM o; INSERT INTO o SELECT randomblob(50000)"
                       " FROM t WHERE a < 100; SELECT sum(length(x)) FROM o; DROP TABLE o; SELECT count(*) FROM t"),
}


@unittest.skipUnless(shutil.which("sqlite3"), "needs sqlite3")
class SqlitePages(harness.Case):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.run_plain("sqlite3", "made.db", MAKE)[0], 0)

    def run_shell(self, first, statements):
        """The recording, and the hits and misses that the shell said there were."""
        shutil.copy(self.path("made.db"), self.path("t.db"))
        recording = self.record("sqlite3", "t.db", "-cmd", ".stats on", "-cmd", first, statements, env=PRELOADED)
        self.assertEqual(recording.status, 0)
        # Counts are from statement to statement.
        said = [sum(int(n) for n in re.findall(rb"Page cache %s: +(\d+)" % what, recording.stdout)) for what in (b"hits", b"misses")]
        return recording, said

    def caches(self, recording, name="t.db"):
        return [cache for cache in recording.json("caches")["caches"] if cache["name"] == name]

    def test_hits_and_misses_are_those_that_sqlite_counts(self):
        for name, (first, statements) in WORKLOADS.items():
            with self.subTest(name):
                recording, said = self.run_shell(first, statements)
                caches = self.caches(recording)
                self.assertEqual([sum(c["hits"] for c in caches), sum(c["misses"] for c in caches)], said)
                self.assertGreater(said[1], 100)
                for cache in caches:
                    self.assertEqual(cache["stores"] - sum(cache["evictions"].values()), cache["entries"])
                    self.assertGreater(cache["miss_cost_ns"], 0)

    def test_what_is_foretold_for_another_size_comes_true(self):
        lookups = ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) SELECT sum(length(b)) FROM n"
                   " JOIN t ON t.a = 1 + (n.i * 7919 * n.i %% %d)" % (ROWS // 2))
        run = lambda pages: self.caches(self.run_shell(f"PRAGMA cache_size = {pages}", lookups)[0])[0]
        small = run(150)
        self.assertEqual(small["capacity_bytes"], 149 * 4096)
        self.assertEqual(small["verdict"], "grow")
        enough = small["mrc_enough"]
        pages = enough["capacity_bytes"] // 4096 + 1
        self.assertGreater(pages, 200)
        now = next(p for p in small["mrc"] if p["capacity_bytes"] == small["capacity_bytes"])
        # Page 1 is in use all the time, and so never leaves: not foretold, and worth a page of the 149.
        self.assertAlmostEqual(now["hit_ratio"], small["hit_ratio"], delta=now["error"] + 0.005)
        real = run(pages)
        self.assertAlmostEqual(real["hit_ratio"], enough["hit_ratio"], delta=enough["error"])
        self.assertLess(run(4 * pages)["hit_ratio"] - real["hit_ratio"], 0.01)
        self.assertNotEqual(real["verdict"], "grow")

    def test_pages_have_their_kind_as_class_and_the_caller_of_sqlite_as_site(self):
        recording, _ = self.run_shell(*WORKLOADS["an index"])
        cache, = self.caches(recording)
        hits = collections.Counter({c["name"]: c["hits"] for c in cache["classes"]})
        misses = collections.Counter({c["name"]: c["misses"] for c in cache["classes"]})
        self.assertEqual((sum(hits.values()), sum(misses.values())), (cache["hits"], cache["misses"]))
        self.assertGreater(hits["inner table"], 10 * misses["inner table"])
        self.assertGreater(misses["leaf table"], 100)
        self.assertGreater(misses["leaf index"], 10)
        for site in cache["sites"]:
            self.assertTrue(site["where"]["module"].endswith("/sqlite3"), site["where"])

    def test_without_a_recorder_nothing_changes(self):
        first, statements = WORKLOADS["a scan"]
        shutil.copy(self.path("made.db"), self.path("t.db"))
        command = ["sqlite3", "t.db", "-cmd", ".stats on", "-cmd", first, statements]
        plain, preloaded = (self.run_plain(*command, env=env) for env in (None, PRELOADED))
        self.assertEqual([re.findall(rb"Page cache \w+: +(\d+)", out) for _, out in (plain, preloaded)][0],
                         re.findall(rb"Page cache \w+: +(\d+)", preloaded[1]))
        self.assertEqual((plain[0], preloaded[0]), (0, 0))

    def test_programs_that_load_sqlite_later_are_seen_too(self):
        with open(self.path("reader.py"), "w", encoding="ascii") as file:
            file.write("import sqlite3\ndb = sqlite3.connect('made.db')\ndb.execute('PRAGMA cache_size = 50')\n"
                       "print(db.execute('SELECT count(*) FROM t WHERE b LIKE 1').fetchone())\n")
        recording = self.record("/usr/bin/python3", "-s", "-S", "-B", "reader.py", env=PRELOADED)
        cache, = self.caches(recording, "made.db")
        self.assertGreater(cache["misses"], ROWS // 20)


if __name__ == "__main__":
    harness.main()
