"""Programs people run, held against the independent count.

Each runs with the counter behind the recorder's interposer, so that the very same calls are counted twice: the
figures must agree to the byte, however the program's own timing, hashing or environment differ from run to run.
It also runs under the counter alone, where the sums must lie within TOLERANCE: recording does not change what
the program does. In every case nothing is lost.
"""
import os
import shutil
import subprocess
import textwrap
import unittest

import harness
from harness import count_read, count_sum, wait_until

FIELDS = ("allocations", "frees", "allocated_bytes")
TOLERANCE = 0.01  # between two runs: two variables in the environment, temporary names, addresses that are hashed


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


class RealPrograms(harness.Case):
    def compare(self, *command, env=None, stdin=None, processes=1):
        env = {"LC_ALL": "C", "TZ": "UTC", **(env or {})}
        alone = self.count(*command, env=env, expect=0, stdin=stdin)
        recording = self.assert_recorded_as_counted(*command, env=env, stdin=stdin)
        summary = recording.summary
        print(f"\n  {os.path.basename(command[0])}: {summary['allocations']:,} allocations, {summary['frees']:,} frees, peak "
              f"{summary['peak_live_bytes']:,} B, {summary['processes']} processes", end=" ", flush=True)
        self.assertEqual(summary["processes"], len(alone))
        self.assertGreaterEqual(summary["processes"], processes)
        for field in FIELDS:
            counted = count_sum(alone, field)
            self.assertLessEqual(abs(summary[field] - counted), TOLERANCE * counted + 100, field)
        return recording

    def test_python_builds_and_parses_5_mb_of_json(self):
        script = textwrap.dedent("""
            import json
            rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", str(i)], "value": i / 7} for i in range(62000)]
            text = json.dumps(rows)
            assert len(text) > 5000000, len(text)
            assert json.loads(text)[61999]["id"] == 61999
        """)
        # -s -S -B: nothing of the user's own, no site packages, no .pyc files that a second run would find.
        self.compare("/usr/bin/python3", "-s", "-S", "-B", "-c", script,
                     env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})

    @needs("g++")
    def test_gxx_compiles_regex_and_map(self):
        with open(self.path("unit.cc"), "w", encoding="ascii") as file:
            file.write("#include <regex>\n#include <map>\n#include <string>\n"
                       "bool f(const std::string &s) { return std::regex_match(s, std::regex(\"a+(b|c)*\")); }\n"
                       "int g(std::map<std::string, int> &m) { return m[\"x\"]++; }\n")
        recording = self.compare("g++", "-O2", "-c", "unit.cc", "-o", "unit.o", processes=3)
        programs = {os.path.basename(exe) for exe, in recording.sql("SELECT exe FROM process")}
        self.assertTrue(any("cc1plus" in name for name in programs), programs)
        self.assertTrue(any(name.endswith("as") for name in programs), programs)

    @needs("sqlite3")
    def test_sqlite3_runs_a_300000_row_script(self):
        lines = ["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);", "BEGIN;"]
        lines += [f"INSERT INTO t VALUES ({i}, 'row {i}', {i / 8});" for i in range(300000)]
        lines += ["COMMIT;", "CREATE INDEX i ON t (name);", "SELECT count(*), sum(value) FROM t WHERE name LIKE 'row 1%';"]
        script = "\n".join(lines).encode()
        recording = self.compare("sqlite3", "-batch", ":memory:", stdin=script)
        self.assertIn(b"111111|", recording.stdout)

    @needs("git")
    def test_git_log_p(self):
        repository = self.path("repository")
        git = ["git", "-C", repository, "-c", "user.name=n", "-c", "user.email=e@example.org",
               "-c", "commit.gpgsign=false", "-c", "gc.auto=0"]
        env = harness.clean_env({"GIT_CONFIG_NOSYSTEM": "1", "HOME": self.dir, "GIT_AUTHOR_DATE": "1700000000 +0000",
                                 "GIT_COMMITTER_DATE": "1700000000 +0000"})
        os.mkdir(repository)
        subprocess.run([*git, "init", "-q"], check=True, env=env)
        for commit in range(40):
            for file in range(5):
                with open(os.path.join(repository, f"file{file}"), "a", encoding="ascii") as out:
                    out.writelines(f"line {commit} {line} {file}\n" for line in range(50))
            subprocess.run([*git, "add", "."], check=True, env=env)
            subprocess.run([*git, "commit", "-q", "-m", f"commit {commit}"], check=True, env=env)
        recording = self.compare("git", "-C", repository, "--no-pager", "log", "-p",
                                 env={"GIT_CONFIG_NOSYSTEM": "1", "HOME": self.dir})
        self.assertEqual(recording.stdout.count(b"\n+line "), 40 * 5 * 50)

    @needs("perl")
    def test_perl(self):
        script = ("my %h; for my $i (1..100000) { $h{'key '.($i % 5000)} .= 'x'.$i; } "
                  "my @s = sort { $h{$a} cmp $h{$b} } keys %h; print scalar(@s), qq{\\n};")
        recording = self.compare("perl", "-e", script, env={"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"})
        self.assertEqual(recording.stdout, b"5000\n")

    @needs("dot")
    def test_dot_draws_210_graphs(self):
        graphs = []
        for graph in range(210):
            edges = " ".join(f"n{i} -> n{(i * 7 + graph) % 12};" for i in range(12))
            graphs.append(f"digraph g{graph} {{ {edges} }}\n")
        recording = self.compare("dot", "-Tsvg", stdin="".join(graphs).encode())
        self.assertEqual(recording.stdout.count(b"</svg>"), 210)


@needs("redis-server", "redis-benchmark")
class Redis(harness.Case):
    def test_redis_server_under_load_stopped_by_sigterm(self):
        socket = self.path("redis.sock")
        running = self.start(
            "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", self.dir,
            "--daemonize", "no", env={"LD_PRELOAD": harness.COUNTER, "COUNT_OUT": self.path("count")})
        wait_until(lambda: os.path.exists(socket), "the server's socket")
        load = subprocess.run(["redis-benchmark", "-s", socket, "-q", "-n", "20000", "-c", "10", "-r", "5000",
                               "-t", "set,get,lpush,lpop,sadd,hset"], stdout=subprocess.DEVNULL, check=False)
        self.assertEqual(load.returncode, 0)
        running.process.terminate()
        recording = running.wait()
        self.assertEqual(recording.status, 0, recording.stderr)
        counts = [count for count in count_read(self.dir, "count") if not count.command.startswith("geomem-")]
        summary = self.assert_counts(recording, counts, peak=False)
        print(f"\n  redis-server: {summary['allocations']:,} allocations, {summary['threads']} threads", end=" ")
        self.assertGreater(summary["allocations"], 10000)


if __name__ == "__main__":
    harness.main()
