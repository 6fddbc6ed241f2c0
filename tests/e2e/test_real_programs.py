"""Programs people run, held against the independent count.

Each program is counted twice. Where the two counts agree, the program is deterministic and the recording
must say the same to the byte; where they do not, it must lie within TOLERANCE of one of them. In every case
nothing is lost.
"""
import os
import shutil
import signal
import subprocess
import textwrap
import unittest

import harness
from harness import count_read, count_sum, wait_until

FIELDS = ("allocations", "frees", "allocated_bytes", "live_blocks", "live_bytes")
TOLERANCE = 0.005  # of a program that differs from run to run by itself


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


class RealPrograms(harness.Case):
    def sums(self, counts):
        return {field: count_sum(counts, field) for field in FIELDS}

    def compare(self, *command, env=None, stdin=None, processes=None, exact=False):
        """EXACT: it is a failure if the program is not deterministic by the counter."""
        env = {"LC_ALL": "C", "TZ": "UTC", **(env or {})}
        first = self.count(*command, env=env, expect=0, stdin=stdin)
        again = self.count(*command, env=env, expect=0, stdin=stdin)
        recording = self.record(*command, env=env, stdin=stdin)
        summary = self.assert_whole(recording)
        deterministic = self.sums(first) == self.sums(again)
        self.report_line(command[0], summary, deterministic)
        if exact:
            self.assertTrue(deterministic, f"two counts differ: {self.sums(first)} {self.sums(again)}")
        if deterministic:
            self.assertEqual({field: summary[field] for field in FIELDS}, self.sums(first))
            self.assertEqual(self.peaks(recording), sorted(count.peak_live_bytes for count in first))
        else:
            self.assert_near(summary, first, again)
        self.assertEqual(summary["processes"], len(first))
        if processes:
            self.assertGreaterEqual(summary["processes"], processes)
        return recording

    @staticmethod
    def peaks(recording):
        return sorted(peak for peak, in recording.sql("SELECT peak_bytes FROM process"))

    def assert_near(self, summary, first, again):
        for field in FIELDS:
            low, high = sorted((self.sums(first)[field], self.sums(again)[field]))
            slack = TOLERANCE * high + 2
            self.assertTrue(low - slack <= summary[field] <= high + slack,
                            f"{field}: {summary[field]}, counted {low} to {high}")

    @staticmethod
    def report_line(name, summary, deterministic):
        print(f"\n  {os.path.basename(name)}: {summary['allocations']:,} allocations, {summary['processes']} processes, "
              f"{'to the byte' if deterministic else 'differs by itself'}", end=" ", flush=True)

    def test_python_builds_and_parses_5_mb_of_json(self):
        script = textwrap.dedent("""
            import json
            rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", str(i)], "value": i / 7} for i in range(62000)]
            text = json.dumps(rows)
            assert len(text) > 5000000, len(text)
            assert json.loads(text)[61999]["id"] == 61999
        """)
        # -I -S -B: nothing of the user's own, no site packages, no .pyc files that a second run would find.
        self.compare("/usr/bin/python3", "-I", "-S", "-B", "-c", script,
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
    """A server under load, stopped by SIGTERM: its clients' timing decides what it allocates, so the recording
    is held against what must be so whatever the timing, and against a count within a wide margin."""

    def serve(self, start):
        """Runs START (which launches the server given its arguments), loads it, stops it."""
        socket = self.path("redis.sock")
        server = start(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
                        "--dir", self.dir, "--daemonize", "no", "--always-show-logo", "no"])
        wait_until(lambda: os.path.exists(socket), "the server's socket")
        load = subprocess.run(["redis-benchmark", "-s", socket, "-q", "-n", "20000", "-c", "10", "-r", "5000",
                               "-t", "set,get,lpush,lpop,sadd,hset"], stdout=subprocess.DEVNULL, check=False)
        self.assertEqual(load.returncode, 0)
        return server

    def test_redis_server_under_load_stopped_by_sigterm(self):
        def plain(arguments):
            env = harness.clean_env({"LD_PRELOAD": harness.COUNTER, "COUNT_OUT": self.path("count")})
            return subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        server = self.serve(plain)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(60), 0)
        counts = count_read(self.dir, "count")
        os.path.exists(self.path("redis.sock")) and os.unlink(self.path("redis.sock"))

        running = self.serve(lambda arguments: self.start(*arguments))
        running.process.terminate()
        recording = running.wait()
        self.assertEqual(recording.status, 0, recording.stderr)
        summary = self.assert_whole(recording)
        if summary["allocations"] < 10000:
            self.skipTest("this redis-server brings its own allocator, linked statically")
        self.assertEqual(summary["allocations"] - summary["frees"], summary["live_blocks"])
        counted = count_sum(counts, "allocations")
        print(f"\n  redis-server: {summary['allocations']:,} allocations recorded, {counted:,} counted", end=" ")
        self.assertLess(abs(summary["allocations"] - counted), 0.10 * counted)


if __name__ == "__main__":
    harness.main()
