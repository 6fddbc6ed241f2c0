"""A terminal to run geomem-top in: a pty whose output a pyte screen takes in.

Waiting is for what is to be seen (Terminal.wait_for), never for a time; pyte is Debian's python3-pyte.
"""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import pyte

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("GEOMEM_BUILD", os.path.join(SOURCE, "build/release")))
TOP = os.path.join(BUILD, "bin", "geomem-top")
RECORD = os.path.join(BUILD, "bin", "geomem-record")
FIXTURE = os.path.join(SOURCE, "tests/fixtures/fixture.py")
RECORDER = os.path.join(HERE, "recorder.py")
GOLDEN = os.path.join(HERE, "golden")

ALARMS = re.compile(r"LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error:")
# Longest time anything may take here; only ever waited out by a test that fails.
PATIENCE = 15

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_UP, PAGE_DOWN, HOME, END = "\x1b[5~", "\x1b[6~", "\x1b[1~", "\x1b[4~"
ENTER, ESCAPE = "\r", "\x1b"


def environment(**extra):
    env = {name: value for name, value in os.environ.items()
           if name not in ("NO_COLOR", "COLORTERM", "LINES", "COLUMNS", "LANG", "TZ")
           and not name.startswith(("LC_", "GEOMEM_"))}
    env.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
    env.update(extra)
    return {name: value for name, value in env.items() if value is not None}


class Terminal:
    def __init__(self, *arguments, size=(80, 24), stdin_null=False, as_job=False, **env):
        """env: variables to set, or None to take out."""
        self.master, self.slave = os.openpty()
        self.raw = b""
        self.error = tempfile.TemporaryFile()
        self.size = size
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.set_size(*size)
        self.before = termios.tcgetattr(self.slave)

        self.told, telling = os.pipe()  # what job.py says

        def become_leader():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            if as_job:
                os.dup2(telling, 3)

        job = [sys.executable, "-B", os.path.join(HERE, "job.py")] if as_job else []
        self.process = subprocess.Popen(
            [*job, TOP, *arguments], stdin=subprocess.DEVNULL if stdin_null else self.slave, stdout=self.slave,
            stderr=self.error, env=environment(**env), preexec_fn=become_leader,
            close_fds=not as_job)
        os.close(telling)

    def set_size(self, w, h):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", h, w, 0, 0))

    def resize(self, w, h):
        self.read(0)
        self.size = w, h
        self.screen.resize(h, w)
        self.set_size(w, h)
        self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds):
        """Takes in what comes within so many seconds; False if nothing did."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        data = os.read(self.master, 65536)
        self.raw += data
        self.stream.feed(data)
        return True

    def send(self, keys):
        os.write(self.master, keys.encode())

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_until(self, holds, what):
        end = time.monotonic() + PATIENCE
        while not holds():
            if not self.read(0.05) and (self.process.poll() is not None or time.monotonic() > end):
                if holds():
                    return
                raise AssertionError("%s: not seen%s; the screen:\n%s\n%s" % (
                    what, "" if self.process.poll() is None else ", and it ended", self.text, self.said()))

    def wait_for(self, *texts):
        """Until all texts (or patterns) are on the screen."""
        def holds():
            return all(t.search(self.text) if hasattr(t, "search") else t in self.text for t in texts)
        self.wait_until(holds, " and ".join(map(repr, texts)))

    def wait_gone(self, text):
        self.wait_until(lambda: text not in self.text, "%r to go" % text)

    def press(self, keys, *texts):
        self.send(keys)
        self.wait_for(*texts)

    def settle(self):
        """Until a picture is complete: nothing has come for a while after the last byte."""
        while self.read(0.2):
            pass

    def cell(self, x, y):
        return self.screen.buffer[y][x]

    def row_of(self, text):
        return next(i for i, line in enumerate(self.lines) if text in line)

    def said(self):
        self.error.seek(0)
        return self.error.read().decode("utf-8", "replace")

    def end(self):
        """Waits for the end; its exit status, negative for a signal."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.02)
            if time.monotonic() > deadline:
                raise AssertionError("it does not end; the screen:\n" + self.text)
        while self.read(0):
            pass
        said = self.said()
        if ALARMS.search(said):
            raise AssertionError(said)
        return self.process.returncode

    def modes_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
        os.close(self.told)
        self.error.close()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="geomem-tui-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def fixture(self, kind):
        path = self.path(kind + ".geomem")
        if not os.path.exists(path):
            subprocess.run([sys.executable, "-B", FIXTURE, kind, path], check=True)
        return path

    def terminal(self, *arguments, **options):
        terminal = Terminal(*arguments, **options)
        self.addCleanup(terminal.close)
        return terminal

    def shown(self, kind="small", *arguments, **options):
        """geomem-top on a fixture, after its first picture."""
        terminal = self.terminal("--clock=fixed", *arguments, self.fixture(kind), **options)
        terminal.wait_for("SITE")
        terminal.settle()
        return terminal

    def quit(self, terminal):
        terminal.send("q")
        self.assertEqual(terminal.end(), 0, terminal.said())
        self.assertTrue(terminal.modes_restored())

    def recorder(self, *arguments, path=None):
        """Plays a recorder; returns the file once it can be read."""
        path = path or self.path("live.geomem")
        process = subprocess.Popen([sys.executable, "-B", RECORDER, path, *arguments], stdout=subprocess.PIPE)

        def stop():
            process.kill()
            process.wait()
            process.stdout.close()
        self.addCleanup(stop)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return path, process

    def run_top(self, *arguments, **env):
        run = subprocess.run([TOP, *arguments], stdin=subprocess.DEVNULL, capture_output=True, env=environment(**env),
                             timeout=PATIENCE, cwd=self.folder)
        run.out, run.err = run.stdout.decode(), run.stderr.decode("utf-8", "replace")
        self.assertNotRegex(run.err, ALARMS)
        return run

    def golden(self, name, text):
        """Compares with tests/tui/golden/NAME.txt; GEOMEM_GOLDEN=write writes it instead."""
        path = os.path.join(GOLDEN, name + ".txt")
        if os.environ.get("GEOMEM_GOLDEN") == "write":
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            return
        with open(path, encoding="utf-8") as file:
            self.assertEqual(text + "\n", file.read(), path)
