"""Programs whose every allocation is known: the recording must say exactly that."""
import collections
import re
import shutil

import harness
from harness import marker_line, target


class Leaks(harness.Case):
    def test_each_leak_has_its_blocks_bytes_and_line(self):
        recording = self.assert_recorded_as_counted(target("leak_simple"))
        for function, marker, blocks, size in (("session_new", "LEAK small", 10, 1000),
                                               ("table_init", "LEAK table", 1, 4096),
                                               ("list_grow", "LEAK grown", 3, 3000)):
            found = recording.leak_at(function, marker_line("leak_simple.c", marker), "leak_simple.c")
            self.assertEqual((found["live_blocks"], found["live_bytes"]), (blocks, size), function)
        self.assertEqual(recording.leak_at("churn")["sites"], 0, "freed blocks are no leak")

    def test_reports_of_a_simple_leak_are_as_they_were(self):
        shutil.copy(target("leak_simple"), self.path("leak_simple"))
        recording = self.record("./leak_simple")
        names = [(recording.path, "FILE"), (recording.path.rsplit("/", 1)[1], "FILE")]
        # Cut where a report goes on to rates and times, which differ from run to run. (A run of a few milliseconds may
        # have no LIVE OVER TIME, which stands before GENERATIONS.)
        cut = {"summary": "\n(LIVE OVER TIME|GENERATIONS)", "generations": "\nLIFETIMES of freed blocks, in time"}
        for command in ("leaks", "summary", "check", "peak", "generations", "tree", "flame"):
            with self.subTest(command=command):
                text = re.split(cut.get(command, "\0"), recording.report(command))[0]
                text = re.sub(r" +[\d.]+k? allocations/s.*", "", text)
                self.assert_golden(f"leak_simple.{command}.txt", text, names)

    def test_text_reports_fit_88_columns(self):
        recording = self.record(target("cxx_new"))
        for command in ("summary", "leaks", "sites", "peak", "generations", "timeline", "tree", "check"):
            text = recording.report(command)
            self.assertTrue(text.strip(), command)
            # A command to type next is as long as the name of the file.
            long = [line for line in text.splitlines() if len(line.replace(recording.path, "FILE")) > 88]
            self.assertEqual(long, [], command)

    def test_stacks_begin_at_the_allocating_function_and_end_at_main_or_below(self):
        recording = self.record(target("leak_simple"))
        for site in recording.json("leaks", "--all")["sites"]:
            functions = [frame["function"] for frame in site["stack"]]
            self.assertIn(functions[0], ("session_new", "table_init", "list_grow"))
            self.assertIn("main", functions[1:])


class Family(harness.Case):
    """Fault 15 and, in the program itself, 17 and 18."""

    def test_every_function_of_the_family_appears_with_its_size(self):
        recording = self.assert_recorded_as_counted(target("malloc_family"))
        sizes = {"malloc": 1001, "calloc": 1001, "realloc": 1003, "realloc_null": 1004, "reallocarray": 1005,
                 "memalign": 1006, "aligned_alloc": 1024, "posix_memalign": 1007, "valloc": 1008, "pvalloc": 1009,
                 "strdup": 13}
        for name, size in sizes.items():
            line = marker_line("malloc_family.c", "FN " + name)
            found = recording.leak_at("family_allocate", line)
            self.assertEqual((found["live_blocks"], found["live_bytes"]), (1, size), name)

    def test_each_site_names_the_function_that_was_called(self):
        recording = self.record(target("malloc_family"))
        rows = collections.Counter(dict(recording.sql(
            "SELECT allocator, sum(live_bytes) FROM v_sites WHERE live_blocks > 0 GROUP BY allocator")))
        self.assertEqual({name: rows[name] for name in ("calloc", "reallocarray", "memalign", "aligned_alloc",
                                                        "posix_memalign", "valloc", "pvalloc")},
                         {"calloc": 1001, "reallocarray": 1005, "memalign": 1006, "aligned_alloc": 1024,
                          "posix_memalign": 1007, "valloc": 1008, "pvalloc": 1009})
        self.assertEqual(rows["malloc"] + rows["realloc"], 1001 + 1003 + 1004 + 13)


