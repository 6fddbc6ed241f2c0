"""geomem-record as a process: its control socket and registry, signals, waiting, and its other modes."""
import contextlib
import json
import os
import pty
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess

import harness
from harness import Recording, Tally, target, wait_until


class Control(harness.Case):
    def setUp(self):
        super().setUp()
        self.runtime = self.path("runtime")
        os.mkdir(self.runtime, 0o700)
        self.registry = os.path.join(self.runtime, f"geomem-{os.geteuid()}")

    def start_loop(self):
        self.serial += 1
        tally = Tally(self.path(f"tally{self.serial}"))
        running = self.start(target("counting_loop"), tally.path, "0", "200", env={"XDG_RUNTIME_DIR": self.runtime})
        wait_until(lambda: tally.allocs > 50, "the target's rounds")
        wait_until(lambda: os.path.exists(os.path.join(self.registry, str(running.pid))), "the entry")
        return running, tally

    def ask(self, running, *lines):
        """Sends lines on one connection and returns the parsed answers."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(os.path.join(self.registry, f"{running.pid}.sock"))
            answers = peer.makefile("rb")
            peer.sendall(b"".join(line + b"\n" for line in lines))
            return [json.loads(answers.readline()) for _ in lines]

    def test_status_marks_and_unknown_commands(self):
        running, _ = self.start_loop()
        status, mark, odd, empty, nothing = self.ask(running, b"status", b"mark before \x1b[31mlunch", b"dance", b"",
                                                     b"mark ")
        self.assertEqual((status["ok"], mark["ok"], odd["ok"], empty["ok"], nothing["ok"]),
                         (True, True, False, False, False))
        self.assertEqual(status["file"], running.path)
        self.assertEqual(status["recorder_pid"], running.pid)
        self.assertEqual(status["state"], "recording")
        while status["events"] == 0:  # the youngest wait in the nursery
            [status] = self.ask(running, b"status")
        self.assertEqual(status["processes_living"], 1)
        os.kill(status["program_pid"], signal.SIGTERM)
        recording = running.wait()
        self.assertEqual(recording.status, 6)
        self.assertEqual(recording.sql("SELECT process_id, text FROM mark"), [(None, "before \\x1b[31mlunch")])
        self.assertEqual(os.listdir(self.registry), [], "entry and socket are gone")
        self.assertEqual(os.listdir(self.runtime), [os.path.basename(self.registry)], "and the session's folder")

    def test_stop_finishes_the_file_and_the_program_runs_on(self):
        running, tally = self.start_loop()
        program = self.ask(running, b"status", b"stop")[0]["program_pid"]
        recording = Recording(running.path)
        wait_until(lambda: recording.row("SELECT state FROM run") == ("complete",), "the end of the file")
        self.assertEqual(recording.row("SELECT stop_reason FROM run"), ("stopped by request",))
        before = tally.allocs
        wait_until(lambda: tally.allocs > before + 50, "the program to go on")
        self.assertIsNone(running.process.poll(), "the recorder stays for the exit status")
        os.kill(program, signal.SIGTERM)
        self.assertEqual(running.wait().status, 6)
        self.assertIn("the program runs on", running.errors())

    def test_odd_clients_do_no_harm(self):
        running, tally = self.start_loop()
        path = os.path.join(self.registry, f"{running.pid}.sock")
        peers = []
        for number in range(20):  # more than are served at once; some say nothing, some half a line
            peer = socket.socket(socket.AF_UNIX)
            self.addCleanup(peer.close)
            peer.connect(path)
            if number % 2:
                peer.sendall(b"stat")
            peers.append(peer)
        for peer in peers:
            peer.close()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.settimeout(20)
            peer.sendall(b"x" * 5000)
            answers = peer.makefile("rb")
            self.assertIn("too long", json.loads(answers.readline())["error"])
        before = tally.allocs
        wait_until(lambda: tally.allocs > before + 50, "the program to go on")
        self.assertEqual(self.ask(running, b"status")[0]["state"], "recording")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        running.process.terminate()
        self.assertEqual(running.wait().status, 6)

    def test_a_killed_recorders_entry_is_cleared_away_by_the_next(self):
        running, _ = self.start_loop()
        program = self.ask(running, b"status")[0]["program_pid"]
        running.process.kill()
        running.process.wait()
        self.assertIn(str(running.pid), os.listdir(self.registry))
        os.kill(program, signal.SIGKILL)
        again, _ = self.start_loop()
        self.assertEqual(self.ask(again, b"status")[0]["recorder_pid"], again.pid)
        self.assertEqual(sorted(os.listdir(self.registry)), [str(again.pid), f"{again.pid}.sock"])
        again.process.terminate()
        again.wait()


class Unseen(harness.Case):
    def test_a_program_with_its_own_malloc_is_said_to_be_unseen(self):
        recording = self.record(harness.target("own_malloc"))
        self.assertIn("no allocation was seen: ", recording.stderr)
        self.assertEqual(recording.summary["allocations"], 0)
        self.assertNotIn("no allocation was seen", self.record(harness.target("leak_simple")).stderr)


class Signals(harness.Case):
    """Under a terminal of its own, where Ctrl-C reaches the whole foreground group."""

    def start_on_terminal(self, *command):
        path = self.path("t.geomem")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execve(harness.RECORD, [harness.RECORD, "-o", path, "--", *command], harness.clean_env(None))
        self.addCleanup(os.close, terminal)
        self.addCleanup(self.end, pid)
        return path, pid, terminal

    @staticmethod
    def end(pid):
        """After a test that failed half-way; the pid is ours until it is waited for."""
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                for child in harness.process_children(pid):
                    os.kill(child, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def status_of(self, pid):
        def ended():
            done, status = os.waitpid(pid, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if done else None
        return wait_until(ended, "geomem-record's end")[0]

    @staticmethod
    def wait_until_read(pid, number):
        """Signals of one number do not queue: a second one must not meet the first."""
        def read():
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                pending = [int(line.split()[1], 16) for line in file if line.startswith(("ShdPnd", "SigPnd"))]
            return not any(mask >> (number - 1) & 1 for mask in pending)
        wait_until(read, f"signal {number} to be taken")

    @staticmethod
    def read_until(terminal, what):
        seen = b""
        os.set_blocking(terminal, False)

        def found():
            nonlocal seen
            try:
                seen += os.read(terminal, 65536)
            except (BlockingIOError, OSError):
                pass
            return what in seen
        wait_until(found, f"{what} on the terminal")
        return seen

    def test_ctrl_c_goes_to_the_program(self):
        path, pid, terminal = self.start_on_terminal(
            "/bin/sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done")
        self.read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        self.read_until(terminal, b"caught")
        self.assertEqual(self.status_of(pid), 9)
        self.assertEqual(Recording(path).row("SELECT state, stop_reason, exit_status FROM run"),
                         ("complete", "ended", 9))

    def test_a_second_ctrl_c_ends_recording_and_the_program_runs_on(self):
        path, pid, terminal = self.start_on_terminal(
            "/usr/bin/python3", "-c", "import signal, time, os; signal.signal(signal.SIGINT, lambda *a: print('caught',"
            " flush=True)); signal.signal(signal.SIGHUP, signal.SIG_IGN); print('<%d>' % os.getpid(), flush=True)\n"
            "while True: time.sleep(0.05)")
        program = int(self.read_until(terminal, b">").split(b"<")[1].split(b">")[0])
        os.write(terminal, b"\x03")
        self.read_until(terminal, b"caught")
        self.wait_until_read(pid, signal.SIGINT)
        os.write(terminal, b"\x03")
        self.assertEqual(self.status_of(pid), 130)
        os.kill(program, 0)  # it lives
        os.kill(program, signal.SIGKILL)
        self.assertEqual(Recording(path).row("SELECT state, stop_reason, exit_status FROM run"),
                         ("complete", "stopped by request", None))

    def test_waits_for_children_and_says_so(self):
        gate = self.path("gate")
        script = f"(while [ ! -e {gate} ]; do sleep 0.05; done; exit 0) & exit 5"
        running = self.start("/bin/sh", "-c", script)
        wait_until(lambda: "waiting for" in running.errors(), "the line on waiting")
        self.assertIsNone(running.process.poll())
        with open(gate, "w", encoding="ascii"):
            pass
        recording = running.wait()
        self.assertEqual(recording.status, 5)
        self.assert_whole(recording)

    def test_a_daemon_that_has_not_called_yet_is_waited_for(self):
        """The child outlives its parent before its first event."""
        gate, code = self.path("gate"), self.path("daemon.c")
        with open(code, "w", encoding="ascii") as file:
            file.write('#include <stdlib.h>\n#include <unistd.h>\nstatic void *volatile keep;\n'
                       'int main(int c, char **v) { if (c < 2) return 1; if (fork()) _exit(7);\n'
                       'while (access(v[1], F_OK)) usleep(10000); keep = malloc(4321); return keep == 0; }\n')
        subprocess.run(["gcc", "-O0", "-o", self.path("daemon"), code], check=True)
        running = self.start(self.path("daemon"), gate)
        wait_until(lambda: "waiting for 1 process" in running.errors(), "the line on waiting")
        with open(gate, "w", encoding="ascii"):
            pass
        recording = running.wait()
        self.assertEqual(recording.status, 7)
        self.assertEqual(recording.row("SELECT live_bytes FROM process WHERE origin = 'fork'"), (4321,))

    def test_one_signal_ends_the_waiting(self):
        running = self.start("/bin/sh", "-c", "(exec sleep 1000) & echo $!; exit 5")
        wait_until(lambda: "waiting for" in running.errors(), "the line on waiting")
        running.process.send_signal(signal.SIGINT)
        recording = running.wait()
        self.assertEqual(recording.status, 5)
        self.assertEqual(recording.row("SELECT state, stop_reason FROM run"), ("complete", "stopped by request"))
        os.kill(int(recording.stdout), signal.SIGKILL)


class Edges(harness.Case):
    def test_a_failed_exec_leaves_nothing(self):
        path, busy = self.path("x.geomem"), self.path("busy")
        shutil.copy(target("leak_simple"), busy)
        with open(busy, "r+b"):  # a file that is open for writing cannot be executed
            made = self.run_record("-o", path, "--", busy, stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 4, made.stderr)
        self.assertIn(busy, made.stderr)
        self.assertEqual(len(made.stderr.splitlines()), 1, made.stderr)
        self.assertEqual([name for name in os.listdir(self.dir) if name.startswith("x.geomem")], [])

    def limited(self, which, soft, hard, *command, options=()):
        return self.run_record("-o", self.path("x.geomem"), *options, "--", *command, stdin=subprocess.DEVNULL,
                               preexec_fn=lambda: resource.setrlimit(which, (soft, hard)))

    def test_a_limit_on_file_size_hurts_the_recording_only(self):
        made = self.limited(resource.RLIMIT_FSIZE, 4 << 20, 4 << 20, target("many_sites"), "17", "1",
                            options=["--ring-size=64K", "--rings=2"])  # the rings are files in memory
        self.assertEqual(made.status, 0, made.stderr)
        self.assertIn("ulimit -f", made.stderr)
        self.assertEqual(Recording(self.path("x.geomem")).row("PRAGMA integrity_check"), ("ok",))

    def test_soft_limits_are_the_programs(self):
        script = "ulimit -S -n; ulimit -S -f"
        plain = subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, check=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 4096))).stdout
        made = self.limited(resource.RLIMIT_NOFILE, 24, 4096, "/bin/sh", "-c", script)
        self.assertEqual((made.status, made.stdout), (0, plain), made.stderr)
        made.path = self.path("x.geomem")
        self.assert_whole(made)
        os.unlink(made.path)
        made = self.limited(resource.RLIMIT_FSIZE, 4096, resource.RLIM_INFINITY, "/bin/sh", "-c", "ulimit -S -f")
        self.assertEqual((made.status, made.stdout), (0, b"8\n"), made.stderr)

    def test_an_installation_in_a_folder_with_blanks(self):
        odd = self.path("my tools: new")
        for part in ("bin/geomem-record", "lib/geomem/libgeomem_preload.so", "libexec/geomem/geomem-symbolize"):
            os.makedirs(os.path.dirname(os.path.join(odd, part)), exist_ok=True)
            shutil.copy(os.path.join(harness.BUILD, part), os.path.join(odd, part))
        path = self.path("x.geomem")
        run = subprocess.run([os.path.join(odd, "bin/geomem-record"), "-o", path, "--", target("leak_simple")],
                             env=harness.clean_env({"XDG_RUNTIME_DIR": self.dir}), stderr=subprocess.PIPE, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(Recording(path).leak_at("session_new")["live_bytes"], 1000)

    def test_a_missing_library_is_named(self):
        os.makedirs(self.path("bin"))
        shutil.copy(harness.RECORD, self.path("bin"))
        run = subprocess.run([self.path("bin/geomem-record"), "-o", self.path("x.geomem"), "--", "true"],
                             stderr=subprocess.PIPE, encoding="utf-8", check=False)
        self.assertEqual(run.returncode, 4)
        self.assertIn("libgeomem_preload.so", run.stderr)
        self.assertFalse(os.path.exists(self.path("x.geomem")))

    def test_a_recording_that_is_being_written_is_never_overwritten(self):
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0", "200")
        wait_until(lambda: tally.allocs > 50, "the target's rounds")
        made = self.run_record("-f", "-o", running.path, "--", "true", stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 2, made.stderr)
        self.assertIn("being written", made.stderr)
        running.process.terminate()
        self.assert_whole(running.wait())

    def test_a_folder_is_not_overwritten(self):
        made = self.run_record("-f", "-o", self.dir, "--", "true", stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 2, made.stderr)
        self.assertTrue(os.path.isdir(self.dir))

    def test_quiet_says_nothing_and_verbose_says_more(self):
        self.assertEqual(self.record(target("leak_simple"), options=["-q"]).stderr, "")
        self.assertIn("of CPU", self.record(target("leak_simple"), options=["-v"]).stderr)

    def test_a_program_that_drops_our_library_is_reported(self):
        made = self.record("/usr/bin/env", "-i", "/bin/true")
        self.assertIn("events", made.stderr, "env itself was recorded")


class OtherModes(harness.Case):
    def test_symbolize_finishes_a_recording(self):
        recording = self.record(target("leak_simple"), options=["--no-symbols"])
        self.assertEqual(recording.row("SELECT count(*) FROM frame_line"), (0,))
        run = self.run_record("--symbolize", recording.path)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(recording.leak_at("session_new")["live_bytes"], 1000)
        lines = recording.row("SELECT count(*) FROM frame_line")
        again = self.run_record("--symbolize", recording.path)
        self.assertIn(b"0 of them new", again.stdout)
        self.assertEqual(recording.row("SELECT count(*) FROM frame_line"), lines)
        self.assertEqual(harness.glob_left(recording.path), [])

    def test_symbolize_refuses_what_it_cannot_work_on(self):
        for path, status in ((self.path("missing"), 3), (self.dir, 3), ("/etc/passwd", 3)):
            made = self.run_record("--symbolize", path)
            self.assertEqual(made.status, status, made.stderr)
            self.assertEqual(len(made.stderr.splitlines()), 1, made.stderr)

    def test_migrate_turns_version_1_into_a_current_file(self):
        old, new = self.path("old.geomem"), self.path("new.geomem")
        fixture = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "v1.sql")
        with sqlite3.connect(old) as db, open(fixture, encoding="utf-8") as dump:
            db.executescript(dump.read())
        db.close()
        self.assertIn("3", harness.report("summary", old).stdout, "readers take it as it is")
        made = self.run_record("--symbolize", old)
        self.assertEqual(made.status, 3)
        self.assertIn("--migrate", made.stderr)
        made = self.run_record("--migrate", old, "-o", new)
        self.assertEqual((made.status, made.stderr), (0, ""))
        self.assertEqual(self.run_record("--migrate", old, "-o", new).status, 3, "never over a file")
        self.assertEqual(self.run_record("-f", "--migrate", old, "-o", old).status, 2, "never in place")
        for command in ("summary", "leaks", "sites", "peak", "timeline", "check"):
            run = harness.report(command, new)
            self.assertEqual((run.returncode, run.stderr), (0, ""), command)
            self.assertEqual(run.stdout.replace("new.geomem", ""),
                             harness.report(command, old).stdout.replace("old.geomem", ""), command)


if __name__ == "__main__":
    harness.main()
