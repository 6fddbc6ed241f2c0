#!/usr/bin/python3
"""geomem-top without a screen: batch output, the command line, and files that are no recordings."""
import json
import os
import re
import subprocess
import unittest

from terminal import RECORD, Case


class Batch(Case):
    def json(self, *arguments, kind="small"):
        run = self.run_top("-b", "--json", *arguments, self.fixture(kind))
        self.assertEqual(run.returncode, 0, run.err)
        documents = [json.loads(line) for line in run.out.splitlines()]
        self.assertEqual(len(documents), 1, "a finished recording is printed once")
        return documents[0]

    def names(self, document):
        return [site["function"] for site in document["sites"]]

    def test_text_has_its_picture(self):
        run = self.run_top("-b", self.fixture("small"))
        self.assertEqual((run.returncode, run.err), (0, ""))
        self.golden("batch", run.out.rstrip("\n"))

    def test_json_says_what_the_recording_holds(self):
        doc = self.json()
        expected = {
            "schema": "geomem.top/1", "program": "demo", "command": "demo --serve 'two words'", "pid": 4242,
            "state": "replay", "time_ns": 4_000_000_000, "duration_ns": 4_000_000_000, "exit_status": 0,
            "processes": 1, "running_processes": 0, "live_bytes": 199680 + 24576 + 8192, "live_blocks": 390 + 12 + 2,
            "window_ns": 2_000_000_000, "lost_events": 0, "corrupt_records": 0, "sort": "growth", "filter": "",
            "sites_total": 4, "sites_matching": 4}
        self.assertEqual({name: doc[name] for name in expected}, expected)
        leak = doc["sites"][0]
        expected = {
            "where": "session_new session.c:19", "function": "session_new", "file": "/src/demo/session.c", "line": 19,
            "module": "/usr/bin/demo", "live_bytes": 199680, "live_blocks": 390, "allocations": 390,
            "allocated_bytes": 199680, "stacks": 1, "growth_bytes_per_min": 200 * 512 * 30, "allocations_per_s": 100,
            "frees_per_s": 0, "site_id": 2}
        self.assertEqual({name: leak[name] for name in expected}, expected)
        self.assertEqual([frame["function"] for frame in leak["stack"]],
                         ["xmalloc", "session_new", "accept_conn", "server_loop", "main", "__libc_start_main"])
        self.assertEqual(leak["stack"][0], {"module": "/usr/bin/demo", "function": "xmalloc",
                                            "file": "/src/demo/memory.h", "line": 31, "inlined": True})
        self.assertIsNone(doc["sites"][3]["file"])

    def test_growth_of_the_whole_is_the_sum_of_its_parts(self):
        for arguments in ((), ("--at=2.5",), ("-w", "all"), ("-w", "1s")):
            doc = self.json(*arguments)
            self.assertAlmostEqual(doc["growth_bytes_per_min"], sum(s["growth_bytes_per_min"] for s in doc["sites"]), 1)
            self.assertEqual(doc["live_bytes"], sum(site["live_bytes"] for site in doc["sites"]))

    def test_order_filter_and_number_of_rows(self):
        self.assertEqual(self.names(self.json("--sort=live"))[:2], ["session_new", "init_tables"])
        self.assertEqual(self.names(self.json("--sort", "allocs"))[0], "json_parse")
        self.assertEqual(self.names(self.json("-s", "live", "-I"))[0], "json_parse")
        self.assertEqual(self.names(self.json("-f", "json|tables")), ["init_tables", "json_parse"])
        doc = self.json("--rows=1")
        self.assertEqual((len(doc["sites"]), doc["sites_matching"]), (1, 4))
        self.assertEqual(len(self.json("--rows=0")["sites"]), 0)
        self.assertEqual(len(self.json("--rows=all")["sites"]), 4)

    def test_a_moment_in_the_past(self):
        doc = self.json("--at", "2")
        leak = next(s for s in doc["sites"] if s["function"] == "session_new")
        self.assertEqual((doc["time_ns"], leak["live_blocks"], leak["live_bytes"]), (2_000_000_000, 190, 190 * 512))
        self.assertEqual([leak[name] for name in ("promotion_rate", "mean_age_ns", "allocations")], [None] * 3)
        self.assertEqual(self.json("--at=1h")["time_ns"], 4_000_000_000, "behind the end is the end")

    def test_replay_goes_from_the_start_to_the_end(self):
        run = self.run_top("-b", "--json", "--replay", "-d", "0.5", self.fixture("small"))
        times = [json.loads(line)["time_ns"] for line in run.out.splitlines()]
        self.assertEqual(times, [n * 500_000_000 for n in range(9)])

    def test_processes_that_ended_count_once_all_have_ended(self):
        doc = self.json(kind="tree")
        self.assertEqual((doc["processes"], doc["lost_events"], doc["corrupt_records"]), (3, 8, 2))
        keep = next(s for s in doc["sites"] if s["function"] == "keep")
        self.assertEqual((keep["stacks"], keep["live_bytes"]), (2, 2100))

    def test_every_fixture_can_be_shown(self):
        for kind in ("empty", "names", "running", "cut"):
            doc = self.json("-n", "1", kind=kind)
            self.assertEqual(doc["schema"], "geomem.top/1")
        self.assertEqual(doc["state"], "cut")

    def test_a_reader_that_goes_away_is_no_error(self):
        process = subprocess.Popen(["sh", "-c", '"$0" -b --rows=all "$1" | head -1', self.run_top.__globals__["TOP"],
                                    self.fixture("small")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertIn(b"demo[4242]", out)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            run = subprocess.run([self.run_top.__globals__["TOP"], "-b", self.fixture("small")], stdout=full,
                                 stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"No space left", run.stderr)


class CommandLine(Case):
    def refused(self, status, words, *arguments, **env):
        run = self.run_top(*arguments, **env)
        self.assertEqual(run.returncode, status, (arguments, run.err))
        self.assertEqual(run.out, "")
        self.assertEqual(run.err.count("\n"), 1, "one line: " + run.err)
        self.assertTrue(run.err.startswith("geomem-top: "), run.err)
        for word in words:
            self.assertIn(word, run.err)

    def test_wrong_use_says_what_is_wrong(self):
        file = self.fixture("small")
        for words, arguments in (
                (("name a recording",), ()), (("--frobnicate",), ("--frobnicate", file)), (("-z",), ("-z", file)),
                (("--sort", "growth"), ("--sort=size", file)), (("--delay",), ("--delay", "0", file)),
                (("an argument must follow", "--at"), (file, "--at")), (("--json", "no argument"), ("--json=1", file)),
                (("one recording",), (file, file)), (("not both",), (file, "--", "ls")), (("name",), ("--",)),
                (("filter", "live>x"), ("-b", "-f", "live>x", file)), (("-n",), ("-n", "0", file)),
                (("--at", "90"), ("--at=yesterday", file)), (("--rows",), ("--rows=-1", file))):
            self.refused(2, words, *arguments)

    def test_without_a_terminal_it_names_batch(self):
        self.refused(2, ("use -b",), self.fixture("small"))

    def test_help_and_version(self):
        run = self.run_top("--help")
        self.assertEqual(run.returncode, 0)
        self.assertTrue(run.out.startswith("usage: geomem-top"))
        self.assertTrue(all(len(line) <= 100 for line in run.out.splitlines()))
        self.assertRegex(self.run_top("-V").out, r"^geomem-top \d+\.\d+\.\d+ ")

    def test_files_that_are_no_recordings(self):
        empty, text, db = self.path("empty.geomem"), self.path("notes.txt"), self.path("other.db")
        open(empty, "w").close()
        with open(text, "w") as file:
            file.write("This is no recording.\n" * 500)
        subprocess.run(["/usr/bin/python3", "-c", "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute("
                        "'create table t (x)').connection.commit()", db], check=True)
        for path in (self.path("missing.geomem"), empty, text, db, self.folder):
            self.refused(3, (path,), "-b", path)

    def test_a_name_with_control_characters_stays_one_clean_line(self):
        self.refused(3, ("missing",), "-b", self.path("missing\x1b[31m\n.geomem"))

    def test_a_damaged_recording_ends_with_3_or_is_shown(self):
        with open(self.fixture("small"), "rb") as file:
            whole = file.read()
        for at in range(100, len(whole), len(whole) // 40):
            path = self.path("damaged.geomem")
            with open(path, "wb") as file:
                file.write(whole[:at] + b"\xa5" * 300 + whole[at + 300:])
            run = self.run_top("-b", "--json", path)
            self.assertIn(run.returncode, (0, 3), (at, run.err))
            self.assertEqual(run.err.count("\n"), 1 if run.returncode else 0, run.err)

    def test_a_process_that_is_not_recorded(self):
        self.refused(3, ("not being recorded", "geomem-record"), "-b", "1")


@unittest.skipUnless(os.path.exists(RECORD), "geomem-record is not built")
class Programs(Case):
    def test_a_program_is_started_recorded_and_named(self):
        run = self.run_top("-b", "--json", "-d", "0.1", "--", "/bin/sh", "-c", "echo hello; exit 3")
        self.assertEqual(run.returncode, 0, run.err)
        last = json.loads(run.out.splitlines()[-1])
        self.assertRegex(last["program"], "sh|dash")
        files = sorted(os.listdir(self.folder))
        self.assertEqual(len(files), 2, files)
        self.assertRegex(files[0], r"^sh\.\d+\.geomem$")
        self.assertRegex(files[1], r"^sh\.\d+\.out$")
        with open(self.path(files[1])) as out:
            self.assertIn("hello\n", out.read())

    def test_a_program_that_does_not_exist(self):
        run = self.run_top("-b", "--", "/no/such/program")
        self.assertEqual(run.returncode, 4, run.err)
        self.assertIn("/no/such/program", run.err)
        self.assertEqual(run.err.count("\n"), 1, run.err)


if __name__ == "__main__":
    unittest.main()
