"""A recording can be read while the program runs, and is one file afterwards."""
import os
import sqlite3
import subprocess

import harness
from harness import Tally, target, wait_until


class Live(harness.Case):
    def start_loop(self):
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0", "200")
        wait_until(lambda: tally.allocs > 100, "the target's rounds")
        return running, tally

    def test_readable_at_any_moment_and_growing(self):
        running, tally = self.start_loop()
        recording = harness.Recording(running.path)
        seen = [0]

        def grown():
            db = sqlite3.connect(f"file:{running.path}?mode=ro", uri=True, isolation_level=None)
            try:
                db.execute("BEGIN")
                allocs, live, state = db.execute(
                    "SELECT allocations, live_blocks, state FROM v_run").fetchone()
                sites = db.execute("SELECT sum(allocs), sum(live_blocks) FROM site").fetchone()
                self.assertEqual(state, "recording")
                self.assertEqual(sites, (allocs, live) if allocs else (None, None), "one commit is one state")
                self.assertGreaterEqual(allocs, seen[-1])
                if allocs > seen[-1]:
                    seen.append(allocs)
            finally:
                db.close()
            return len(seen) > 5
        wait_until(grown, "five commits with more in each")
        now = tally.allocs
        wait_until(lambda: recording.row("SELECT allocations FROM v_run")[0] >= now, "what had happened to be committed")
        summary = recording.summary
        self.assertIs(summary["complete"], False)
        self.assertIsNone(summary["exit_status"])
        wait_until(lambda: recording.leak_at("row_keep")["live_blocks"] > 0, "the leak under its name")  # names come later
        self.assertIn("running", recording.report("check", expect=None))

        running.process.terminate()
        done = running.wait()
        self.assertEqual(done.status, 6)
        self.assertEqual(harness.glob_left(running.path), [])
        self.assert_whole(done)
        self.assertEqual(done.leak_at("row_keep")["live_blocks"], tally.allocs - tally.allocs // 2)

    def test_sqlite3_shell_reads_it_live(self):
        running, _ = self.start_loop()

        def shell():
            run = subprocess.run(["sqlite3", "-readonly", running.path, "SELECT count(*) FROM v_leaks"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="ascii", check=False)
            return run.returncode == 0 and int(run.stdout) > 0
        wait_until(shell, "a leak in the sqlite3 shell")
        running.process.terminate()
        running.wait()

    def test_a_reader_that_stays_does_not_stop_the_recorder(self):
        running, tally = self.start_loop()
        wait_until(lambda: os.path.exists(running.path) and self.tables(running.path), "the file")
        db = sqlite3.connect(f"file:{running.path}?mode=ro", uri=True, isolation_level=None)
        db.execute("BEGIN")
        before = db.execute("SELECT allocations FROM v_run").fetchone()[0]
        goal = tally.allocs + 2000
        wait_until(lambda: harness.Recording(running.path).row("SELECT allocations FROM v_run")[0] > goal,
                   "commits past a reader")
        self.assertEqual(db.execute("SELECT allocations FROM v_run").fetchone()[0], before, "a reader sees one state")
        running.process.terminate()
        self.assertEqual(running.process.wait(60), 6)
        db.close()
        self.assertEqual(harness.Recording(running.path).row("PRAGMA integrity_check"), ("ok",))

    @staticmethod
    def tables(path):
        try:
            return harness.Recording(path).sql("SELECT 1 FROM run")
        except sqlite3.Error:
            return []

    def test_the_file_is_complete_and_indexed_after_the_end(self):
        recording = self.record(target("leak_simple"))
        self.assertEqual(recording.row("PRAGMA journal_mode"), ("delete",))
        self.assertEqual(recording.row("PRAGMA application_id"), (0x474D454D,))
        self.assertEqual(recording.row("PRAGMA integrity_check"), ("ok",))
        self.assertEqual(recording.sql("PRAGMA foreign_key_check"), [])
        self.assertEqual(recording.row("SELECT state FROM run"), ("complete",))


if __name__ == "__main__":
    harness.main()
