#!/usr/bin/env python3
"""What geomem-report says of a program's caches: as the program itself counts, and which call forgot its pins."""
import re

import harness
from harness import target


class CacheReports(harness.Case):
    def known(self):
        recording = self.record(target("cache_known"))
        said = {words[0]: dict(zip(words[1::2], map(int, words[2::2])))
                for words in (line.split() for line in recording.stdout.decode().splitlines())}
        return recording, said

    def test_counts_are_those_of_the_program(self):
        recording, said = self.known()
        caches = {cache["name"]: cache for cache in recording.json("caches")["caches"]}
        self.assertEqual(sorted(caches), sorted(said))
        for name, counts in said.items():
            cache = caches[name]
            for key, word in (("hits", "hits"), ("misses", "misses"), ("stores", "stores"), ("loads", "loads"),
                              ("load_failures", "failed"), ("capacity_bytes", "capacity"), ("pinned_entries", "pinned")):
                self.assertEqual(cache[key], counts[word], (name, key))
            for cause in ("size", "replaced", "removed"):
                self.assertEqual(cache["evictions"][cause], counts[cause], (name, cause))
            self.assertEqual(cache["hit_ratio"], round(counts["hits"] / (counts["hits"] + counts["misses"]), 9))
        self.assertEqual((caches["pages"]["policy"], caches["queries"]["policy"]), ("lru", "adaptive"))
        self.assertEqual(caches["pages"]["used_bytes"], said["pages"]["used"])  # queries is destroyed afterwards

    def test_forgotten_pins_are_shown_with_the_call_that_took_them(self):
        recording, _ = self.known()
        caches = {cache["name"]: cache for cache in recording.json("caches")["caches"]}
        for name, pins, culprit in (("pages", 3, "page_forget"), ("queries", 2, "query_forget")):
            leaked = caches[name]["leaked_pins"]
            self.assertEqual(len(leaked), pins)
            self.assertEqual(caches[name]["verdict"], "pins")
            for pin in leaked:
                self.assertIn(culprit, [frame["function"] for frame in pin["stack"]])
            self.assertEqual(sum(s["open_pins"] for s in caches[name]["sites"]), pins)
        text = recording.report("caches")
        self.assertRegex(text, r"PINS NOT GIVEN BACK\n +3 pins of 528 B together.*\n +> page_forget +cache_known\.c:")
        self.assertIn("query_forget", text)
        self.assertRegex(recording.report("summary"), r"pages +1\.4k +35\.9% .* PINS not returned")

    def test_caches_that_programs_tell_of_have_everything_too(self):
        recording = self.record(target("probe_known"))
        cache = next(c for c in recording.json("caches")["caches"] if c["name"] == "known")
        self.assertEqual((cache["hits"], cache["misses"], cache["policy"]), (100, 160, "other"))
        self.assertEqual({c["key_class"]: (c["hits"], c["misses"]) for c in cache["classes"]}, {0: (0, 0), 1: (0, 160), 2: (100, 0)})
        for caller, uses in (("fill", (0, 150)), ("read_hot", (100, 0)), ("read_cold", (0, 10))):
            found = [(site["hits"], site["misses"]) for site in cache["sites"]
                     if any(frame["function"] == caller for frame in site["stack"])]
            self.assertEqual([sum(n) for n in zip(*found)], list(uses), caller)
        self.assertFalse(cache["estimated"])
        text = recording.report("caches", "--all")
        self.assertTrue(re.search(r"^#\d known +other", text, re.M), text)


if __name__ == "__main__":
    harness.main()
