"""What a collector in the program tells: made-up histories with one possible report."""
import json

import harness
from harness import target

SITES = """SELECT leaf_function, sum(born), sum(died_young), sum(died_old), sum(freed), sum(promoted), sum(premature),
           sum(nepotism) FROM v_gc_sites GROUP BY 1 ORDER BY 1"""
# Why, stands in gc_history.c: 8 of the cache and one to be kept die by the first full collection, those 8 when one was old
# that was promoted before them; the late ones were promoted by it, and dead by the second, when seasoned ones died too.
HISTORY_SITES = [("cache_new", 23, 0, 8, 1, 20, 8, 8), ("early_new", 1, 0, 0, 0, 1, 0, 0), ("keep_new", 10, 0, 4, 2, 10, 1, 0),
                 ("late_new", 5, 0, 5, 0, 5, 5, 5), ("short_new", 130, 130, 0, 0, 0, 0, 0),
                 ("tenured_new", 4, 0, 1, 0, 0, 0, 0)]
WAYS = {"folded": (), "all events": ("--events=all",), "no ring of its own": ("--rings=1", "--events=all")}


class History(harness.Case):
    def test_each_site_has_its_births_deaths_and_promotions(self):
        for name, options in WAYS.items():
            with self.subTest(name):
                recording = self.record(target("gc_history"), options=options)
                self.assert_whole(recording)
                self.assertEqual(recording.sql(SITES), HISTORY_SITES)

    def test_generations_of_the_collector_stand_beside_those_by_age(self):
        recording = self.record(target("gc_history"))
        rows = recording.sql("""SELECT generation, born, died, freed, promoted, premature, nepotism FROM v_generations
                                WHERE kind = 'collector' ORDER BY 1""")
        self.assertEqual(rows, [(0, 169, 131, 1, 36, 0, 0), (1, 40, 20, 2, 0, 14, 13)])
        self.assertEqual(recording.row("SELECT born, died FROM v_generations WHERE kind = 'age' AND generation = 0"),
                         (179, 154))

    def test_all_blocks_are_counted_like_any_others(self):
        recording = self.record(target("gc_history"))
        self.assertEqual(recording.row("""SELECT allocs, frees, reallocs, live_blocks, unmatched_frees, implicit_frees
                                          FROM process"""), (179, 154, 1, 25, 0, 0))
        self.assertEqual(dict(recording.sql("SELECT allocator, sum(live_blocks) FROM v_sites GROUP BY 1")),
                         {"geomem": 3, "geomem_gc": 19, "geomem_gc_old": 3})
        self.assertEqual(recording.sql("SELECT live_bytes FROM v_leaks WHERE leaf_function = 'grow'"), [(600,)])
        self.assertEqual(recording.row("SELECT sum(frees) FROM thread"), (154,))

    def test_collections_have_the_figures_that_were_told(self):
        recording = self.record(target("gc_history"))
        self.assertEqual(recording.sql("""SELECT heap, number, kind, cause, stops, pause_ns, max_pause_ns, duration_ns, mark_ns,
                                          dirty_bytes, heap_before_bytes, heap_after_bytes FROM v_gc"""),
                         [(1, 1, "young", "allocation", 1, 100000, 100000, 300000, 50000, 4096, 3000000, 2200000),
                          (1, 2, "young", "allocation", 1, 200000, 200000, 600000, 150000, 8192, 4000000, 2300000),
                          (1, 3, "full", "explicit", 1, 4000000, 4000000, 12000000, 3950000, 12288, 5000000, 1800000),
                          (1, 4, "mostly_concurrent", "limit", 2, 1500000, 1200000, 4500000, 1450000, 16384, 6000000,
                           1900000)])

    def test_the_report_says_the_same(self):
        document = self.record(target("gc_history")).json("gc")
        kinds = {kind["kind"]: kind for kind in document["collections"]}
        self.assertEqual({name: (kind["collections"], kind["pauses"]["count"], kind["pauses"]["p50_ns"],
                                 kind["pauses"]["max_ns"]) for name, kind in kinds.items()},
                         {"all": (4, 5, 300000, 4000000), "young": (2, 2, 100000, 200000), "full": (1, 1, 4000000, 4000000),
                          "mostly_concurrent": (1, 2, 300000, 1200000)})
        self.assertEqual(kinds["all"]["causes"],
                         {"allocation": 2, "explicit": 1, "limit": 1, "pressure": 0, "finish": 0})
        self.assertEqual([[generation[key + "_blocks"] for key in ("born", "died", "freed", "promoted", "premature",
                                                                   "nepotism_at_most", "live")]
                          for generation in document["gc_generations"]], [[169, 130, 1, 36, 0, 0, 2], [4, 18, 2, 0, 14, 13, 20]])
        self.assertEqual([cycle["number"] for cycle in document["cycles"]], [1, 2, 3, 4])
        self.assertEqual(document["sites"][0]["where"]["function"], "cache_new")

    def test_the_log_says_which_frees_were_the_collectors(self):
        recording = self.record(target("gc_history"), options=("--events=all",))
        run = harness.report("sql", "--json", recording.path,
                             "SELECT kind, function, realloc, implicit, collected, count(*) AS n FROM gm_events "
                             "WHERE kind IN ('alloc', 'free') GROUP BY 1, 2, 3, 4, 5")
        rows = [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in json.loads(run.stdout)["rows"]]
        self.assertEqual(sorted(rows, key=str),
                         sorted([("alloc", "geomem", 0, 0, 0, 5), ("alloc", "geomem", 1, 0, 0, 1),
                                 ("alloc", "geomem_gc", 0, 0, 0, 169), ("alloc", "geomem_gc_old", 0, 0, 0, 4),
                                 ("free", None, 0, 0, 0, 5), ("free", None, 1, 0, 0, 1), ("free", None, 0, 0, 1, 148)],
                                key=str))

    def test_a_sampled_recording_estimates_the_same(self):
        recording = self.record(target("gc_history"), options=("--sample=64",))
        born, died = recording.row("SELECT sum(born), sum(died_young + died_old + freed) FROM v_gc_sites")
        self.assertTrue(60 < born < 400 and died <= born, (born, died))
        self.assertEqual(recording.row("SELECT count(*) FROM v_gc"), (4,))


