"""The faults a recording survives, by the numbers of docs/faults.md. Each is made to happen."""
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import unittest

import harness
from harness import Tally, process_state, target, wait_until

ROUNDS_FAST = 200000


class KilledTarget(harness.Case):
    def test_fault_01_target_killed_in_mid_run_keeps_all_that_had_returned(self):
        base = self.base_allocations()
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0")
        pid = running.target_pid("counting_loop")
        wait_until(lambda: tally.allocs > ROUNDS_FAST, "the target's rounds")
        os.kill(pid, signal.SIGKILL)
        recording = running.wait()
        self.assertEqual(recording.status, 137)
        summary = self.assert_whole(recording)
        self.assertIn(summary["allocations"] - base - tally.allocs, (0, 1), "one may have been on its way")
        # The last free may have been stamped though the block never went back.
        self.assertIn(summary["frees"] - tally.frees, (0, 1))
        self.assertEqual(summary["exit_status"], 137)
        self.assertIn("ended by signal 9", recording.report("check", expect=None))

    def base_allocations(self):
        """What the program allocates outside its loop."""
        count, = self.count(target("counting_loop"), self.path("t"), "1", expect=6)
        return count.allocations - 2


class KilledRecorder(harness.Case):
    def test_fault_02_recorder_killed_target_goes_on_and_the_file_stays(self):
        harness.become_subreaper()
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "20000", "100")
        pid = running.target_pid("counting_loop")
        wait_until(lambda: tally.allocs > 2000, "the target's rounds")
        before = tally.allocs
        recording = harness.Recording(running.path)
        wait_until(lambda: recording.row("SELECT allocations FROM v_run")[0] >= before, "a commit of what came before")
        self.assertLess(tally.allocs, 40000, "the target is still running")
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()
        _, status = os.waitpid(pid, 0)
        self.assertEqual(harness.status_of(status), 6, "the target's own status")
        self.assertEqual((tally.done, tally.allocs), (1, 40000))
        summary = recording.summary
        self.assertIs(summary["complete"], False)
        self.assertGreaterEqual(summary["allocations"], before)
        self.assertRegex(recording.report("check", expect=None), r"\bcut\b|cut short|recorder")
        self.assertEqual(recording.row("PRAGMA integrity_check"), ("ok",))

    def test_fault_02_a_later_recorder_clears_away_the_folder_of_a_killed_one(self):
        def folder(running):
            pid = running.target_pid("counting_loop")
            with open(f"/proc/{pid}/environ", "rb") as file:
                entries = dict(e.partition(b"=")[::2] for e in file.read().split(b"\0"))
            return os.path.dirname(entries[b"GEOMEM_SESSION"].decode())
        harness.become_subreaper()
        killed, living = (self.start(target("counting_loop"), Tally(self.path(f"t{i}")).path, "0", "100")
                          for i in range(2))
        left, held = folder(killed), folder(living)
        orphan = killed.target_pid("counting_loop")
        os.kill(killed.pid, signal.SIGKILL)
        killed.process.wait()
        os.kill(orphan, signal.SIGKILL)
        os.waitpid(orphan, 0)
        self.assertTrue(os.path.isdir(left))
        for path in (left, held):
            os.utime(path, (0, 0))
        self.record("/bin/true")
        self.assertFalse(os.path.exists(left), "a killed recorder's folder is gone")
        self.assertTrue(os.path.isdir(held), "a living recorder's folder stays")
        os.kill(living.target_pid("counting_loop"), signal.SIGTERM)
        living.wait()

    def test_fault_02_a_fast_target_does_not_wait_for_a_dead_recorder(self):
        harness.become_subreaper()
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "3000000")
        pid = running.target_pid("counting_loop")
        wait_until(lambda: tally.allocs > 1000, "the target's rounds")
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()
        _, status = os.waitpid(pid, 0)
        self.assertEqual(harness.status_of(status), 6)
        self.assertEqual(tally.allocs, 6000000)

    def test_fault_02_a_child_of_the_abandoned_keeps_its_memory(self):
        harness.become_subreaper()
        running = self.start(target("children"), "abandoned")
        pid = running.target_pid("children")
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            wait_until(lambda: maps.seek(0) == 0 and "geomem-session" in maps.read(), "the session to be mapped")
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()
        _, status = os.waitpid(pid, 0)
        self.assertEqual(harness.status_of(status), 4, "as the grandchild ended")


