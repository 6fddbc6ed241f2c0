#!/usr/bin/env python3
"""examples/seed_api.c, caching layer included, compiled from C and as C++, linked with the shared and the static library: the report it prints."""
import os
import re
import subprocess
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("GEOMEM_BUILD", os.path.join(SOURCE, "build/release")))
LIB = os.path.join(BUILD, "lib")
SEARCHES = 20000


class SeedApi(unittest.TestCase):
    def check(self, *compiler, static=False):
        with tempfile.TemporaryDirectory(prefix="geomem-seed-") as folder:
            program = os.path.join(folder, "seed_api")
            library = [os.path.join(LIB, "libgeomem.a"), "-pthread", "-ldl"] if static else ["-L" + LIB, "-lgeomem"]
            subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-fno-inline", "-I",
                            os.path.join(SOURCE, "libgeomem/include"), "-o", program,
                            os.path.join(SOURCE, "examples/seed_api.c"), "-x", "none", *library], check=True, timeout=60)
            done = subprocess.run([program, str(SEARCHES)], env=dict(os.environ, LD_LIBRARY_PATH=LIB), text=True,
                                  capture_output=True, timeout=60, check=False)
        print(done.stdout, end="")
        self.assertIn(done.returncode, (0, 2), done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def check_report(self, text):
        self.assertRegex(text, rf"^{SEARCHES} searches, \d+ hits\n")
        self.assertRegex(text, r"memory usage over [\d.]+ s: \d+ blocks, [\d.]+ MB allocated")
        collections = re.search(r"collections: (\d+) young, (\d+) full", text)
        self.assertGreater(int(collections[1]) + int(collections[2]), 0)
        # The four places that allocate, by name, innermost first and without the library's own functions.
        sites = re.findall(r"^ +[\d.]+ [KMG]?B +(\d+) +\d+ +[\d.]+ [KMG]?B  (.*)$", text, re.M)
        by_name = {names.split(" < ")[0]: int(blocks) for blocks, names in sites}
        self.assertEqual(by_name["index_add"], 4000 * 40)
        self.assertEqual(by_name["store_load"], 4000)
        self.assertGreater(by_name["search_run"], by_name["page_make"])
        # What a loader allocates is the program's, though the library calls it; a line has room for four names.
        self.assertTrue(all(names.endswith("main") or "page_load < data_load" in names or names.startswith("data_load")
                            for _, names in sites), sites)
        cache = re.search(r"^cache: (\d+) hits, (\d+) misses, (\d+) of (\d+) bytes$", text, re.M)
        hits, misses, used, capacity = map(int, cache.groups())
        self.assertEqual(hits + misses, SEARCHES + 1)
        self.assertGreater(hits, SEARCHES / 10)
        self.assertLessEqual(used, capacity)
        self.assertIn("pauses: ", text)

    def test_from_c(self):
        self.check_report(self.check("gcc", "-std=c11", "-x", "c"))

    def test_as_cxx(self):
        text = self.check("g++", "-std=c++17", "-x", "c++")
        self.check_report(re.sub(r"\([^()]*\)(?= <|$)", "", text, flags=re.M))

    def test_with_the_static_library(self):
        self.check_report(self.check("gcc", "-std=c11", "-x", "c", static=True))


if __name__ == "__main__":
    unittest.main(verbosity=2)
