"""The programs that benches run: real ones, each with an input that keeps it at work for a fraction of a second or
a few. A workload is (arguments, environment, standard input) made in a folder of its own; redis is a server, and
has a client beside it that decides how long it takes (see Server)."""
import os
import shutil
import socket
import subprocess
import time


class Workload:
    def __init__(self, arguments, env=None, stdin=None):
        self.arguments, self.env, self.stdin = arguments, env or {}, stdin

    def installed(self):
        return shutil.which(self.arguments[0]) is not None


class Server(Workload):
    """A server that is started, loaded by a client and asked to end. What counts as wall time is the client's."""

    def __init__(self, arguments, port, load, stop):
        super().__init__(arguments)
        self.port, self.load, self.stop = port, load, stop

    def wait_until_it_listens(self, process):
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.005)
        return False

    def client_seconds(self, process):
        """Loads the server, ends it, and returns how long the load took; None where the server did not come up."""
        if not self.wait_until_it_listens(process):
            return None
        start = time.monotonic()
        subprocess.run(self.load, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - start
        subprocess.run(self.stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return seconds


def python_json(folder):
    script = ("import json\n"
              "rows = [{'id': i, 'name': 'row %d' % i, 'tags': ['a', 'b', str(i)], 'value': i / 7} "
              "for i in range(62000)]\n"
              "for _ in range(3): assert json.loads(json.dumps(rows))[61999]['id'] == 61999\n")
    return Workload(["/usr/bin/python3", "-s", "-S", "-B", "-c", script],
                    {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})


def perl(folder):
    script = ("my %h; for my $i (1..3000000) { $h{'key '.($i % 5000)} .= 'x'.$i; } "
              "my @s = sort { $h{$a} cmp $h{$b} } keys %h; print scalar(@s), qq{\\n};")
    return Workload(["perl", "-e", script], {"PERL_HASH_SEED": "0"})


def cmake(folder):
    return Workload(["cmake", "--help-full"])


def compiler(folder, text, *flags):
    """The compiler proper, as `g++ -###` shows it: heaptrack does not follow the driver to it."""
    source = os.path.join(folder, "unit.cc")
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    program = "g++"
    if shutil.which(program):
        program = subprocess.run([program, "-print-prog-name=cc1plus"], stdout=subprocess.PIPE, encoding="utf-8",
                                 check=True).stdout.strip()
    return Workload([program, "-quiet", *flags, "-D_GNU_SOURCE", source, "-o", os.path.join(folder, "unit.s")])


SMALL_UNIT = ("#include <map>\n#include <string>\n"
              "int g(std::map<std::string, int> &m) { return m[\"x\"]++; }\n")
LARGE_UNIT = ("#include <regex>\n" + SMALL_UNIT +
              "bool f(const std::string &s) { return std::regex_match(s, std::regex(\"a+(b|c)*\")); }\n")


def compiler_small(folder):
    return compiler(folder, SMALL_UNIT, "-O2")


def compiler_large(folder):
    return compiler(folder, LARGE_UNIT, "-O2")


def compiler_unoptimized(folder):
    """As large as heaptrack 1.4.0's interpreter was seen to stand: on the large unit with optimisation it takes all
    memory and ends with std::bad_alloc, also when it is fed afterwards from a file."""
    return compiler(folder, LARGE_UNIT, "-O0")


def sqlite(folder):
    lines = ["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);", "BEGIN;"]
    lines += [f"INSERT INTO t VALUES ({i}, 'row {i}', {i / 8});" for i in range(300000)]
    lines += ["COMMIT;", "CREATE INDEX i ON t (name);", "SELECT count(*), sum(value) FROM t WHERE name LIKE 'row 1%';"]
    return Workload(["sqlite3", "-batch", ":memory:"], {}, "\n".join(lines).encode())


def git_log(folder):
    repository = os.path.join(folder, "repository")
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": folder}
    git = ["git", "-C", repository, "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "gc.auto=0"]
    os.mkdir(repository)
    subprocess.run([*git, "init", "-q"], check=True, env=env)
    for commit in range(150):
        for number in range(5):
            with open(os.path.join(repository, f"file{number}"), "a", encoding="ascii") as out:
                out.writelines(f"line {commit} {line} {number}\n" for line in range(100))
        subprocess.run([*git, "add", "."], check=True, env=env)
        subprocess.run([*git, "commit", "-q", "-m", f"commit {commit}"], check=True, env=env)
    return Workload(["git", "-C", repository, "--no-pager", "log", "-p"], {"GIT_CONFIG_NOSYSTEM": "1", "HOME": folder})


def dot(folder):
    graphs = []
    for graph in range(210):
        edges = " ".join(f"n{i} -> n{(i * 7 + graph) % 60};" for i in range(60))
        graphs.append(f"digraph g{graph} {{ {edges} }}\n")
    return Workload(["dot", "-Tsvg"], {}, "".join(graphs).encode())


def redis(folder, requests=300000):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                 "--appendonly", "no"]
    # Pipelined, so that the server is what all wait for; one by one, a slower server gets larger batches to work on.
    load = ["redis-benchmark", "-p", str(port), "-q", "-n", str(requests), "-P", "32", "-r", "20000", "-d", "64",
            "-t", "set,get,lpush,lpop,hset"]
    return Server(arguments, port, load, ["redis-cli", "-p", str(port), "shutdown", "nosave"])


def redis_longer(folder):
    return redis(folder, 3000000)


# Those the bars are stated for; the first column of the tables.
PROGRAMS = {"python3 json": python_json, "perl": perl, "cmake": cmake, "sqlite3": sqlite, "g++ large": compiler_large,
            "g++ small": compiler_small, "git log -p": git_log, "redis": redis}
# Beside them.
MORE = {"dot -Tsvg": dot}