class StoppedRecorder(harness.Case):
    def stop_and_go_on(self, *options):
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "3000000", options=options)
        pid = running.target_pid("counting_loop")
        wait_until(lambda: tally.allocs > 1000, "the target's rounds")
        os.kill(running.pid, signal.SIGSTOP)
        wait_until(lambda: process_state(running.pid) == "T", "the recorder to stop")
        wait_until(lambda: process_state(pid) in ("Z", None), "the target to end without its recorder", timeout=120)
        os.kill(running.pid, signal.SIGCONT)
        recording = running.wait()
        self.assertEqual(recording.status, 6)
        self.assertEqual((tally.done, tally.allocs), (1, 6000000))
        return recording, tally

    def test_fault_03_stopped_recorder_blocks_the_target_within_a_bound_and_counts_losses(self):
        recording, tally = self.stop_and_go_on()
        summary = recording.summary
        self.assertGreater(summary["lost_events"], 0)
        events, lost = recording.row("SELECT events, lost_events FROM run")
        base, = self.count(target("counting_loop"), self.path("t"), "1", expect=6)
        own = base.allocations - 2 + base.frees - 1
        self.assertEqual(events + lost, tally.allocs + tally.frees + own, "each event is recorded or counted as lost")
        self.assertIn("lost", recording.report("check", expect=None))
        self.assertIn("lost", recording.report("summary"))
        self.assertIn("lost", recording.stderr)

    def test_fault_03_on_full_drop(self):
        recording, tally = self.stop_and_go_on("--on-full=drop")
        events, lost = recording.row("SELECT events, lost_events FROM run")
        self.assertGreater(lost, 0)
        self.assertGreaterEqual(events + lost, tally.allocs + tally.frees)


@unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
class FullDisk(harness.Case):
    def setUp(self):
        super().setUp()
        self.mount = self.path("small")
        os.mkdir(self.mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.mount], check=False,
                              stderr=subprocess.PIPE)
        if made.returncode:
            self.skipTest(f"cannot mount: {made.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", self.mount], check=False)

    def test_fault_04_disk_full_target_unharmed_and_file_valid(self):
        path = os.path.join(self.mount, "full.geomem")
        made = self.run_record("-o", path, "--", target("many_sites"), "14", "1", "150",
                               stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 0, made.stderr)
        self.assertIn(path, made.stderr)
        self.assertRegex(made.stderr, r"full|No space")
        recording = harness.Recording(path)
        self.assertEqual(recording.row("PRAGMA integrity_check"), ("ok",))
        self.assertGreater(recording.row("SELECT events FROM run")[0], 0, "commits before the disk was full")
        self.assertRegex(recording.report("check", expect=None), r"disk full|CUT")
        self.assertIs(recording.summary["complete"], False)

    def test_fault_04_no_room_from_the_start(self):
        with contextlib.suppress(OSError), open(os.path.join(self.mount, "filler"), "wb", buffering=0) as filler:
            for _ in range(600):
                filler.write(b"x" * 4096)
        path = os.path.join(self.mount, "none.geomem")
        made = self.run_record("-o", path, "--", target("leak_simple"), stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 4, made.stderr)
        self.assertIn(path, made.stderr)
        self.assertRegex(made.stderr, r"full|No space")


