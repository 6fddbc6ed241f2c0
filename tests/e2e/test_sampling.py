"""Sampled recordings: estimates against an exact recording, frees that find their blocks, and what reports say."""
import math

import harness
from harness import target

SEEDS = range(1, 21)
MEASURES = ("allocated_bytes", "allocations", "live_bytes", "live_blocks")


def sites(recording):
    """{leaf function: {measure: (figure, variance)}} and the samples of each."""
    found = {}
    for row in recording.sql("SELECT leaf_function, samples, " + ", ".join(
            f"{m}, {m}_var" for m in MEASURES) + " FROM v_sites"):
        site = found.setdefault(row[0], {m: (0, 0.0) for m in MEASURES} | {"samples": 0})
        site["samples"] += row[1]
        for k, m in enumerate(MEASURES):
            site[m] = (site[m][0] + row[2 + 2 * k], site[m][1] + row[3 + 2 * k])
    return found


class Estimates(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.none = {m: (0, 0.0) for m in MEASURES} | {"samples": 0}

    def record_all(self):
        exact = sites(self.record(target("sampled_sites")))
        runs = [sites(self.record(target("sampled_sites"), options=("--sample=64K", "--sample-seed", str(seed))))
                for seed in SEEDS]
        return exact, runs

    def test_estimates_lie_around_the_exact_figures_as_their_errors_say(self):
        """Over 20 fixed seeds, on each site with at least 1 % of the bytes. The program allocates the same in each run,
        so that on one machine the outcome is always the same; it may differ between versions of libc by what these
        allocate at the start. The bounds are four standard deviations: of the number of cells beyond two standard
        errors, 5 % of them, and of the mean over the seeds."""
        exact, runs = self.record_all()
        total = sum(site["allocated_bytes"][0] for site in exact.values())
        large = [name for name, site in exact.items() if site["allocated_bytes"][0] >= total / 100]
        self.assertEqual(len(large), 9)
        for measure in MEASURES:
            cells = outside = 0
            for name in large:
                want = exact[name][measure][0]
                got = [run.get(name, self.none)[measure] for run in runs]
                self.assertEqual([v for v, _ in got if v != int(v)], [], "figures are integers")
                error = math.sqrt(sum(variance for _, variance in got)) / len(runs)
                mean = sum(figure for figure, _ in got) / len(runs)
                self.assertLess(abs(mean - want), 4 * error + 1, f"{name}: mean {measure} {mean}, exactly {want}")
                # The interval presumes that the estimate is about normal: not so with a handful of samples.
                if measure.startswith("live") and name in ("tiny", "small", "mixed"):
                    continue
                cells += len(runs)
                outside += sum(abs(figure - want) > 2 * math.sqrt(variance) for figure, variance in got)
            bound = 0.05 * cells + 4 * math.sqrt(cells * 0.05 * 0.95)
            print(f"{measure}: {outside} of {cells} estimates beyond two standard errors ({outside / cells:.1%})")
            self.assertLess(outside, bound, measure)

    def test_a_seed_gives_the_same_figures_again_and_another_others(self):
        first, again, other = (sites(self.record(target("sampled_sites"), options=("--sample=64K", "--sample-seed", s)))
                               for s in ("7", "7", "8"))
        # Variances are summed up commit by commit, in floating point: the last digits depend on when that was.
        def rounded(of):
            return {name: [site["samples"]] + [(site[m][0], float(f"{site[m][1]:.9g}")) for m in MEASURES]
                    for name, site in of.items()}
        self.assertEqual(rounded(first), rounded(again))
        self.assertNotEqual(rounded(first), rounded(other))

    def test_ages_are_measured_and_not_estimated(self):
        exact = self.record(target("sampled_sites"))
        sampled = self.record(target("sampled_sites"), options=("--sample=64K", "--sample-seed", "1"))
        ask = "SELECT age_bytes FROM process"
        want, got = exact.row(ask)[0], sampled.row(ask)[0]
        # Up to the last record; and the exact clock rounds blocks up to 16 bytes.
        self.assertLess(abs(got - want), 0.03 * want)
        share = "SELECT 1.0 * promoted / born FROM v_generations WHERE generation = 0"
        self.assertAlmostEqual(sampled.row(share)[0], exact.row(share)[0], delta=0.1)


class Frees(harness.Case):
    """A free that did not find its block in the set would show when the address comes out and is sampled again: as an
    implicit free. With an interval of 64 bytes most blocks are sampled."""

    def test_no_free_of_a_sampled_block_is_missed(self):
        for command in (["cross_free"], ["many_threads", "8", "400"], ["realloc_race", "4", "50000"],
                        ["children", "fork"], ["forks", "50"], ["thread_ends", "100"], ["malloc_family"],
                        ["signal_malloc", self.path("tally"), "100000"], ["cxx_new"], ["sampled_sites"]):
            with self.subTest(command=command):
                recording = self.record(target(command[0]), *command[1:], options=("--sample=64",))
                self.assertGreater(recording.row("SELECT samples FROM v_run")[0], 0)
                implicit, unmatched = recording.row("SELECT sum(implicit_frees), sum(unmatched_frees) FROM process")
                self.assertEqual(unmatched, 0)
                # A free within a handler within a handler is lost, and counted.
                self.assertLessEqual(implicit, recording.row("SELECT lost_events FROM v_run")[0])
                self.assertIn("cross-checks hold", recording.report("check", expect=None))
                self.assertNotIn("NO  sums", recording.report("check", expect=None))

    def test_what_is_freed_is_gone_to_the_last_byte(self):
        recording = self.record(target("leak_simple"), options=("--sample=64",))
        for live, variance in recording.sql("SELECT live_bytes, live_bytes_var FROM v_sites WHERE live_blocks = 0"):
            self.assertEqual((live, variance), (0, 0))


class Budget(harness.Case):
    def test_the_interval_goes_up_until_the_share_is_kept(self):
        recording = self.record(target("sampled_sites"), "20", options=("--sample=64", "--budget=0.5%"))
        low, high, budget, share, samples = recording.row(
            "SELECT sample_min_bytes, sample_max_bytes, sample_budget, sample_share, samples FROM v_run")
        self.assertEqual((low, budget), (64, 0.005))
        self.assertGreater(high, 4096)
        self.assertTrue(0 < share <= 1 and samples > 0)
        self.assertIn("the budget was 0.5%", recording.report("summary"))
        self.assertRegex(recording.stderr, r"one per 64 B to \d+ [KM]iB; recording took [\d.]+% of the CPU time")


class Reports(harness.Case):
    def test_estimates_are_shown_as_such(self):
        recording = self.record(target("sampled_sites"), options=("--sample=64K", "--sample-seed", "1"))
        for command in ("summary", "leaks", "sites", "peak", "generations", "timeline", "tree", "check"):
            text = recording.report(command)
            self.assertIn("\u2248 estimated from ", text, command)
            long = [line for line in text.splitlines() if len(line.replace(recording.path, "FILE")) > 88]
            self.assertEqual(long, [], command)
        summary = recording.summary
        self.assertTrue(summary["estimated"])
        self.assertAlmostEqual(summary["live_bytes_se"] ** 2, recording.row("SELECT live_bytes_var FROM v_run")[0],
                               delta=1e-6 * summary["live_bytes_se"] ** 2)
        self.assertFalse(self.record(target("leak_simple")).summary["estimated"])

    def test_a_limit_within_the_margin_is_not_taken_for_exceeded(self):
        recording = self.record(target("sampled_sites"), options=("--sample=1M", "--sample-seed", "1"))
        live, error = recording.summary["live_bytes"], recording.summary["live_bytes_se"]
        for limit, status, said in ((int(live - error), 0, True), (int(live - 3 * error), 1, False),
                                    (int(live + 3 * error), 0, False)):
            run = harness.report("leaks", f"--fail-on=live:{limit}", recording.path)
            self.assertEqual(run.returncode, status, limit)
            self.assertEqual("within the margin of the estimate" in run.stderr, said, run.stderr)


if __name__ == "__main__":
    harness.main()
