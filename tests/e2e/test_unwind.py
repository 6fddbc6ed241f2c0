"""Stacks against libunwind's: geomem-record --verify compares each capture's stack as it was recorded (by the memo)
with the plain walk's, and that, frame by frame, with libunwind's unw_step.

  test_unwind.py            as tests, on small inputs
  test_unwind.py --table    on inputs large enough for 5,000,000 captures, as a table: 2 to 3 minutes

Programs that are not installed are skipped, and said to be."""
import os
import re
import shutil
import subprocess
import sys

import harness
from harness import target

COMPARED = re.compile(r"([\d,]+) stacks were compared frame by frame with libunwind's, ([\d,]+) differ")

SMALL_SOURCE = "#include <vector>\nint main() { std::vector<int> v(3); return v.size() - 3; }\n"
LARGE_SOURCE = ("#include <functional>\n#include <iostream>\n#include <map>\n#include <regex>\n#include <set>\n"
                "#include <string>\nint main() { std::map<std::string, std::set<int>> m; std::regex r(\"a+b\");\n"
                "std::cout << m.size() << std::regex_match(\"ab\", r); std::function<int()> f = [&] { return 1; };\n"
                "return f(); }\n")

PERL = "my %h; for (1..$ARGV[0]) {$h{$_ % 999} .= join(',', map {$_ * 2} 1..100); delete $h{($_ * 7) % 999}}"
PYTHON = ("import json, sys\nfor i in range(int(sys.argv[1])):\n"
          "    json.loads(json.dumps([{'a': [i, str(i)], 'b': {'c': None}} for i in range(300)]))")
RUBY = ("require 'json'; ARGV[0].to_i.times { a = (1..500).map { |i| {\"k#{i}\" => [i, i.to_s * 9]} };"
        " JSON.parse(JSON.generate(a)).sort_by { |h| h.to_s } }")
NODE = ("for (let i = 0; i < +process.argv[1]; i++) { const a = []; for (let j = 0; j < 2000; j++)"
        " a.push({['k' + j]: [j, String(j)]}); JSON.parse(JSON.stringify(a)); new Function('return ' + i)(); }")
SQL = ("CREATE TABLE t (a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
       " INSERT INTO t SELECT i, printf('%d-%s', i, hex(i * 7919)) FROM n; SELECT count(*), group_concat(b) FROM"
       " (SELECT b FROM t ORDER BY b LIMIT 500); SELECT a % 97, max(b), count(DISTINCT b) FROM t GROUP BY 1;")