class Children(harness.Case):
    def processes(self, *arguments, expect=0, options=()):
        recording = self.record(target("children"), *arguments, expect=expect, options=options)
        self.assert_whole(recording)
        return recording, recording.sql("SELECT origin, live_bytes, end_kind, end_value FROM v_process ORDER BY process_id")

    def test_fork_child_is_a_process_of_the_same_recording(self):
        recording, rows = self.processes("fork")
        self.assertEqual(rows, [("root", 1111, "exit", 0), ("fork", 2222, "exit", 3)])
        self.assertEqual(recording.leak_at("keep_in_child")["live_bytes"], 2222)
        self.assertEqual(recording.row("SELECT parent_process_id FROM process WHERE origin = 'fork'"), (1,))
        self.assert_counts(recording, self.count(target("children"), "fork"))

    def test_inherited_blocks_are_kept_apart(self):
        recording, rows = self.processes("fork-free")
        self.assertEqual([row[:2] for row in rows], [("root", 0), ("fork", 2222)])
        self.assertEqual(recording.row("SELECT unmatched_frees FROM process WHERE origin = 'fork'"), (1,))

    def test_grandchild_without_parent_is_recorded(self):
        _, rows = self.processes("double-fork")
        self.assertEqual(sorted(row[1] for row in rows if row[0] == "fork"), [0, 2222] if len(rows) == 3 else [2222])

    def test_a_daemon_is_waited_for_before_its_first_event(self):
        _, rows = self.processes("daemon")
        self.assertEqual([row[:2] for row in rows][-1], ("fork", 2222))

    def test_fault_05_fork_from_a_multithreaded_program(self):
        recording, rows = self.processes("fork-threads")
        forks = [row for row in rows if row[0] == "fork"]
        self.assertEqual([(row[1], row[3]) for row in forks], [(2222, child) for child in range(5)])
        self.assertEqual(recording.leak_at("keep_in_child")["live_blocks"], 5)
        self.assertEqual(recording.leak_at("thread_churn")["sites"], 0)

    def test_fault_06_fork_storm_is_one_recording(self):
        recording, rows = self.processes("storm", "300")
        self.assertEqual(len(rows), 301)
        self.assertEqual(recording.leak_at("keep_in_child")["live_bytes"], 300 * 2222)

    def test_fault_07_vfork_spawn_system_and_popen(self):
        for mode in ("vfork", "spawn", "system", "popen"):
            with self.subTest(mode=mode):
                recording, rows = self.processes(mode, expect=7)
                self.assertEqual(rows[0][:2], ("root", 1111))
                self.assertEqual(recording.leak_at("keep_in_image")["live_bytes"], 3333)
                self.assertEqual(recording.leak_at("keep_in_parent")["live_bytes"], 1111)
                self.assertEqual([row[2:] for row in rows if row[1] == 3333], [("exit", 7)])

    def test_fault_07_overlapping_and_cancelled_system_leave_the_environment(self):
        _, rows = self.processes("system-threads")
        self.assertGreaterEqual(len(rows), 5, "each shell is a process of the recording")

    def test_fault_07_exec_chain_makes_an_image_of_each(self):
        _, rows = self.processes("exec-chain", "3", expect=7)
        self.assertEqual([row[:3] for row in rows], [("root", 3333, "exec")] + [("exec", 3333, "exec")] * 2
                         + [("exec", 3333, "exit")])
        self.assertEqual(rows[-1][3], 7)

    def test_fault_07_failed_exec_changes_nothing(self):
        recording, rows = self.processes("exec-fail", expect=5)
        self.assertEqual(rows, [("root", 1111 + 1112, "exit", 5)])
        self.assertEqual(recording.summary["exit_status"], 5)

    def test_no_follow_leaves_children_alone(self):
        for mode, expect in (("fork", 0), ("spawn", 7), ("system", 7), ("vfork", 7)):
            with self.subTest(mode=mode):
                _, rows = self.processes(mode, expect=expect, options=["--no-follow"])
                self.assertEqual([row[:2] for row in rows], [("root", 1111)])


class Environment(harness.Case):
    def compare_environment(self, extra):
        """Nothing but the order of the variables may differ."""
        env = {**extra, "_": "/usr/bin/env"}
        _, plain = self.run_plain(target("show_env"), env=env)
        recording = self.record(target("show_env"), env=env)
        plain = plain.decode().splitlines()
        changed = sorted(set(plain) ^ set(recording.stdout.decode().splitlines()))
        self.assertEqual(changed, [])
        self.assertEqual(len(recording.stdout.decode().splitlines()), len(plain))
        return plain, recording

    def test_fault_07_environment_is_as_the_program_expects(self):
        self.compare_environment({"MARKER": "mine"})

    @unittest.skipIf(harness.is_sanitized(), "AddressSanitizer does not let the recorder start behind a preload")
    def test_fault_07_the_users_own_preload_is_kept(self):
        plain, recording = self.compare_environment({"LD_PRELOAD": target("libearly_library.so")})
        self.assertIn("getenv LD_PRELOAD=" + target("libearly_library.so"), plain)
        kept = recording.row("SELECT sum(live_blocks) FROM v_leaks WHERE leaf_function = 'library_begin'")
        self.assertGreaterEqual(kept[0], 1, "the user's library ran, too")


class Nested(harness.Case):
    @unittest.skipIf(harness.is_sanitized(), "a sanitized recorder refuses preloaded libraries")
    def test_a_recorder_is_recorded_and_records(self):
        path = self.path("inner.geomem")
        outer = self.record(harness.RECORD, "-q", "-o", path, "--", target("leak_simple"))
        self.assert_whole(outer)
        inner = harness.Recording(path)
        self.assert_whole(inner)
        self.assertEqual(inner.summary["live_bytes"], 8096)
        self.assertEqual(outer.leak_at("main", file="leak_simple.c")["sites"], 0)