class StoppedWorld(harness.Case):
    """Threads are stopped anywhere, also with a ring in their hands that the collecting thread needs."""

    def check(self, *options):
        recording = self.record(target("gc_threads"), "8", "40", options=options)
        self.assert_whole(recording)
        self.assertEqual(recording.row("SELECT sum(unmatched_frees) FROM process"), (0,))
        self.assertEqual(recording.row("SELECT count(*) FROM v_gc"), (41,))
        self.assertEqual(recording.row("""SELECT sum(g.born) - sum(died_young) - sum(died_old), sum(freed), sum(live_blocks)
                                          FROM v_gc_sites g JOIN v_sites USING (site_id)"""), (8, 0, 8))
        self.assertEqual(recording.row("""SELECT sum(promoted) = sum(died_old) AND sum(premature) = sum(promoted)
                                          FROM v_gc_sites"""), (1,))

    def test_more_threads_than_rings(self):
        self.check("--rings=2")

    def test_more_threads_than_rings_and_every_event_by_itself(self):
        self.check("--rings=2", "--events=all")

    def test_a_ring_for_each_thread(self):
        self.check("--rings=32")


class Real(harness.Case):
    """libgeomem itself."""

    def test_a_program_with_known_deaths(self):
        for name, options in WAYS.items():
            with self.subTest(name):
                recording = self.record(target("gc_known"), options=options)
                self.assert_whole(recording)
                self.assertEqual(recording.sql("""SELECT leaf_function, born, died_young, died_old, freed, promoted, premature,
                                                  nepotism FROM v_gc_sites ORDER BY born DESC"""),
                                 [("drop_leaves", 1000, 1000, 0, 0, 0, 0, 0), ("drop_leaves", 500, 500, 0, 0, 0, 0, 0),
                                  ("node_new", 100, 0, 100, 0, 100, 0, 0), ("node_new", 50, 0, 50, 0, 50, 50, 0),
                                  ("main", 1, 0, 0, 1, 0, 0, 0)])
                self.assertEqual(recording.sql("SELECT number, kind, cause, promoted_blocks, swept_blocks FROM v_gc"),
                                 [(1, "young", "explicit", 150, 1000), (2, "young", "explicit", 0, 500),
                                  (3, "full", "explicit", 0, 50), (4, "full", "explicit", 0, 100)])
                self.assertEqual(recording.row("""SELECT allocs, frees, reallocs, live_blocks, live_bytes, unmatched_frees,
                                                  implicit_frees FROM process"""), (1672, 1667, 1, 5, 320, 0, 0))

    def test_stacks_begin_at_the_programs_call(self):
        recording = self.record(target("gc_known"))
        stacks = [[frame["function"] for frame in site["stack"]] for site in recording.json("sites", "--all")["sites"]]
        self.assertEqual({stack[0] for stack in stacks}, {"node_new", "drop_leaves", "explicit_blocks", "main"})
        self.assertIn(["node_new", "keep_list", "main"], [stack[:3] for stack in stacks])


class Unrecorded(harness.Case):
    def test_there_is_no_listener_without_a_recorder(self):
        self.assertEqual(self.run_plain(target("gc_history"))[0], 3)


if __name__ == "__main__":
    harness.main()
