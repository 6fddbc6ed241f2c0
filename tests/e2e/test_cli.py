"""Bad input of every kind: one line that names what and says what to do, and the documented exit status.

0 fine, 2 usage, 3 a file that cannot be read as a recording, 4 the program could not be started.
"""
import os
import shutil
import sqlite3
import struct
import subprocess

import harness
from harness import target


class RecordUsage(harness.Case):
    def refused(self, status, *arguments, names=(), path=None):
        made = self.run_record(*arguments, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(made.status, status, f"{arguments}\n{made.stderr}")
        lines = made.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, f"one line, not\n{made.stderr}")
        self.assertTrue(lines[0].startswith("geomem-record: "), lines[0])
        for name in names:
            self.assertIn(name, lines[0])
        self.assertEqual(made.stdout, b"", "standard output belongs to the program")
        if path:
            self.assertFalse(os.path.exists(path), f"{path} was left behind")
        return lines[0]

    def test_unknown_option(self):
        self.refused(2, "--frobnicate", "--", "true", names=["--frobnicate"])
        self.refused(2, "-Z", "--", "true", names=["Z"])

    def test_no_program(self):
        self.refused(2)
        self.refused(2, "-o", self.path("x"), "--")

    def test_option_without_its_value(self):
        self.refused(2, "-o", names=["o"])
        self.refused(2, "--on-full=perhaps", "--", "true", names=["perhaps"])

    def test_program_not_found(self):
        path = self.path("x.geomem")
        self.refused(4, "-o", path, "--", "no-such-program-anywhere", names=["no-such-program-anywhere"], path=path)
        self.refused(4, "-o", path, "--", "./no/such/file", names=["./no/such/file"], path=path)

    def test_program_not_executable(self):
        path, plain = self.path("x.geomem"), self.path("plain.txt")
        with open(plain, "w", encoding="ascii") as file:
            file.write("not a program\n")
        self.refused(4, "-o", path, "--", plain, names=[plain], path=path)
        self.refused(4, "-o", path, "--", self.dir, names=[self.dir], path=path)

    def test_program_for_another_machine(self):
        path, foreign = self.path("x.geomem"), self.path("foreign")
        shutil.copy(target("leak_simple"), foreign)
        with open(foreign, "r+b") as file:
            file.seek(18)
            file.write(struct.pack("<H", 183))  # EM_AARCH64
        self.refused(4, "-o", path, "--", foreign, names=[foreign], path=path)

    def test_truncated_program(self):
        path, cut = self.path("x.geomem"), self.path("cut")
        shutil.copy(target("leak_simple"), cut)
        os.truncate(cut, 30)
        self.refused(4, "-o", path, "--", cut, names=[cut], path=path)

    def test_script_with_an_interpreter_that_is_not_there(self):
        path, script = self.path("x.geomem"), self.path("script")
        with open(script, "w", encoding="ascii") as file:
            file.write("#!/no/such/interpreter\n")
        os.chmod(script, 0o755)
        self.refused(4, "-o", path, "--", script, names=[script], path=path)

    def test_existing_file_is_not_overwritten_without_f(self):
        path = self.path("x.geomem")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious\n")
        self.refused(2, "-o", path, "--", target("leak_simple"), names=[path, "-f"])
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious\n")
        made = self.run_record("-f", "-o", path, "--", target("leak_simple"), stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 0, made.stderr)
        self.assertEqual(harness.Recording(path).leak_at("session_new")["live_bytes"], 1000)

    def test_folder_that_is_not_there_or_read_only(self):
        path = self.path("no/such/folder/x.geomem")
        self.refused(4, "-o", path, "--", target("leak_simple"), names=[path])
        self.refused(4, "-o", "/proc/x.geomem", "--", target("leak_simple"), names=["/proc/x.geomem"])

    def test_control_characters_are_not_passed_on(self):
        line = self.refused(4, "-o", self.path("x.geomem"), "--", "./no\x1b[31m\nsuch")
        self.assertTrue(line.isprintable(), repr(line))

    def test_help_and_version(self):
        for tool in (harness.RECORD, harness.REPORT):
            for option in ("--help", "-h", "--version"):
                run = subprocess.run([tool, option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                                     encoding="utf-8")
                self.assertEqual((run.returncode, run.stderr), (0, ""), option)
                self.assertIn("geomem", run.stdout)


class RecordOutput(harness.Case):
    def test_default_name_is_program_and_pid(self):
        made = self.run_record("--", target("leak_simple"), stdin=subprocess.DEVNULL)
        self.assertEqual(made.status, 0, made.stderr)
        name, = [name for name in os.listdir(self.dir) if name.endswith(".geomem")]
        pid = harness.Recording(self.path(name)).row("SELECT pid FROM process")[0]
        self.assertEqual(name, f"leak_simple.{pid}.geomem")
        self.assertIn(name, made.stderr)
        self.assertIn("geomem-report", made.stderr)

    def test_standard_streams_belong_to_the_program(self):
        recording = self.record("/bin/sh", "-c", "cat; echo error >&2; exit 9", stdin=b"in\0\xff\n", expect=9)
        self.assertEqual(recording.stdout, b"in\0\xff\n")
        self.assertIn("error\n", recording.stderr)

    def test_program_by_name_relative_path_and_script(self):
        self.record("true")
        shutil.copy(target("leak_simple"), self.path("here"))
        recording = self.record("./here")
        self.assertEqual(recording.leak_at("session_new")["live_bytes"], 1000)
        script = self.path("script")
        with open(script, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\n{target('leak_simple')}\nexec {target('ends')} exit\n")
        os.chmod(script, 0o755)
        recording = self.record(script, "argument", expect=11)
        self.assertEqual(recording.leak_at("session_new")["live_bytes"], 1000)
        self.assertEqual(recording.leak_at("work")["live_bytes"], 72000)

    def test_names_with_spaces_quotes_and_control_characters(self):
        name = "a b'c\"\t;$(x)\x01"
        shutil.copy(target("leak_simple"), self.path(name))
        recording = self.record("./" + name, "argument\n\x1b[1m")
        self.assertEqual(recording.leak_at("session_new")["live_bytes"], 1000)
        for command in ("summary", "leaks", "check"):
            text = recording.report(command)
            self.assertEqual([char for char in text if char != "\n" and not char.isprintable()], [], command)
            recording.json(command)

    def test_signals_reach_the_program_and_its_status_comes_back(self):
        running = self.start(target("counting_loop"), self.path("tally"), "0", "1000")
        tally = harness.Tally(self.path("tally"))
        harness.wait_until(lambda: tally.allocs > 10, "the target's rounds")
        running.process.terminate()
        recording = running.wait()
        self.assertEqual(recording.status, 6, "the program handles SIGTERM and ends with 6")
        self.assert_whole(recording)


class ReportInput(harness.Case):
    def refused(self, status, *arguments, names=()):
        run = harness.report(*arguments)
        self.assertEqual(run.returncode, status, f"{arguments}\n{run.stdout}{run.stderr}")
        lines = run.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, f"one line, not\n{run.stderr}")
        for name in names:
            self.assertIn(name, lines[0])
        self.assertTrue(lines[0].isprintable(), repr(lines[0]))
        self.assertEqual(run.stdout, "")
        return lines[0]

    def test_usage(self):
        recording = self.record(target("leak_simple"))
        self.refused(2)
        self.refused(2, "leaks")
        self.assertIn("leaks", self.refused(2, "leeks", recording.path, names=["leeks"]))
        self.refused(2, "leaks", "--frobnicate", recording.path, names=["--frobnicate"])
        self.refused(2, "site", "x", recording.path, names=["x"])
        self.refused(2, "site", "9999", recording.path, names=["9999"])
        self.refused(2, "leaks", "--from", "yesterdayish", recording.path, names=["yesterdayish"])

    def test_files_that_are_no_recordings(self):
        cases = {}
        cases["missing"] = self.path("missing.geomem")
        cases["folder"] = self.dir
        for name, content in (("empty", b""), ("text", b"hello\n" * 1000), ("noise", os.urandom(100000)),
                              ("header only", b"SQLite format 3\0")):
            cases[name] = self.path(name)
            with open(cases[name], "wb") as file:
                file.write(content)
        cases["another database"] = self.path("another.db")
        with sqlite3.connect(cases["another database"]) as db:
            db.execute("CREATE TABLE t (x)")
        db.close()
        for name, path in cases.items():
            for command in ("summary", "leaks", "check"):
                with self.subTest(name=name, command=command):
                    self.refused(3, command, path, names=[os.path.basename(path)])

    def test_newer_schema_is_refused_by_number(self):
        recording = self.record(target("leak_simple"))
        with sqlite3.connect(recording.path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        self.assertIn("99", self.refused(3, "leaks", recording.path, names=[recording.path]))

    def test_damaged_files_are_reported_and_never_crash(self):
        recording = self.record(target("cxx_new"))
        with open(recording.path, "rb") as file:
            good = file.read()
        outcomes = set()
        for part in range(20):
            path = self.path("damaged.geomem")
            bad = bytearray(good)
            start = len(good) * part // 20 // 512 * 512
            bad[start:start + 512] = bytes(len(bad[start:start + 512]))
            with open(path, "wb") as file:
                file.write(bad)
            for command in ("check", "summary", "leaks", "sites"):
                run = harness.report(command, path)
                self.assertIn(run.returncode, (0, 1, 3), f"{command} with zeroes at {start}: {run.stderr}")
                outcomes.add((command, run.returncode))
        self.assertIn(("check", 3), outcomes, "check finds damage")

    def test_truncated_files_are_reported(self):
        recording = self.record(target("cxx_new"))
        with open(recording.path, "rb") as file:
            good = file.read()
        for part in range(1, 20):
            path = self.path("cut.geomem")
            with open(path, "wb") as file:
                file.write(good[:len(good) * part // 20])
            with self.subTest(part=part):
                self.refused(3, "check", path, names=["cut.geomem"])

    def test_recording_on_read_only_media(self):
        recording = self.record(target("leak_simple"))
        before = os.stat(recording.path)
        os.chmod(recording.path, 0o400)
        os.chmod(self.dir, 0o500)
        try:
            self.assertEqual(recording.summary["live_bytes"], 8096)
        finally:
            os.chmod(self.dir, 0o700)
        after = os.stat(recording.path)
        self.assertEqual((before.st_mtime_ns, before.st_size), (after.st_mtime_ns, after.st_size))


class ReportOutput(harness.Case):
    COMMANDS = ("summary", "leaks", "sites", "peak", "generations", "gc", "timeline", "tree", "check")

    def test_each_command_has_json_with_a_schema(self):
        recording = self.record(target("cxx_new"))
        for command in self.COMMANDS:
            document = recording.json(command)
            self.assertRegex(document["schema"], rf"^geomem\.{command}/\d+$")
        site = recording.json("leaks")["sites"][0]
        number = recording.row("SELECT site_id FROM v_leaks LIMIT 1")[0]
        self.assertEqual(recording.json("site", str(number))["schema"], "geomem.site/1")
        for field in ("live_blocks", "live_bytes", "allocations", "stack"):
            self.assertIn(field, site)
        for field in ("module", "function", "file", "line", "inlined"):
            self.assertIn(field, site["stack"][0])

    def test_summary_has_the_documented_fields(self):
        recording = self.record(target("ends"), "exit", expect=11)
        summary = recording.summary
        fields = {"allocations": int, "frees": int, "allocated_bytes": int, "peak_live_bytes": int, "live_blocks": int,
                  "live_bytes": int, "processes": int, "threads": int, "sites": int, "lost_events": int,
                  "complete": bool, "exit_status": int, "duration_ns": int}
        self.assertEqual({name: type(summary.get(name)) for name in fields}, fields)
        self.assertEqual((summary["exit_status"], summary["processes"], summary["complete"]), (11, 1, True))

    def test_flame_weights_sum_to_the_whole(self):
        recording = self.record(target("leak_simple"))
        for weight, field in (("live", "live_bytes"), ("peak", "peak_live_bytes"), ("allocated", "allocated_bytes"),
                              ("allocations", "allocations")):
            lines = recording.report("flame", f"--weight={weight}").splitlines()
            total = sum(int(line.rsplit(" ", 1)[1]) for line in lines)
            self.assertEqual(total, recording.summary[field], weight)
            self.assertTrue(any("main;" in line for line in lines))

    def test_sql_answers_and_cannot_write(self):
        recording = self.record(target("leak_simple"))
        run = harness.report("sql", recording.path, "SELECT live_bytes FROM v_run")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("8096", run.stdout)
        run = harness.report("sql", recording.path, "DELETE FROM run")
        self.assertNotEqual(run.returncode, 0)
        run = harness.report("sql", recording.path, "SELECT nonsense")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("nonsense", run.stderr)

    def test_closed_pipe_is_no_error_worth_a_crash(self):
        recording = self.record(target("cxx_new"))
        run = subprocess.run(["/bin/sh", "-c", f"'{harness.REPORT}' sites '{recording.path}' | head -1; echo done"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", check=False)
        self.assertIn("done", run.stdout)
        self.assertNotRegex(run.stderr, "(?i)segmentation|abort|Sanitizer")


if __name__ == "__main__":
    harness.main()
