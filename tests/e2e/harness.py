"""Drives the commands from outside: records a program, reads the file back, counts independently.

A test file is a unittest module whose cases derive from Case; CTest runs each file as e2e/NAME with
GEOMEM_BUILD set to the build folder. By hand: GEOMEM_BUILD=build/release python3 tests/e2e/test_cli.py -v
Only the standard library is used, and Debian's /usr/bin/python3 is meant to run it.
"""
import collections
import contextlib
import ctypes
import json
import os
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("GEOMEM_BUILD", os.path.join(SOURCE, "build/release")))
BIN = os.path.join(BUILD, "bin")
TARGETS = os.path.join(BUILD, "tests/targets")
COUNTER = os.path.join(BUILD, "tests/count/libcount_preload.so")
RECORD = os.path.join(BIN, "geomem-record")
REPORT = os.path.join(BIN, "geomem-report")
TOP = os.path.join(BIN, "geomem-top")
GOLDEN = os.path.join(SOURCE, "tests/e2e/golden")

# What a sanitizer or a crash prints; none of it may appear in any command's output.
ALARMS = re.compile(r"LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed")


def target(name):
    return os.path.join(TARGETS, name)


def marker_line(source, marker):
    """Line number of the one line in tests/targets/SOURCE that holds the text MARKER."""
    with open(os.path.join(SOURCE, "tests/targets", source), encoding="utf-8") as lines:
        found = [number for number, line in enumerate(lines, 1)
                 if re.search(re.escape(marker) + r"( \*/)?\s*$", line)]
    if len(found) != 1:
        raise ValueError(f"{source}: {len(found)} lines end with {marker!r}")
    return found[0]


def clean_env(extra=None):
    """The environment commands run in: the caller's, without what would change their output."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("GEOMEM_", "COUNT_OUT", "LD_PRELOAD", "DEBUGINFOD"))}
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


# ---- the recording ----------------------------------------------------------------------------

class Recording:
    """A file and how it came about."""

    def __init__(self, path, status=None, stdout=b"", stderr=""):
        self.path, self.status, self.stdout, self.stderr = path, status, stdout, stderr

    def report(self, command, *arguments, expect=0):
        """Runs geomem-report COMMAND ... FILE and returns its standard output as text."""
        run = report(command, *arguments, self.path)
        if expect is not None and run.returncode != expect:
            raise AssertionError(f"geomem-report {command} {arguments}: exit status {run.returncode}, "
                                 f"expected {expect}\n{run.stdout}{run.stderr}")
        return run.stdout

    def json(self, command, *arguments):
        return json.loads(self.report(command, "--json", *arguments))

    @property
    def summary(self):
        return self.json("summary")

    def sql(self, query, *values):
        """Rows as tuples. Read-only, and not through any of the code under test."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def row(self, query, *values):
        rows = self.sql(query, *values)
        if len(rows) != 1:
            raise AssertionError(f"{query}: {len(rows)} rows")
        return rows[0]

    def leak_at(self, function, line=None, file=None):
        """Totals of the sites live at the end that have this function (and line, file) in their stack."""
        total = collections.Counter()
        for site in self.json("leaks", "--all")["sites"]:
            if any(frame_is(frame, function, line, file) for frame in site["stack"]):
                for name in ("live_blocks", "live_bytes", "allocations"):
                    total[name] += site[name]
                total["sites"] += 1
        return total


def frame_is(frame, function, line=None, file=None):
    return (frame.get("function") == function and (line is None or frame.get("line") == line)
            and (file is None or os.path.basename(frame.get("file") or "") == file))


def report(*arguments, env=None, timeout=120):
    run = run_bounded([REPORT, *arguments], timeout, env=clean_env(env), stdin=subprocess.DEVNULL, encoding="utf-8",
                      errors="replace")
    if ALARMS.search(run.stderr):
        raise AssertionError(run.stderr)
    return run


# ---- the count --------------------------------------------------------------------------------

COUNT_FIELDS = ("magic pid parent_pid allocations frees reallocs allocated_bytes freed_bytes live_blocks "
                "live_bytes peak_blocks peak_live_bytes unmatched_frees failed").split()


