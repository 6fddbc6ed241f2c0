"""The workloads of bench/gc find their data whole, with the same result whichever way libgeomem collects."""
import os
import subprocess
import unittest

BUILD = os.environ["GEOMEM_BUILD"]
# (workload, size, threads): some seconds of all together, with collections in each.
RUNS = [("gcbench", 14, 1), ("gcbench", 14, 2), ("trees", 14, 1), ("trees", 14, 4), ("quads", 8, 1), ("linked", 40, 1),
        ("linked", 40, 2), ("scattered", 40, 1), ("queue", 100, 1), ("splay", 2, 1), ("strings", 20, 1)]
WAYS = [("barrier", "generational"), ("pages", "generational"), ("pages", "mark-sweep")]


def run(way, mode, workload, size, threads):
    """(sum, collections)"""
    program = os.path.join(BUILD, f"tests/examples/mutator_{way}")
    done = subprocess.run([program, workload, str(size), str(threads), mode], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="utf-8", timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"{way} {mode} {workload} {size} {threads}: exit status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    words = done.stdout.split()
    return int(words[1]), int(words[3])


class Mutators(unittest.TestCase):
    def test_all_ways_give_the_same_result(self):
        for workload, size, threads in RUNS:
            with self.subTest(workload=workload, threads=threads):
                results = {(way, mode): run(way, mode, workload, size, threads) for way, mode in WAYS}
                self.assertEqual(len({result for result, _ in results.values()}), 1, results)
                for way, (_, collections) in results.items():
                    self.assertGreater(collections, 0, way)


if __name__ == "__main__":
    unittest.main()
