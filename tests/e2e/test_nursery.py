"""The event nursery: joining short lives into one record must not show in any figure but times.

Programs that do the same each time are recorded twice, as usual and with --events=all, which joins nothing. What the
two recordings say must be the same: totals, sites, sizes, generations, lifetimes in bytes, the live set, the peak and
who held it. (python3 is not among them: two runs of it differ by some bytes, however they are recorded. Its peak is held
against an independent count of the same run in test_real_programs.py.)
"""
import os
import shutil
import signal
import unittest

import harness
from harness import target, wait_until

PROCESS = """SELECT process_id, allocs, alloc_bytes, frees, free_bytes, reallocs, unmatched_frees, implicit_frees,
    live_blocks, live_bytes, age_bytes, peak_epoch, peak_bytes, peak_blocks, lost_events, corrupt_records
    FROM process ORDER BY process_id"""
COUNTS = """SELECT allocs, frees, reallocs, unmatched_frees, implicit_frees, live_blocks, lost_events FROM process"""
SITE = """SELECT site_id, s.process_id, function, s.allocs, s.alloc_bytes, s.reallocs, s.live_blocks, s.live_bytes,
    died_g0, died_g1, died_g2, died_g3, promoted_g1, promoted_g2, promoted_g3, min_bytes, max_bytes, life_bytes,
    iif(peak_seen = p.peak_epoch, s.peak_bytes, s.live_bytes), iif(peak_seen = p.peak_epoch, s.peak_blocks, s.live_blocks)
    FROM site AS s JOIN process AS p USING (process_id) ORDER BY site_id"""
GENERATION = """SELECT process_id, generation, sum(born), sum(died), sum(died_bytes), sum(promoted)
    FROM generation_interval GROUP BY process_id, generation ORDER BY process_id, generation"""


class OneThread(harness.Case):
    """Without randomised addresses, so that hashes of addresses are the same, too."""

    def compare(self, *command, env=None, at_least=0, expect=0, queries=(PROCESS, SITE, GENERATION),
                own_differences=0):
        command = (shutil.which("setarch"), "-R", *command)
        folded = self.record(*command, options=("--events=folded",), env=env, expect=expect)
        all_events = self.record(*command, options=("--events=all",), env=env, expect=expect)
        self.assertGreaterEqual(folded.row("SELECT sum(allocs) FROM process")[0], at_least)
        for query in queries:
            one, other = folded.sql(query), all_events.sql(query)
            self.assertEqual(len(one), len(other))
            differing = [(a, b) for a, b in zip(one, other) if a != b]
            self.assertLessEqual(len(differing), own_differences, differing)
        return folded

    def test_a_simple_leak(self):
        self.compare(target("leak_simple"), at_least=1000)

    def test_the_whole_family(self):
        self.compare(target("malloc_family"))

    def test_longjmp_exceptions_and_deep_stacks(self):
        self.compare(target("jumps"))
        self.compare(target("deep_recursion"), "200", "210")

    def test_blocks_that_stay_among_blocks_that_do_not(self):
        self.compare(target("live_blocks"), "3000", "100000", at_least=103000)

    @unittest.skipUnless(shutil.which("gcc"), "not installed: gcc")
    def test_a_compiler(self):
        """One string of cc1 is shorter in some runs than in others, however it is recorded."""
        with open(self.path("unit.c"), "w", encoding="ascii") as file:
            for i in range(300):
                file.write(f"int f{i}(int *p, int n) {{ int s = {i}; for (int i = 0; i < n; i++) "
                           f"s += p[i] * (s ^ {i * 7}); return s; }}\n")
        cc1 = self.run_plain("gcc", "-print-prog-name=cc1")[1].decode().strip()
        self.compare(cc1, "-quiet", "-O2", "-frandom-seed=1", "unit.c", "-o", "unit.s", at_least=1000000,
                     queries=(COUNTS, SITE), own_differences=1)

    @unittest.skipUnless(shutil.which("sqlite3"), "not installed: sqlite3")
    def test_sqlite(self):
        self.compare(shutil.which("sqlite3"), ":memory:",
                     "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                     "i < 20000) INSERT INTO t SELECT i, 'row ' || i FROM n; CREATE INDEX u ON t(b); "
                     "SELECT count(DISTINCT b) FROM t;", at_least=20000)

    def test_perl(self):
        self.compare("/usr/bin/perl", "-e", "my %h; $h{$_ % 977} .= \"x$_\" for 1 .. 60000; print length join('', "
                     "map { $h{$_} } sort keys %h), \"\\n\"", env={"PERL_HASH_SEED": "0"}, at_least=10000)


class ManyThreads(harness.Case):
    def test_blocks_of_sleeping_threads_are_seen_and_survive_sigkill(self):
        ready = self.path("ready")
        running = self.start(target("idle_threads"), ready, "20")
        wait_until(lambda: os.path.exists(ready), "the threads to sleep")
        live = harness.Recording(running.path)

        def live_of(function):
            if not os.path.exists(running.path):
                return None
            try:
                found = live.leak_at(function)
            except (AssertionError, KeyError):
                return None
            return found["live_blocks"], found["live_bytes"]

        wait_until(lambda: live_of("idle_keep") == (180, 18000), "the blocks of sleeping threads in the recording")
        os.kill(running.target_pid("idle_threads"), signal.SIGKILL)
        recording = running.wait()
        self.assertEqual(recording.status, 128 + signal.SIGKILL)
        self.assertEqual([recording.leak_at(f)["live_blocks"] for f in ("idle_keep", "idle_grow", "idle_scratch")],
                         [180, 20, 0])
        self.assertEqual(recording.leak_at("idle_grow")["live_bytes"], 4000)
        self.assertEqual(recording.row("SELECT sum(unmatched_frees), sum(implicit_frees), sum(lost_events) FROM process"),
                         (0, 0, 0))

    def test_sums_are_the_same_though_threads_meet_in_any_order(self):
        sums = "SELECT allocs, alloc_bytes, frees, free_bytes, unmatched_frees, implicit_frees, live_blocks FROM process"
        sites = """SELECT allocs, alloc_bytes, live_blocks, live_bytes, min_bytes, max_bytes FROM site
            WHERE allocs >= 1000 ORDER BY 1, 2, 3, 4"""
        for command in ((target("cross_free"), "2", "20000"), (target("realloc_race"), "4", "20000")):
            with self.subTest(command=command[0]):
                folded = self.record(*command, options=("--events=folded",))
                all_events = self.record(*command, options=("--events=all",))
                if "race" not in command[0]:
                    self.assertEqual(folded.sql(sums), all_events.sql(sums))
                    self.assertEqual(folded.sql(sites), all_events.sql(sites))
                self.assertEqual(folded.row("SELECT unmatched_frees, implicit_frees FROM process"), (0, 0))


if __name__ == "__main__":
    harness.main()