class Count(collections.namedtuple("Count", COUNT_FIELDS[1:] + ["command"])):
    """What libcount_preload.so counted in one process image (struct counts in tests/count/count_preload.c)."""


def count_read(folder, prefix):
    counts = []
    for name in os.listdir(folder):
        if name.startswith(prefix + "."):
            with open(os.path.join(folder, name), "rb") as file:
                raw = file.read(14 * 8 + 64)
            values = struct.unpack("<14Q64s", raw)
            if values[0] != 0x31544E554F434D47:
                raise AssertionError(f"{name}: no count in it")
            pid, image = (int(part) for part in name.rsplit(".", 2)[1:])
            counts.append((pid, image, Count(*values[1:14], values[14].split(b"\0")[0].decode())))
    return [count for _, _, count in sorted(counts, key=lambda entry: entry[:2])]


def count_sum(counts, field):
    return sum(getattr(count, field) for count in counts)


# ---- processes --------------------------------------------------------------------------------

def wait_until(condition, what, timeout=60, step=0.01):
    """Polls until condition() is true and returns its value. A timeout is a failure, never a pass."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(step)


def process_children(pid):
    children = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                children += [int(child) for child in file.read().split()]
    return children


def process_descendants(pid):
    found = process_children(pid)
    for child in found:  # grows while it is walked
        found += process_children(child)
    return found


def kill_descendants(pid):
    """Kills all that PID has started, and what they start meanwhile; reaps those that are children of this process.
    PID itself stays."""
    def living():
        found = [child for child in process_descendants(pid) if process_state(child) not in (None, "Z")]
        for child in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return found
    wait_until(lambda: not living(), f"the end of all that process {pid} started")
    for child in process_children(os.getpid()):
        if process_state(child) == "Z" and child != pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def run_bounded(command, timeout, **more):
    """subprocess.run with the output caught, but for a timeout: then nothing the command has started stays behind."""
    data = more.pop("input", None)
    if data is not None:
        more["stdin"] = subprocess.PIPE
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more) as process:
        try:
            stdout, stderr = process.communicate(data, timeout)
        except BaseException:  # the interrupt of whoever waits for the test as well
            kill_descendants(process.pid)
            process.kill()
            raise
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def process_field(pid, field):
    """A numeric field of /proc/PID/status, in bytes where it is in kB; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(field + ":"):
                    words = line.split()
                    return int(words[1]) * (1024 if words[-1] == "kB" else 1)
    except OSError:
        pass
    return None


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def become_subreaper():
    """Orphans become children of this process, so that it can wait for a target whose recorder died."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


def status_of(wait_status):
    return os.WEXITSTATUS(wait_status) if os.WIFEXITED(wait_status) else 128 + os.WTERMSIG(wait_status)


class Tally:
    """The file in which a target keeps its own count, struct target_tally in tests/targets/target.h."""

    def __init__(self, path):
        self.path = path

    def read(self):
        try:
            with open(self.path, "rb") as file:
                raw = file.read(24)
        except FileNotFoundError:
            raw = b""
        return struct.unpack("<3Q", raw) if len(raw) == 24 else (0, 0, 0)

    allocs = property(lambda self: self.read()[0])
    frees = property(lambda self: self.read()[1])
    done = property(lambda self: self.read()[2])


class Running:
    """geomem-record with its program in the background."""

    def __init__(self, case, command, options, env, path):
        self.path = path
        self.stdout = open(path + ".stdout", "w+b")
        self.stderr = open(path + ".stderr", "w+b")
        self.process = subprocess.Popen([RECORD, "-o", path, *options, "--", *command], stdout=self.stdout,
                                        stdin=subprocess.DEVNULL, stderr=self.stderr, env=clean_env(env), cwd=case.dir)
        case.addCleanup(self.close)

    pid = property(lambda self: self.process.pid)

    def target_pid(self, comm=None):
        """The recorded program's pid, once it has been executed."""
        def find():
            for child in process_children(self.pid):
                with contextlib.suppress(OSError), open(f"/proc/{child}/comm", encoding="utf-8") as file:
                    if file.read().strip() == comm:
                        return child
            if self.process.poll() is not None:
                raise AssertionError(f"geomem-record ended: {self.errors()}")
            return None
        return wait_until(find, f"the program {comm} under geomem-record")

    def errors(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def wait(self, timeout=120):
        status = self.process.wait(timeout)
        status = status if status >= 0 else 128 - status
        errors = self.errors()
        if ALARMS.search(errors):
            raise AssertionError(errors)
        self.stdout.seek(0)
        return Recording(self.path, status, self.stdout.read(), errors)

    def close(self):
        if self.process.poll() is None:
            kill_descendants(self.pid)
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.stdout.close()
        self.stderr.close()


# ---- the test case ----------------------------------------------------------------------------

class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.addCleanup(kill_descendants, os.getpid())  # the last of the cleanups
        folder = tempfile.TemporaryDirectory(prefix="geomem-e2e-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.serial = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def run_plain(self, *command, env=None, timeout=120, **more):
        """The program by itself: (status, stdout)."""
        run = run_bounded(command, timeout, env=clean_env(env), cwd=self.dir, **more)
        return (run.returncode if run.returncode >= 0 else 128 - run.returncode), run.stdout

    def run_record(self, *arguments, env=None, timeout=120, **more):
        """geomem-record with just these arguments, whatever comes of it."""
        run = run_bounded([RECORD, *arguments], timeout, env=clean_env(env), cwd=self.dir, **more)
        errors = run.stderr.decode(errors="replace")
        if ALARMS.search(errors):
            raise AssertionError(errors)
        return Recording(None, run.returncode if run.returncode >= 0 else 128 - run.returncode, run.stdout, errors)

    def record(self, *command, options=(), env=None, expect=0, timeout=240, stdin=None):
        """Records a program to its end and checks what holds of every recording."""
        self.serial += 1
        path = self.path(f"r{self.serial}.geomem")
        made = self.run_record("-o", path, *options, "--", *command, env=env, timeout=timeout,
                               **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        made.path = path
        self.assertEqual(made.status, expect, f"{command}: exit status\n{made.stderr}")
        self.assertEqual(glob_left(path), [], "files left beside the recording")
        return made

    def record_counted(self, *command, options=(), env=None, expect=0, timeout=240, stdin=None):
        """Records a program that runs on the counting oracle: the very same calls, counted twice. The recorder's
        interposer stands before the counter, as it does before any preload of the user's. Returns the recording
        and one Count per process image."""
        prefix = f"both{self.serial + 1}"
        extra = {**(env or {}), "LD_PRELOAD": COUNTER, "COUNT_OUT": self.path(prefix)}
        recording = self.record(*command, options=options, env=extra, expect=expect, timeout=timeout, stdin=stdin)
        # The preload reaches the recorder and its helpers as well.
        return recording, [count for count in count_read(self.dir, prefix) if not count.command.startswith("geomem-")]

    def assert_recorded_as_counted(self, *command, peak=True, env=None, expect=0, stdin=None, timeout=240):
        """One run, counted and recorded at once, and the two agree. Returns the recording."""
        if is_sanitized():
            # AddressSanitizer does not let the recorder start behind a preload. The release build has counted.
            recording = self.record(*command, env=env, expect=expect, stdin=stdin, timeout=timeout)
            self.assert_whole(recording)
            return recording
        recording, counts = self.record_counted(*command, env=env, expect=expect, stdin=stdin, timeout=timeout)
        self.assert_counts(recording, counts, peak)
        return recording

    def start(self, *command, options=(), env=None):
        self.serial += 1
        return Running(self, command, options, env, self.path(f"r{self.serial}.geomem"))

    def count(self, *command, env=None, expect=None, timeout=240, stdin=None):
        """Runs a program under the counting oracle: one Count per process image, in order of pid."""
        self.serial += 1
        prefix = f"count{self.serial}"
        extra = {"LD_PRELOAD": COUNTER, "COUNT_OUT": self.path(prefix), **(env or {})}
        status, _ = self.run_plain(*command, env=extra, timeout=timeout,
                                   **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        if expect is not None:
            self.assertEqual(status, expect, f"{command}: exit status under the counter")
        counts = count_read(self.dir, prefix)
        self.assertTrue(counts, f"{command}: the counter saw no process")
        return counts

    def assert_whole(self, recording):
        """Nothing lost, nothing corrupt, and the file says it is complete."""
        summary = recording.summary
        self.assertIs(summary["complete"], True, recording.report("check", expect=None))
        self.assertEqual(summary["lost_events"], 0)
        self.assertEqual(recording.row("SELECT corrupt_records, late_events, hash_collisions FROM run"), (0, 0, 0))
        self.assertEqual(recording.row("SELECT sum(implicit_frees) FROM process"), (0,))
        return summary

    def assert_counts(self, recording, counts, peak=True):
        """The recording's figures are those of the counter, to the block and byte."""
        summary = self.assert_whole(recording)
        fields = ["allocations", "frees", "allocated_bytes", "live_blocks", "live_bytes"]
        expected = {field: count_sum(counts, field) for field in fields}
        self.assertEqual({field: summary[field] for field in expected}, expected)
        if peak:
            self.assertEqual(sorted(found for found, in recording.sql("SELECT peak_bytes FROM process")),
                             sorted(count.peak_live_bytes for count in counts), "peaks of the processes")
        self.assertEqual(recording.row("SELECT sum(unmatched_frees) FROM process")[0],
                         count_sum(counts, "unmatched_frees"))
        return summary

    def assert_golden(self, name, text, replace=()):
        """TEXT, with what differs from run to run taken out, is tests/e2e/golden/NAME. GOLDEN_UPDATE=1 rewrites."""
        text = normalise(text, [*replace, (self.dir, "DIR"), (TARGETS, "TARGETS"), (SOURCE, "SOURCE")])
        path = os.path.join(GOLDEN, name)
        if os.environ.get("GOLDEN_UPDATE"):
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(text, file.read(), f"differs from {path}; GOLDEN_UPDATE=1 rewrites it")


def normalise(text, replace=()):
    """Takes out of a report what differs from run to run: paths, pids, dates, durations."""
    for old, new in replace:
        text = text.replace(old, new)
    text = ABOVE_MAIN.sub("", text)
    for pattern, new in NORMAL:
        text = re.sub(pattern, new, text)
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


# What stands above main depends on whether libc's debug symbols are installed.
ABOVE_MAIN = re.compile(r"^ +([\d.]+ k?B +\S+ +)?(__libc_start\S*|_start|libc\.so\.6\+0x[0-9a-f]+) .*\n"
                        r"|^_start;.*(?=\bmain;)", flags=re.M)


NORMAL = [
    (r"geomem \d+\.\d+(\.\d+)?", "geomem VERSION"),
    (r"\bpid \d+", "pid PID"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}|Z)?", "DATE"),
    (r" *\b\d+(\.\d+)? ?(ns|us|µs|ms|s)\b", " TIME"),
    (r" *\b\d+m\d\ds\b", " TIME"),
]


def glob_left(path):
    """Names beside a recording that begin with its name: -wal, -shm, temporary files."""
    folder, name = os.path.split(path)
    return sorted(other for other in os.listdir(folder)
                  if other.startswith(name) and other != name and not other.endswith((".stdout", ".stderr")))


def is_sanitized():
    """True when the commands were built with a sanitizer: they are slower and larger then."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        return any(line.startswith("GEOMEM_SANITIZE:") and line.strip().split("=", 1)[1] for line in cache)


SKIPPED = 77  # CTest shows a file that left out some of its tests as skipped, not as passed


def main(needs=(RECORD, REPORT)):
    missing = [path for path in (COUNTER, *needs) if not os.path.exists(path)]
    if missing:
        sys.exit(f"not built: {', '.join(missing)}; build first, or set GEOMEM_BUILD")
    become_subreaper()  # what a test leaves behind is found, and killed
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped:
        print(f"skipped {len(result.skipped)} of {result.testsRun}:")
        for test, why in result.skipped:
            print(f"  {test.id()}: {why}")
        sys.exit(SKIPPED)
