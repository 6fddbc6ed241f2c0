"""Runs workloads plain, under geomem-record and under heaptrack, and says what each run took."""
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time

import machine
import workloads

INTERPRET = "/usr/lib/heaptrack/libexec/heaptrack_interpret"


class Run:
    """Seconds. own: CPU of the program (NaN: not known); all: CPU of everything; wall: see Server, else all of it."""

    def __init__(self, own, total, wall):
        self.own, self.all, self.wall = own, total, wall

    def ratios(self, plain):
        return self.own / plain.own, self.all / plain.own, self.wall / plain.wall


class Ways:
    def __init__(self, folder, options=()):
        self.folder = folder
        self.timed = machine.compile_c("timed.c", os.path.join(folder, "timed"))
        self.times = os.path.join(folder, "times")
        self.file = os.path.join(folder, "x.geomem")
        self.prefixes = {"plain": [], "geomem": [machine.RECORD, "-q", "-f", "-o", self.file, *options, "--"]}
        if machine.heaptrack():
            self.prefixes["heaptrack"] = [machine.heaptrack(), "-o", os.path.join(folder, "x")]
        self.heaptrack_file = os.path.join(folder, "x.zst")

    def command(self, way, workload):
        """heaptrack does not follow `timed` to the program, so that under it the program's own time is not known."""
        timed = [self.timed, self.times] if way != "heaptrack" else []
        return [*self.prefixes[way], *timed, *workload.arguments]

    def run(self, way, workload):
        """None where heaptrack failed: that does not end a bench."""
        if os.path.exists(self.times):
            os.unlink(self.times)
        errors = os.path.join(self.folder, "errors")
        with open(errors, "wb") as stderr:
            start = time.monotonic()
            process = subprocess.Popen(self.command(way, workload), stdout=subprocess.DEVNULL, stderr=stderr,
                                       stdin=subprocess.PIPE if workload.stdin else subprocess.DEVNULL,
                                       env={**os.environ, **workload.env})
            client = None
            if isinstance(workload, workloads.Server):
                client = workload.client_seconds(process)
            elif workload.stdin:
                self.feed(process, workload.stdin)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = client if client is not None else time.monotonic() - start
        if process.returncode and way == "heaptrack":
            return None
        if process.returncode:
            with open(errors, encoding="utf-8", errors="replace") as file:
                sys.exit(f"{way} {workload.arguments[0]}: exit status {process.returncode}\n{file.read()}")
        own = math.nan
        if way != "heaptrack":
            with open(self.times, encoding="ascii") as file:
                own = float(file.read().split()[0])
        return Run(own, usage.ru_utime + usage.ru_stime, wall)

    @staticmethod
    def feed(process, data):
        try:
            process.stdin.write(data)
            process.stdin.close()
        except BrokenPipeError:
            pass

    def recorded(self):
        """(events, lost events, bytes of the file, peak memory of the recorder) of the last recording."""
        db = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        events, lost, memory = db.execute("SELECT events, lost_events, recorder_rss_bytes FROM run").fetchone()
        db.close()
        return events, lost, os.path.getsize(self.file), memory


def interpreter():
    return INTERPRET if os.access(INTERPRET, os.X_OK) and shutil.which("zstd") else None


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))
