#!/usr/bin/env python3
"""What caches tell, from the program to the tables: a program's own cache, told of by geomem/cache_probe.h."""
import re
import subprocess

import harness
from harness import target

CACHE = """SELECT policy, capacity_bytes, used_bytes, entries, hits, misses, hit_bytes, stores, store_bytes, evictions, evicted_bytes,
           estimated, samples, sample_hits, sample_misses, closed_ns IS NULL FROM v_caches WHERE name = ?"""
# Why, stands in probe_known.c.
KNOWN = ("other", 12800, 95 * 64, 95, 100, 160, 6400, 165, 165 * 64, 62, 62 * 64, 0, 260, 100, 160, 1)
EVICTIONS = [("expired", 2, 128), ("rejected", 1, 64), ("removed", 3, 192), ("replaced", 5, 320), ("size", 60, 3840)]
WAYS = {"plain": (), "all events": ("--events=all",), "no ring of its own": ("--rings=1",), "sampled": ("--sample=4096",)}


class Probe(harness.Case):
    def test_counts_are_exact(self):
        for name, options in WAYS.items():
            with self.subTest(name):
                recording = self.record(target("probe_known"), options=options)
                self.assert_whole(recording)
                self.assertEqual(recording.sql(CACHE, "known"), [KNOWN])
                self.assertEqual(recording.sql("SELECT cause, evictions, evicted_bytes FROM v_cache_evictions ORDER BY 1"),
                                 EVICTIONS)
                self.assertEqual(recording.row("SELECT sum(hits), sum(misses), sum(stores), sum(evictions) FROM v_cache_timeline"),
                                 (100, 160, 165, 62))

    def test_what_follows_from_its_keys(self):
        recording = self.record(target("probe_known"))
        self.assertEqual(recording.row("SELECT sample_left, one_hit_wonders, premature_misses, refills FROM cache"),
                         (62, 62, 10, 0))
        # With the future known the ten keys that are read again would have been kept.
        self.assertEqual(recording.row("SELECT belady_uses, belady_hits, belady_real_hits FROM cache"), (260, 110, 100))
        self.assertEqual(dict(recording.sql("SELECT kind, sum(count) FROM v_cache_histograms GROUP BY 1")),
                         {"eviction_age": 60, "reuse_time": 110})

    def test_call_sites_begin_in_the_function_that_used_the_cache(self):
        recording = self.record(target("probe_known"))
        sites = recording.sql("""SELECT s.leaf_function, s.hits, s.misses, s.premature_misses, s.stores, k.stack
                                 FROM v_cache_sites s JOIN v_stacks k USING (stack_id) ORDER BY s.stack_id""")
        self.assertEqual([row[:5] for row in sites], [("lookup", 0, 150, 0, 150), ("lookup", 100, 0, 0, 0),
                                                      ("lookup", 0, 10, 10, 10), ("main", 0, 0, 0, 5)])
        callers = [re.search(r"lookup < (\w+) < main", row[5]) for row in sites[:3]]
        self.assertEqual([found and found.group(1) for found in callers], ["fill", "read_hot", "read_cold"])

    def test_classes_of_keys_have_their_uses(self):
        recording = self.record(target("probe_known"))
        self.assertEqual(recording.sql("SELECT key_class, class_name, hits, misses, stores FROM v_cache_classes ORDER BY 1"),
                         [(0, None, 0, 0, 5), (1, None, 0, 160, 160), (2, "hot ones", 100, 0, 0)])

    def test_changes_of_capacity_and_the_end_are_moments(self):
        recording = self.record(target("probe_known"), "100")
        self.assertEqual(recording.sql("SELECT name, change, kind, from_value, to_value FROM v_cache_changes ORDER BY cache_id, change"),
                         [("known", 1, "made", 0, 6400), ("known", 2, "resized", 6400, 12800),
                          ("second", 1, "made", 0, 1 << 20), ("second", 2, "closed", 1 << 20, 0)])

    def test_of_a_large_cache_a_part_of_the_keys_is_told(self):
        recording = self.record(target("probe_known"), "100000")
        row = recording.row("""SELECT misses, entries, used_bytes, estimated, sample_rate, sample_misses, samples
                               FROM v_caches WHERE name = 'second'""")
        self.assertEqual(row[:4], (100000, 100000, 1600000, 1))
        self.assertEqual(row[4], 1 / 32)
        self.assertLess(abs(row[5] - 100000), 5000)
        self.assertLess(row[6], 20000)

    def test_a_cache_that_was_filled_before_it_was_told_of_never_holds_less_than_nothing(self):
        recording = self.record(target("probe_known"), "0", "50")
        self.assertEqual(recording.row("SELECT entries, used_bytes, evictions, sample_rate, samples FROM v_caches WHERE name = 'late'"),
                         (5, 80, 50, 1, 5))

    def test_a_program_that_is_not_recorded_has_no_cache_to_tell_of(self):
        done = subprocess.run([target("probe_known"), "1000"], capture_output=True, env=harness.clean_env())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))


