"""The recorder's own memory: bounded per live block and per site, and not growing with events."""
import os
import signal
import unittest

import harness
from harness import Tally, process_field, target, wait_until


@unittest.skipIf(harness.is_sanitized(), "a sanitizer's memory is not the recorder's")
class RecorderMemory(harness.Case):
    def peak_bytes(self, *command, expect=0):
        recording = self.record(*command, expect=expect, timeout=600)
        self.assert_whole(recording)
        return recording.row("SELECT recorder_rss_bytes FROM run")[0]

    def test_5_million_live_blocks_in_64_bytes_each_over_the_base(self):
        blocks = 5 * 10 ** 6
        base = self.peak_bytes(target("live_blocks"), "1", str(blocks))  # as many events, but nothing stays
        cost = (self.peak_bytes(target("live_blocks"), str(blocks), "0") - base) / blocks
        print(f"\n  {base / 2**20:.0f} MiB, and {cost:.1f} bytes per live block", end=" ")
        self.assertGreater(cost, 16, "a live block cannot cost less: this measures something else")
        self.assertLessEqual(cost, 64)

    def test_100_thousand_sites_and_a_bounded_cost_for_each(self):
        recording = self.record(target("many_sites"), "17", "1")
        self.assert_whole(recording)
        self.assertGreaterEqual(recording.summary["sites"], 2 ** 17)
        self.assertEqual(recording.leak_at("leaf")["live_blocks"], 2 ** 17)
        base = self.peak_bytes(target("many_sites"), "1", "65536")
        cost = (recording.row("SELECT recorder_rss_bytes FROM run")[0] - base) / 2 ** 17
        print(f"\n  {cost:.0f} bytes per site, its stack nodes, rows on their way and its live block included", end=" ")
        self.assertGreater(cost, 64, "a site cannot cost less: this measures something else")
        self.assertLessEqual(cost, 1024)

    def test_memory_does_not_grow_with_events(self):
        few = self.peak_bytes(target("live_blocks"), "1000", "1000000")
        many = self.peak_bytes(target("live_blocks"), "1000", "10000000")
        self.assertLess(many - few, 4 << 20, "9 million more pairs of events")

    def test_memory_is_steady_while_running(self):
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0", "50")
        wait_until(lambda: tally.allocs > 2000, "the start")
        first = process_field(running.pid, "VmRSS")
        goal = tally.allocs + 30000
        wait_until(lambda: tally.allocs > goal, "more rounds")
        grown = process_field(running.pid, "VmRSS") - first
        os.kill(running.target_pid("counting_loop"), signal.SIGTERM)
        running.wait()
        self.assertLess(grown, 15000 * 64 + (4 << 20), "15,000 more live blocks")


if __name__ == "__main__":
    harness.main()