class Cxx(harness.Case):
    def test_operator_new_in_all_its_forms(self):
        recording = self.assert_recorded_as_counted(target("cxx_new"))
        for marker, size in (("LEAK template", 24), ("LEAK array", 240), ("LEAK nothrow", 40), ("LEAK aligned", 128)):
            line = marker_line("cxx_new.cpp", marker)
            sites = [site for site in recording.json("leaks", "--all")["sites"]
                     if any(frame.get("line") == line and (frame.get("file") or "").endswith("cxx_new.cpp")
                            for frame in site["stack"])]
            self.assertEqual([(site["live_blocks"], site["live_bytes"]) for site in sites], [(1, size)], marker)

    def test_names_are_demangled(self):
        recording = self.record(target("cxx_new"))
        names = {frame["function"] for site in recording.json("sites", "--all")["sites"] for frame in site["stack"]}
        self.assertTrue(any("pool_take<Point>" in name for name in names), sorted(names))
        self.assertTrue(any(name.startswith("operator new(") for name in names), sorted(names))
        self.assertEqual([name for name in names if name.startswith("_Z")], [])


class Threads(harness.Case):
    def test_realloc_race_has_no_false_leaks(self):
        recording = self.record(target("realloc_race"), "4", "1000000" if not harness.is_sanitized() else "100000")
        self.assert_whole(recording)
        self.assertEqual(recording.leak_at("race_round")["sites"], 0)
        own = recording.row("""SELECT sum(s.allocs), sum(s.live_blocks) FROM site s JOIN v_stacks k USING (stack_id)
                               WHERE k.stack LIKE '%race_run%'""")
        self.assertGreater(own[0], 3 * 10 ** 5)
        self.assertEqual(own[1], 0, "frees are not allocations")
        self.assertEqual(recording.row("SELECT sum(unmatched_frees) FROM process"), (0,))

    def test_realloc_race_has_the_counters_figures(self):
        recording = self.assert_recorded_as_counted(target("realloc_race"), "4", "100000", peak=False)

    def test_blocks_freed_by_another_thread(self):
        recording = self.assert_recorded_as_counted(target("cross_free"), "2", "20000", peak=False)
        found = recording.leak_at("message_new")
        self.assertEqual((found["live_blocks"], found["live_bytes"]), (4000, 4000 * 48))

    def test_200_threads_at_once_keep_their_names_and_counts(self):
        recording = self.assert_recorded_as_counted(target("many_threads"), "200", "200", peak=False)
        self.assertEqual(recording.leak_at("thread_work")["live_blocks"], 200)
        self.assertEqual(recording.summary["threads"], 201)

    def test_2000_short_threads(self):
        recording = self.assert_recorded_as_counted(target("many_threads"), "100", "2000", peak=False)
        self.assertEqual(recording.leak_at("thread_work")["live_bytes"], 2000 * 72)