class Library(harness.Case):
    """Caches of libgeomem. Why, stands in cache_known.c."""

    def test_counts_are_those_that_the_program_has(self):
        for name, options in WAYS.items():
            with self.subTest(name):
                recording = self.record(target("cache_known"), options=options)
                self.assert_whole(recording)
                said = {line.split()[0]: dict(zip(line.split()[1::2], line.split()[2::2]))
                        for line in recording.stdout.decode().splitlines()}
                for cache, row in said.items():
                    told = recording.row("""SELECT hits, misses, stores, loads, load_failures, pinned_entries, sample_hits,
                                            sample_misses, open_pins FROM v_caches WHERE name = ?""", cache)
                    counts = [int(row[key]) for key in ("hits", "misses", "stores", "loads", "failed", "pinned")]
                    self.assertEqual(told, (*counts, counts[0], counts[1], counts[5]))

    def test_pins_that_are_never_given_back_are_there_with_who_took_them(self):
        recording = self.record(target("cache_known"))
        pins = recording.sql("""SELECT p.name, k.stack FROM v_cache_pins p JOIN v_stacks k USING (stack_id)
                                ORDER BY p.cache_id, p.pin""")
        self.assertEqual([row[0] for row in pins], ["pages"] * 3 + ["queries"] * 2)
        for name, stack in pins:
            self.assertIn("page_forget" if name == "pages" else "query_forget", stack)

    def test_the_curve_is_what_caches_of_these_sizes_do(self):
        recording = self.record(target("cache_known"))
        points = recording.sql("""SELECT factor, hit_ratio, error, samples, policy FROM v_cache_mrc WHERE name = 'pages'""")
        self.assertEqual(len(points), 13)
        for factor, ratio, error, samples, policy in points:
            self.assertEqual((samples, policy, error), (1403, "lru", 0))
            # A loop over 300 keys is missed until all of it fits: 100 did.
            expected = 0.7861 if factor > 2.9 else 0.3585 if factor > 0.99 else 0.0021
            self.assertLess(abs(ratio - expected), 0.001, factor)
        own = recording.sql("""SELECT m.hit_ratio, c.hit_ratio FROM v_cache_mrc m JOIN v_caches c USING (cache_id)
                               WHERE m.factor = 1""")
        for simulated, real in own:
            self.assertAlmostEqual(simulated, real, 12)

    def test_loads_are_what_misses_cost(self):
        recording = self.record(target("cache_known"))
        source, cost, load_ns = recording.row("SELECT miss_cost_source, miss_cost_ns, load_ns FROM v_caches WHERE name = 'queries'")
        self.assertEqual((source, cost), ("loads", load_ns))
        self.assertEqual(recording.row("""SELECT sum(count) FROM v_cache_histograms
                                          WHERE kind = 'load_time' AND name = 'queries'"""), (40,))


if __name__ == "__main__":
    harness.main()
