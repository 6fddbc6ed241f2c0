"""Recordings whose rows were changed by hand: every reader gives output or one line, in bounded time."""
import contextlib
import os
import shutil
import sqlite3
import subprocess

import harness
from harness import target

BIG, SMALL = 2 ** 63 - 1, -2 ** 63
EDITS = {
    "stacks that are their own parents": "UPDATE stack_run SET parent_id = last_id",
    "stacks in circles": "UPDATE stack_run SET parent_id = (SELECT max(last_id) FROM stack_run)",
    "no sites": "DELETE FROM site_row",
    "no processes": "DELETE FROM process",
    "no intervals": "DELETE FROM interval",
    "no run": "DELETE FROM run",
    "no frames": "DELETE FROM frame; DELETE FROM frame_line",
    "huge sizes": f"UPDATE site_row SET live_bytes = {BIG}, peak_bytes = {BIG}, alloc_bytes = {BIG}, allocs = {BIG}",
    "negative sizes": f"UPDATE site_row SET live_bytes = {SMALL}, peak_bytes = {SMALL}, alloc_bytes = -1, allocs = -1",
    "huge slices": f"UPDATE site_interval SET alloc_bytes = 9e999, free_bytes = {SMALL}, allocs = {BIG}",
    "times out of order": "UPDATE interval SET start_ns = -interval_id * 1000000000000",
    "huge times": f"UPDATE interval SET end_ns = {BIG}; UPDATE run SET duration_ns = {BIG}, start_utc_ns = {SMALL}",
    "text for numbers": "UPDATE run SET duration_ns = 'long', peak_bytes = x'00ff'; UPDATE process SET pid = 'x'",
    "long text": "UPDATE string SET text = printf('%.*c', 1000000 + string_id, 'x') WHERE string_id % 7 = 0",
    "control characters": "UPDATE process SET command = char(27) || '[2J' || char(10), exe = char(0, 1, 7)",
    "no sites and stacks for the events": "UPDATE site_row SET stack_id = -5; DELETE FROM thread; DELETE FROM mark",
    "chunks that claim all and hold nothing": f"UPDATE event_chunk SET data = '', first_ns = {SMALL}, last_ns = {BIG}",
    "chunks in other places": "UPDATE event_chunk SET chunk_id = -4611686018427387904",
    "odd histograms": "UPDATE site_row SET life_bytes = '[[1,2],[3,-4],[99999,1e999],[', life_ns = 'x'",
}
REPORTS = (["summary"], ["leaks", "-a"], ["leaks", "--json"], ["sites"], ["site", "1"], ["peak"], ["generations"],
           ["generations", "--json"], ["gc"], ["gc", "--json"], ["timeline"], ["timeline", "--json"], ["tree"], ["tree", "-b", "--json"],
           ["flame"], ["check"], ["check", "--json"], ["events", "-n", "1000"], ["events", "-n", "1000", "--json"])
QUERIES = [f"SELECT * FROM {view}" for view in ("v_run", "v_process", "v_sites", "v_stacks", "v_leaks", "v_timeline",
                                               "v_generations", "v_gc",
                                               "v_gc_sites")] + ["SELECT count(*), max(stack_id) FROM gm_events"]


class HostileRows(harness.Case):
    def commands(self, path):
        yield from ([harness.REPORT, *report, path] for report in REPORTS)
        yield from ([harness.REPORT, "sql", path, query] for query in QUERIES)
        yield [harness.TOP, "-b", "-n", "1", path]
        yield [harness.TOP, "-b", "--json", "--rows=all", "-n", "1", path]

    def examine(self, command):
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                             env=harness.clean_env(), timeout=60, encoding="utf-8", errors="replace", check=False)
        self.assertIn(run.returncode, (0, 1, 2, 3), run.stderr)
        self.assertIsNone(harness.ALARMS.search(run.stderr), run.stderr)
        self.assertLessEqual(len(run.stderr.splitlines()), 1, run.stderr)
        if run.returncode in (2, 3):
            self.assertTrue(run.stderr.startswith("geomem-"), run.stderr)
            self.assertTrue(run.stderr.strip().isprintable(), repr(run.stderr))

    def test_rows_that_cannot_be_true(self):
        recording = self.record(target("cxx_new"), options=["--events=all"])
        for name, edit in EDITS.items():
            path = self.path("edited.geomem")
            shutil.copyfile(recording.path, path)
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.executescript(f"PRAGMA ignore_check_constraints = 1; BEGIN; {edit}; COMMIT;")
            for command in self.commands(path):
                with self.subTest(edit=name, command=" ".join(command[:-1]).replace(harness.BIN + os.sep, "")):
                    self.examine(command)


if __name__ == "__main__":
    harness.main()
