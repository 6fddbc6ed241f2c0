"""A program that writes nonsense into its own recording, all the time, while it allocates: the recorder neither
crashes nor hangs, the program is unharmed, and the file says that something was wrong."""
import os

import harness
from harness import target

SEEDS = [int(seed) for seed in os.environ.get("GEOMEM_SEEDS", "0 1 2 3 4 5 6 7 8 9 10 11").split()]


class HostileWriter(harness.Case):
    def test_every_seed_ends_with_the_program_and_leaves_a_file_that_can_be_read(self):
        corrupt = 0
        for seed in SEEDS:
            with self.subTest(seed=seed):
                # Where the program overwrites the recorder's word of a ring, the ring stays full for it: no waiting.
                recording = self.record(target("scribble"), str(seed), "100000", options=["--on-full=drop"])
                self.assertEqual(recording.sql("PRAGMA integrity_check"), [("ok",)])
                found, status = recording.row("SELECT corrupt_records, exit_status FROM run")
                self.assertEqual(status, 0)
                corrupt += found
                recording.report("summary")
                recording.report("leaks", expect=None)
                check = recording.report("check", expect=None)
                self.assertIn(f"{found:,} corrupt", check)
                if found:
                    self.assertIn(f"{found:,} corrupt record", recording.stderr)
        self.assertGreater(corrupt, 0)


if __name__ == "__main__":
    harness.main()