class Program:
    def __init__(self, name, small, large, least, env=None):
        self.name, self.sizes, self.least, self.env = name, (small, large), least, env or {}

    def command(self, folder, large):
        return getattr(self, "make_" + self.name)(folder, self.sizes[large])

    @staticmethod
    def compiler(folder, source, level):
        path = os.path.join(folder, "source.cc")
        with open(path, "w", encoding="ascii") as file:
            file.write(source)
        cc1plus = subprocess.run(["g++", "-print-prog-name=cc1plus"], stdout=subprocess.PIPE, check=True,
                                 encoding="utf-8").stdout.strip()
        return [cc1plus, "-quiet", "-imultiarch", "x86_64-linux-gnu", "-D_GNU_SOURCE", level, "-o",
                os.path.join(folder, "source.s"), path]

    def make_cc1plus(self, folder, size):
        return self.compiler(folder, LARGE_SOURCE if size else SMALL_SOURCE, "-O2" if size else "-O1")

    def make_as(self, folder, size):
        subprocess.run(self.compiler(folder, LARGE_SOURCE if size else SMALL_SOURCE, "-O1"), check=True)
        return ["as", "-o", os.path.join(folder, "source.o"), os.path.join(folder, "source.s")]

    def make_python3(self, _, size):
        return ["/usr/bin/python3", "-c", PYTHON, str(size)]

    def make_perl(self, _, size):
        return ["perl", "-e", PERL, str(size)]

    def make_ruby(self, _, size):
        return ["ruby", "-e", RUBY, str(size)]

    def make_git(self, folder, size):
        # A repository of its own: the tests may run where there is none.
        shell = ("git init -q . && for i in $(seq {}); do seq $i 500 > file$((i % 7)); git add . && "
                 "git -c user.name=t -c user.email=t@example.org commit -qm $i; done").format(size)
        repository = os.path.join(folder, "repository")
        os.makedirs(repository, exist_ok=True)
        subprocess.run(["sh", "-c", shell], cwd=repository, check=True, env=harness.clean_env())
        return ["git", "-C", repository, "-c", "core.pager=cat", "log", "-p", "--stat"]

    def make_cmake(self, _, size):
        return ["cmake", "--help-full"] if size else ["cmake", "--help-command-list"]

    def make_sqlite3(self, _, size):
        return ["sqlite3", ":memory:", SQL.format(size)]

    def make_gdb(self, _, size):
        return ["gdb", "-nx", "-batch", "-ex", "info functions " + ("" if size else "main"), "-ex", "info types",
                "-ex", "disassemble main", target("cxx_throw")]

    def make_node(self, _, size):
        return ["node", "-e", NODE, str(size)]

    def make_exceptions(self, _, size):
        return [target("cxx_throw"), str(size)]

    def make_longjmp(self, _, size):
        return [target("jumps"), str(size)]

    def make_coroutines(self, _, size):
        return [target("coroutines"), str(size)]

    def make_threads(self, _, size):
        return [target("many_threads"), "40", str(size)]


PROGRAMS = [
    Program("cc1plus", 0, 1, 40000), Program("as", 0, 1, 100),
    Program("python3", 1, 40, 20000, {"PYTHONMALLOC": "malloc"}), Program("perl", 200, 20000, 10000),
    Program("ruby", 1, 30, 2000), Program("git", 20, 200, 1000), Program("cmake", 0, 1, 1000),
    Program("sqlite3", 2000, 300000, 1000), Program("gdb", 0, 1, 2000), Program("node", 2, 40, 5000),
    Program("exceptions", 1000, 40000, 10000), Program("longjmp", 0, 0, 44000), Program("coroutines", 800, 800, 25000),
    Program("threads", 80, 4000, 800),
]


def installed(command):
    return shutil.which(command[0]) is not None


class Agreement(harness.Case):
    def compare(self, program, large=False):
        """(compared, differing)"""
        command = program.command(self.dir, large)
        if not installed(command):
            self.skipTest(f"{command[0]} is not installed")
        recording = self.record(*command, options=["--verify", "--no-symbols"], env=program.env, timeout=600)
        found = COMPARED.search(recording.stderr)
        self.assertTrue(found, recording.stderr)
        return tuple(int(n.replace(",", "")) for n in found.groups())


def agreement_test(program):
    def test(self):
        compared, differing = self.compare(program)
        self.assertGreaterEqual(compared, program.least)
        self.assertEqual(differing, 0)
    return test


for each in PROGRAMS:
    setattr(Agreement, "test_" + each.name, agreement_test(each))


def table_print():
    sums = [0, 0]
    print(f"{'program':12}{'captures':>12}{'differ':>8}")
    for program in PROGRAMS:
        case = Agreement("test_" + program.name)
        case.setUp()
        try:
            found = case.compare(program, large=True)
            sums = [a + b for a, b in zip(sums, found)]
            print(f"{program.name:12}{found[0]:>12,}{found[1]:>8,}", flush=True)
        except harness.unittest.SkipTest as skipped:
            print(f"{program.name:12}  {skipped}")
        finally:
            case.doCleanups()
    print(f"{'together':12}{sums[0]:>12,}{sums[1]:>8,}")
    return sums[1] > 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        sys.exit(table_print())
    harness.main()
