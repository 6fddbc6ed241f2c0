"""Stacks against libunwind's (geomem-record --verify), and where libunwind cannot be the judge: stacks that must
reach main."""
import re

import harness

COMPARED = re.compile(r"([\d,]+) stacks were compared frame by frame with libunwind's, ([\d,]+) differ")


class Agreement(harness.Case):
    def agrees(self, *command, least, env=None):
        recording = self.record(*command, options=["--verify"], env=env)
        found = COMPARED.search(recording.stderr)
        self.assertTrue(found, recording.stderr)
        compared, differing = (int(n.replace(",", "")) for n in found.groups())
        self.assertGreaterEqual(compared, least)
        self.assertEqual(differing, 0)

    def test_perl(self):
        self.agrees("perl", "-e", "$s .= join(',', map {$_ * 2} 1..1000) for 1..20", least=20000)

    def test_python(self):
        self.agrees("/usr/bin/python3", "-c", "import json; json.loads(json.dumps([{'a': i} for i in range(300)]))",
                    least=20000, env={"PYTHONMALLOC": "malloc"})

    def test_a_compiler_and_an_assembler(self):
        source = self.path("small.cc")
        with open(source, "w", encoding="ascii") as file:
            file.write("#include <vector>\nint main() { std::vector<int> v(3); return v.size() - 3; }\n")
        self.agrees("g++", "-O1", "-c", source, "-o", self.path("small.o"), least=50000)

    def test_cxx_exceptions_and_jumps(self):
        self.agrees(harness.target("cxx_new"), least=1000)
        self.agrees(harness.target("jumps"), least=10000)

    def test_threads(self):
        self.agrees(harness.target("many_threads"), "20", "200", least=1000)


class Reload(harness.Case):
    def test_a_plugin_at_the_place_of_another_has_whole_stacks(self):
        """Two plugins with frames of different sizes, loaded in turn at one address."""
        recording = self.record(harness.target("dl_loop"), harness.target("libplugin_a.so"),
                                harness.target("libplugin_b.so"), "300")
        ends = recording.sql("""
            WITH RECURSIVE up(leaf, node) AS (
                SELECT stack_id, stack_id FROM site
                UNION ALL SELECT up.leaf, s.parent_id FROM up JOIN stack s ON s.stack_id = up.node
                          WHERE s.parent_id IS NOT NULL)
            SELECT up.leaf, max(v.function = 'main'), max(f.flags & 8)
            FROM up JOIN stack s ON s.stack_id = up.node JOIN frame f USING (frame_id) JOIN v_frames v USING (frame_id)
            GROUP BY up.leaf""")
        self.assertGreater(len(ends), 4)
        allocations = dict(recording.sql("SELECT stack_id, sum(allocs) FROM site GROUP BY 1"))
        whole = sum(allocations[leaf] for leaf, has_main, _ in ends if has_main)
        from_plugins = recording.row("""
            SELECT sum(allocations) FROM v_sites WHERE leaf_module LIKE '%libplugin%'""")[0]
        self.assertGreater(from_plugins, 300)
        lost = [leaf for leaf, has_main, lost_root in ends if lost_root]
        self.assertEqual(lost, [])
        self.assertGreaterEqual(whole, from_plugins)
        self.assertEqual(recording.row("SELECT hash_collisions FROM run")[0], 0)


if __name__ == "__main__":
    harness.main()
