"""Stacks against libunwind's (geomem-record --verify)."""
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


if __name__ == "__main__":
    harness.main()