@unittest.skipUnless(os.geteuid() == 0, "giving up root needs root")
class GivingUpRoot(harness.Case):
    NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    def test_what_is_executed_without_privileges_is_recorded(self):
        if subprocess.run([*self.NOBODY, target("leak_simple")], check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode:
            self.skipTest("nobody may not reach the build folder")
        recording = self.record(*self.NOBODY, target("leak_simple"))
        self.assert_whole(recording)
        self.assertEqual(recording.leak_at("main", file="leak_simple.c")["live_bytes"], 8096)


class Sandboxes(harness.Case):
    def test_fault_19_a_filter_that_lets_allocators_work_lets_recording_work(self):
        # small buffers: the target has to wait for room again and again
        recording = self.record(target("sandbox"), "filter", "300000", expect=4, options=["--ring-size=64K"])
        self.assert_whole(recording)
        self.assertEqual(recording.leak_at("keep_inside")["live_bytes"], 200)
        self.assertGreaterEqual(recording.summary["allocations"], 300002)

    def test_fault_19_strict_mode_ends_recording_and_not_the_program(self):
        recording = self.record(target("sandbox"), "strict", "300000", expect=4)
        self.assertEqual(recording.leak_at("keep_before")["live_bytes"], 100)
        self.assertIn("strict seccomp", recording.row("SELECT text FROM mark")[0])


class Signals(harness.Case):
    def test_fault_08_malloc_in_a_signal_handler_is_recorded_or_counted(self):
        tally = Tally(self.path("tally"))
        recording = self.record(target("signal_malloc"), tally.path, "300000")
        self.assertEqual(tally.done, 1)
        events, lost, corrupt = recording.row("SELECT events, lost_events, corrupt_records FROM run")
        self.assertEqual(corrupt, 0)
        self.assertGreaterEqual(events + lost, tally.allocs + tally.frees)
        if lost == 0:
            found = recording.row("SELECT sum(allocs), sum(live_blocks) FROM site s JOIN v_stacks k USING (stack_id) "
                                  "WHERE k.stack LIKE 'on_alarm%'")
            self.assertGreaterEqual(found[0], 2500)
            self.assertEqual(found[1] * 5, found[0] * 4, "four of five are kept")


class Stacks(harness.Case):
    def test_fault_09_small_and_alternate_stacks(self):
        _, plain = self.run_plain(target("small_stacks"))
        recording = self.record(target("small_stacks"))
        self.assertIn(b"least ok", recording.stdout)
        needs = []
        for output in (plain, recording.stdout):
            needs.append({line.split()[0]: int(line.split()[1]) for line in output.decode().splitlines()[:2]})
        for where in ("thread", "handler"):
            self.assertLess(needs[1][where] - needs[0][where], 2048, f"{where}: stack the hook takes, in bytes")

    def test_fault_10_what_libc_frees_for_an_ended_thread_costs_nothing_that_stays(self):
        recording = self.assert_recorded_as_counted(target("thread_ends"), "300")
        self.assertEqual(recording.summary["threads"], 301)
        growth, = map(int, recording.stdout.split())
        self.assertLess(growth, 16 << 20, "bytes of address space that 300 ended threads left behind")

    def test_fault_10_thread_key_destructors_may_allocate(self):
        recording = self.record(target("early_late"))
        self.assertEqual(recording.row("SELECT live_bytes FROM v_leaks WHERE leaf_function = 'place_key_destructor'"),
                         (5006,))


class Refused(harness.Case):
    def test_fault_12_static_program_is_refused_at_once(self):
        made = self.run_record("-o", self.path("x.geomem"), "--", target("leak_static"), stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 4)
        self.assertIn("leak_static", made.stderr)
        self.assertIn("static", made.stderr)
        self.assertFalse(os.path.exists(self.path("x.geomem")))

    def test_fault_12_static_program_that_a_recorded_one_becomes_is_missed(self):
        recording = self.record("sh", "-c", f"exec {target('leak_static')}")
        self.assertIn("executed programs are recorded too: 1 against 0", recording.report("check", expect=1))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to make a setuid program")
    def test_fault_13_setuid_program_is_named_and_not_hung_on(self):
        program = self.path("setuid_program")
        shutil.copy(target("leak_simple"), program)
        os.chown(program, 65534, 65534)
        os.chmod(program, 0o755 | stat.S_ISUID)
        os.chmod(self.dir, 0o755)
        made = self.run_record("-o", self.path("x.geomem"), "--", program, stdin=subprocess.DEVNULL, timeout=30)
        self.assertEqual(made.status, 4)
        self.assertIn("setuid_program", made.stderr)
        self.assertRegex(made.stderr, r"set-?uid")


class Descriptors(harness.Case):
    def test_fault_14_no_descriptor_is_kept_in_the_target(self):
        _, plain = self.run_plain(target("close_fds"), self.path("own-1"), stdin=subprocess.DEVNULL)
        recording = self.record(target("close_fds"), self.path("own-2"))
        self.assertEqual(recording.stdout, plain, "as many descriptors open as unrecorded")
        self.assertEqual(os.path.getsize(self.path("own-2")), 1000)
        with open(self.path("own-2"), "rb") as file:
            self.assertEqual(file.read(), b"e" * 1000)
        self.assert_counts(recording, self.count(target("close_fds"), self.path("own-3")))

    def test_no_descriptor_to_be_had(self):
        recording = self.record(target("limits"), "nofile")
        self.assertIs(recording.summary["complete"], True)


class Memory(harness.Case):
    def test_fault_17_out_of_memory_is_the_programs_own_affair(self):
        recording = self.record(target("limits"), "as")
        self.assert_whole(recording)
        self.assertEqual(recording.leak_at("mode_as")["sites"], 0)

    def test_fault_17_and_18_enomem_and_errno_as_without_recording(self):
        recording = self.record(target("malloc_family"))  # the program checks them itself
        self.assertEqual(recording.leak_at("family_fail")["sites"], 0)
        self.assertEqual(recording.leak_at("family_keep_errno")["sites"], 0)

    @unittest.skipUnless(os.geteuid() == 0, "opening another process's mappings needs root")
    def test_fault_21_the_session_cannot_be_cut_short_from_either_side(self):
        tally = Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0", "1000")
        pid = running.target_pid("counting_loop")
        wait_until(lambda: tally.allocs > 100, "the target's rounds")
        sessions = []
        for owner in (pid, running.pid):
            with open(f"/proc/{owner}/maps", encoding="utf-8") as maps:
                sessions += [f"/proc/{owner}/map_files/{line.split()[0]}" for line in maps if "memfd:" in line]
        self.assertGreaterEqual(len(sessions), 2)
        for path in sessions:
            fd = os.open(path, os.O_RDWR)
            try:
                size = os.fstat(fd).st_size
                for wanted in (0, size // 2, size + 4096):
                    with self.assertRaises(PermissionError):
                        os.ftruncate(fd, wanted)
                self.assertGreaterEqual(os.fstat(fd).st_blocks * 512, size, "all of it is backed by memory")
            finally:
                os.close(fd)
        os.kill(pid, signal.SIGTERM)
        recording = running.wait()
        self.assertEqual(recording.status, 6)
        self.assert_whole(recording)


class Ends(harness.Case):
    WAYS = {"return": 10, "exit": 11, "_exit": 12, "_Exit": 12, "quick_exit": 15, "abort": 134, "segv": 139,
            "term": 143, "kill": 137, "thread-exit": 13, "group-exit": 14, "pthread_exit": 0}

    def test_fault_25_every_way_to_end_loses_nothing_and_is_named(self):
        for how, status in self.WAYS.items():
            with self.subTest(how=how):
                recording = self.record(target("ends"), how, expect=status)
                self.assert_whole(recording)
                found = recording.leak_at("work")
                self.assertEqual((found["live_blocks"], found["live_bytes"]), (3000, 72000))
                self.assertEqual(recording.summary["exit_status"], status)
                end = ("exit", status) if status < 128 else ("signal", status - 128)
                self.assertEqual(recording.row("SELECT end_kind, end_value FROM process"), end)
                text = recording.report("check", expect=None)
                self.assertIn(f"signal {end[1]}" if end[0] == "signal" else f"status {end[1]}", text)

    def test_fault_25_dlopen_loops_keep_names_right(self):
        command = (target("dl_loop"), target("libplugin_a.so"), target("libplugin_b.so"), "200")
        recording = self.assert_recorded_as_counted(*command)
        for letter, size in (("a", 6001), ("b", 6002)):
            found = recording.leak_at("worker_" + letter)
            self.assertEqual((found["live_blocks"], found["live_bytes"]), (200, 200 * size))


if __name__ == "__main__":
    harness.main()