class Depth(harness.Case):
    def test_200_and_210_deep_stay_two_stacks_with_main_at_the_root(self):
        recording = self.assert_recorded_as_counted(target("deep_recursion"), "200", "210")
        sites = [site for site in recording.json("leaks", "--all")["sites"]
                 if site["stack"][0]["function"] == "descend"]
        depths = {site["live_bytes"]: [frame["function"] for frame in site["stack"]] for site in sites}
        self.assertEqual(sorted(depths), [1200, 1210])
        for size, stack in depths.items():
            self.assertEqual(stack.count("descend"), size - 1000)
            self.assertEqual(stack[size - 1000], "main")

    def test_fault_24_50000_deep_is_cut_with_the_root_kept_and_marked(self):
        recording = self.assert_recorded_as_counted(target("deep_recursion"), "50000", "49000")
        sites = [site for site in recording.json("leaks", "--all")["sites"]
                 if site["stack"][0]["function"] == "descend"]
        self.assertEqual(sum(site["live_blocks"] for site in sites), 2)
        self.assertEqual(recording.row("SELECT cut_stacks FROM run"), (2,))
        for site in sites:
            functions = [frame["function"] for frame in site["stack"]]
            self.assertIn("main", functions[-5:])
            self.assertIn("[frames left out]", functions)
            self.assertLess(len(functions), 5000)

    def test_longjmp_and_exceptions_leave_stacks_right(self):
        recording = self.assert_recorded_as_counted(target("jumps"))
        sites = recording.json("sites", "--all")["sites"]
        stacks = collections.Counter()
        for site in sites:
            functions = tuple(frame["function"] for frame in site["stack"])
            stacks[functions[:functions.index("main") + 1]] += site["allocations"]
        self.assertEqual(stacks[("jump_from", "main")], 15000)
        self.assertEqual(stacks[("jump_from", "jump_from", "main")], 15000)
        self.assertEqual(stacks[("main",)], 15000)


class EarlyAndLate(harness.Case):
    def test_fault_11_allocations_before_constructors_and_after_main(self):
        recording = self.assert_recorded_as_counted(target("early_late"))
        kept = recording.sql("SELECT live_bytes FROM v_leaks WHERE live_bytes BETWEEN 5001 AND 5009 ORDER BY 1")
        self.assertEqual([size for size, in kept], list(range(5001, 5010)))


class Generations(harness.Case):
    def test_what_dies_at_once_and_what_stays(self):
        recording = self.record(target("leak_simple"))
        rows = recording.sql("""SELECT leaf_function, sum(born), sum(died_g0), sum(live_blocks) FROM v_sites
                                WHERE leaf_function IN ('churn', 'session_new') GROUP BY 1 ORDER BY 1""")
        self.assertEqual(rows, [("churn", 1000, 1000, 0), ("session_new", 10, 0, 10)])

    def test_born_is_died_and_live_and_promoted_onwards(self):
        recording = self.record(target("many_sites"), "10", "100")
        bad = recording.sql("""SELECT site_id FROM site WHERE allocs - live_blocks <> died_g0 + died_g1 + died_g2 + died_g3
                               OR promoted_g1 > allocs - died_g0 OR promoted_g2 > promoted_g1 - died_g1""")
        self.assertEqual(bad, [])
        self.assertEqual(recording.row("""SELECT sum(died_g0 + died_g1 + died_g2 + died_g3) FROM site"""),
                         recording.row("SELECT sum(frees) FROM process"))


class SumsAgree(harness.Case):
    """The same figure by different tables."""

    def test_sites_processes_threads_and_intervals_add_up(self):
        recording = self.record(target("cxx_new"))
        whole = recording.row("SELECT sum(allocs), sum(frees), sum(alloc_bytes), sum(live_bytes) FROM process")
        self.assertEqual(recording.row("SELECT sum(allocs), sum(allocs - live_blocks), sum(alloc_bytes), "
                                       "sum(live_bytes) FROM site"), whole)
        self.assertEqual(recording.row("SELECT sum(allocs), sum(frees), sum(alloc_bytes) FROM process_interval"),
                         whole[:3])
        self.assertEqual(recording.row("SELECT sum(allocs), sum(frees), sum(alloc_bytes) FROM thread"), whole[:3])

    def test_what_was_live_at_the_peak_adds_up_to_the_peak(self):
        for program in (target("cxx_new"), target("leak_simple"), target("jumps")):
            recording = self.record(program)
            self.assertEqual(recording.row("SELECT sum(peak_bytes), sum(peak_blocks) FROM v_sites"),
                             recording.row("SELECT peak_bytes, peak_blocks FROM process"), program)
            self.assertEqual(recording.row("SELECT sum(run_peak_bytes) FROM v_sites"),
                             recording.row("SELECT peak_bytes FROM run"), program)


if __name__ == "__main__":
    harness.main()
