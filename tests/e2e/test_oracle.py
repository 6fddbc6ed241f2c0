"""The counting oracle against Valgrind's "total heap usage", and the known-answer programs by themselves."""
import re
import shutil
import subprocess
import unittest

import harness
from harness import target

# Not malloc_family: Valgrind 3.19 gives up on pvalloc.
PROGRAMS = [
    (target("leak_simple"),),
    (target("cxx_new"),),
    (target("jumps"),),
    (target("deep_recursion"), "200", "210"),
    (target("many_threads"), "20", "40"),
    (target("early_late"),),
    ("/usr/bin/sort", __file__),
]


def valgrind_usage(command):
    """(allocations, frees, bytes allocated, blocks and bytes in use at exit) as Valgrind sees them."""
    # The last two options keep Valgrind from freeing libc's own blocks at exit, which the program never does.
    run = subprocess.run(["valgrind", "--run-libc-freeres=no", "--run-cxx-freeres=no", *command],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", check=False,
                         env=harness.clean_env({"LC_ALL": "C"}))
    numbers = [int(number.replace(",", "")) for pattern in
               (r"total heap usage: ([\d,]+) allocs, ([\d,]+) frees, ([\d,]+) bytes",
                r"in use at exit: ([\d,]+) bytes in ([\d,]+) blocks")
               for number in re.search(pattern, run.stderr).groups()]
    return numbers[:3] + [numbers[4], numbers[3]]


@unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
class OracleAgainstValgrind(harness.Case):
    def test_counts_agree_to_the_byte(self):
        for command in PROGRAMS:
            with self.subTest(command=command):
                count, = self.count(*command, env={"LC_ALL": "C"})
                self.assertEqual([count.allocations, count.frees, count.allocated_bytes, count.live_blocks,
                                  count.live_bytes], valgrind_usage(command))


class OracleByItself(harness.Case):
    def test_known_program_has_known_figures(self):
        count, = self.count(target("leak_simple"), expect=0)
        self.assertEqual((count.allocations, count.frees, count.reallocs), (1017, 1003, 3))
        self.assertEqual((count.live_blocks, count.live_bytes), (14, 8096))
        self.assertEqual(count.allocated_bytes, 10 * 100 + 4096 + 3 * (10 + 1000) + 1000 * 64)
        self.assertEqual(count.peak_live_bytes, 8096 + 64)

    def test_every_function_of_the_family_is_counted(self):
        count, = self.count(target("malloc_family"), expect=0)
        self.assertEqual((count.live_blocks, count.live_bytes), (11, 10081))
        self.assertEqual((count.allocations, count.frees, count.reallocs), (22, 11, 3))
        self.assertEqual(count.failed, 5)  # one more fails before it reaches the allocator

    def test_children_and_executed_images_have_files_of_their_own(self):
        counts = self.count(target("children"), "fork", expect=0)
        self.assertEqual([count.live_bytes for count in counts], [1111, 2222])
        counts = self.count(target("children"), "exec-chain", "3", expect=7)
        self.assertEqual([count.live_bytes for count in counts], [3333] * 4)

    def test_inherited_blocks_are_unmatched_when_freed(self):
        parent, child = self.count(target("children"), "fork-free", expect=0)
        self.assertEqual((parent.frees, parent.unmatched_frees), (1, 0))
        self.assertEqual((child.allocations, child.frees, child.unmatched_frees), (1, 0, 1))

    def test_figures_survive_every_end(self):
        for how in ("return", "_exit", "quick_exit", "abort", "segv", "term", "kill", "group-exit"):
            with self.subTest(how=how):
                count, = self.count(target("ends"), how)
                self.assertGreaterEqual(count.live_blocks, 3000)
                self.assertGreaterEqual(count.frees, 2000)

    def test_a_race_of_reallocs_leaves_nothing(self):
        count, = self.count(target("realloc_race"), "4", "50000", expect=0)
        self.assertEqual(count.unmatched_frees, 0)
        self.assertGreater(count.frees, 100000)


if __name__ == "__main__":
    harness.main(needs=())
