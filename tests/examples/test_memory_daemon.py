"""examples/memory-daemon does what it says, under load and with a whole heap, in both modes."""
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ["GEOMEM_BUILD"]
DAEMON = os.path.join(BUILD, "examples/memory-daemon")
LOAD = os.path.join(BUILD, "examples/memory-daemon-load")
PATIENCE_SECONDS = 120


class Daemon:
    """A daemon that listens, until the end of the with statement."""

    def __init__(self, mode):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "socket")
        self.mode = mode

    def __enter__(self):
        self.process = subprocess.Popen([DAEMON, f"--mode={self.mode}", "--slots=1000", self.path],
                                        stderr=subprocess.PIPE, encoding="utf-8")
        while True:
            try:
                self.client().close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(f"it ended: {self.process.stderr.read()}") from None
                time.sleep(0.005)

    def client(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE_SECONDS)
        try:
            client.connect(self.path)
        except OSError:
            client.close()
            raise
        return client

    def ask(self, *lines):
        """One connection, all lines at once; the replies without their ends."""
        with self.client() as client, client.makefile("rw", encoding="ascii") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            return [file.readline().rstrip("\n") for _ in lines]

    def stats(self):
        words = self.ask("STATS")[0].split()[1:]
        return dict(zip(words[::2], map(int, words[1::2])))

    def load(self, **options):
        run = subprocess.run([LOAD, *(f"--{name}={value}" for name, value in options.items()), self.path],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                             timeout=PATIENCE_SECONDS, check=False)
        if run.returncode:
            raise AssertionError(f"exit status {run.returncode}\n{run.stdout}{run.stderr}")
        return {name: float(value) for name, value in map(str.split, run.stdout.splitlines())}

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.status = self.process.wait(PATIENCE_SECONDS)
        self.errors = self.process.stderr.read()
        self.process.stderr.close()
        self.is_socket_left = os.path.exists(self.path)
        self.folder.cleanup()


class MemoryDaemon(unittest.TestCase):
    mode = "generational"

    def test_documents_are_found_by_their_words_until_they_go(self):
        with Daemon(self.mode) as daemon:
            replies = daemon.ask("PUT 1 the old cat", "PUT 2 the young cat cat", "FIND cat", "FIND old cat", "GET 2",
                                 "PUT 1 a dog", "FIND cat", "FIND old", "DROP 2", "GET 2", "FIND cat", "FIND dog")
        self.assertEqual(replies, [
            "OK 3 words", "OK 3 words", "OK 2(2): the young cat cat; 1(1): the old cat; ", "OK 1(2): the old cat; ",
            "OK the young cat cat", "OK 2 words", "OK 2(2): the young cat cat; ", "OK ", "OK ",
            "ERR No such file or directory", "OK ", "OK 1(1): a dog; "])

    def test_an_answer_is_cached_until_a_word_of_it_changes(self):
        with Daemon(self.mode) as daemon:
            daemon.ask("PUT 1 the old cat", "PUT 2 the young dog", "FIND cat", "FIND cat", "PUT 3 another dog", "FIND cat")
            self.assertEqual((daemon.stats()["answers_hits"], daemon.stats()["answers_misses"]), (2, 1))
            replies = daemon.ask("DROP 1", "PUT 4 a new cat", "FIND cat", "FIND dog", "FIND cat")
            self.assertEqual(replies[2:], ["OK 4(1): a new cat; ", "OK 2(1): the young dog; 3(1): another dog; ",
                                           "OK 4(1): a new cat; "])
            self.assertGreater(daemon.stats()["answers_bytes"], 0)

    def test_what_cannot_be_understood_is_refused(self):
        with Daemon(self.mode) as daemon:
            replies = daemon.ask("", "PUT", "PUT x y", "GET 1x", "get 1", "FIND", "FIND " + "a " * 5000, "PUT 7", "GET 7")
            long = daemon.client()
            with self.assertRaises(OSError):  # a line without end: the daemon hangs up
                while True:
                    long.sendall(b"x" * 65536)
            long.close()
            self.assertEqual(daemon.ask("GET 7"), ["OK "])
        self.assertTrue(all(reply.startswith("ERR ") for reply in replies[:6]), replies)
        self.assertEqual(replies[7:], ["OK 0 words", "OK "])

    def test_a_load_leaves_heap_and_index_whole(self):
        with Daemon(self.mode) as daemon:
            closed = daemon.load(documents=3000, words=30, rate=0, seconds=2, connections=4, puts=50)
            self.assertEqual(daemon.ask("CHECK"), ["OK "])
            opened = daemon.load(documents=3000, words=30, rate=200, seconds=1, connections=2, seed=5)
            self.assertEqual(daemon.ask("CHECK"), ["OK "])
            stats = daemon.stats()
            self.assertEqual(stats["documents"], 3000)
        for result in closed, opened:
            self.assertEqual(result["refused"], 0)
            self.assertGreater(result["requests"], 0)
            self.assertLessEqual(result["latency_p50_ms"], result["latency_p99.9_ms"])
            self.assertLessEqual(result["latency_p99.9_ms"], result["latency_max_ms"])
        self.assertGreater(stats["young_collections"] + stats["full_collections"], 0)
        self.check_collections(stats)
        self.assertEqual(daemon.status, 0)
        self.assertEqual(daemon.errors, "")
        self.assertFalse(daemon.is_socket_left)

    def check_collections(self, stats):
        self.assertGreater(stats["young_collections"], 0)

    def test_a_client_in_the_middle_of_a_line_does_not_keep_it_from_ending(self):
        with Daemon(self.mode) as daemon:
            with daemon.client() as client:
                client.sendall(b"GET 1\nPUT 1 half a li")
                self.assertTrue(client.recv(100).startswith(b"ERR"))
                daemon.process.send_signal(signal.SIGTERM)
                self.assertEqual(daemon.process.wait(PATIENCE_SECONDS), 0)


class MemoryDaemonMarkSweep(MemoryDaemon):
    mode = "mark-sweep"

    def check_collections(self, stats):
        self.assertEqual(stats["young_collections"], 0)


class Usage(unittest.TestCase):
    def test_wrong_options_are_named(self):
        for arguments in [], ["--mode=both", "s"], ["--slots=many", "s"], ["--cache=", "s"], ["a", "b"]:
            run = subprocess.run([DAEMON, *arguments], stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False)
            self.assertEqual((run.returncode, run.stderr[:6]), (2, "usage:"), arguments)

    def test_a_socket_that_cannot_be_made_is_named(self):
        run = subprocess.run([DAEMON, "/nowhere/socket"], stderr=subprocess.PIPE, encoding="utf-8", timeout=60,
                             check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("/nowhere/socket", run.stderr)


if __name__ == "__main__":
    unittest.main()
