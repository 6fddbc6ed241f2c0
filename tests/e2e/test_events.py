"""geomem-record --events=all: the log of events holds just what the figures of the same recording were made from."""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import textwrap
import unittest

import harness
from harness import target, wait_until

EXTENSION = os.path.join(harness.BUILD, "lib/geomem/geomem_events.so")
ALL = ["--events=all"]

# The tables as the log would have made them: each pair gives the same rows.
SAME = {
    "sites": (
        "SELECT site_id, process_id, stack_id, count(*), sum(size_bytes), sum(realloc), min(size_bytes),"
        " max(size_bytes), min(time_ns), max(time_ns) FROM gm_events WHERE kind = 'alloc' GROUP BY site_id ORDER BY 1",
        "SELECT site_id, process_id, stack_id, allocs, alloc_bytes, reallocs, min_bytes, max_bytes, first_ns, last_ns"
        " FROM site ORDER BY 1"),
    "frees of the sites": (
        "SELECT site_id, count(*), max(time_ns) FROM gm_events WHERE kind = 'free' AND site_id IS NOT NULL"
        " GROUP BY 1 ORDER BY 1",
        "SELECT site_id, allocs - live_blocks, last_free_ns FROM site WHERE allocs > live_blocks ORDER BY 1"),
    "processes": (
        "SELECT process_id, sum(kind = 'alloc'), sum(size_bytes) FILTER (WHERE kind = 'alloc'),"
        " sum(kind = 'free' AND size_bytes IS NOT NULL), coalesce(sum(size_bytes) FILTER (WHERE kind = 'free'), 0),"
        " sum(kind = 'free' AND size_bytes IS NULL), sum(kind = 'free' AND implicit), sum(kind = 'process_start'),"
        " min(time_ns) FILTER (WHERE kind = 'process_start'), max(time_ns) FILTER (WHERE kind = 'process_end')"
        " FROM gm_events WHERE process_id IS NOT NULL GROUP BY 1 ORDER BY 1",
        "SELECT process_id, allocs, alloc_bytes, frees, free_bytes, unmatched_frees, implicit_frees, 1, start_ns,"
        " end_ns FROM process ORDER BY 1"),
    "threads": (
        "SELECT thread_id, process_id, sum(kind = 'alloc'), coalesce(sum(size_bytes) FILTER (WHERE kind = 'alloc'), 0),"
        " sum(kind = 'free' AND size_bytes IS NOT NULL), min(time_ns) FILTER (WHERE kind = 'thread_start'),"
        " min(time_ns) FILTER (WHERE kind = 'thread_end') FROM gm_events WHERE thread_id IS NOT NULL"
        " GROUP BY 1 ORDER BY 1",
        "SELECT thread_id, process_id, allocs, alloc_bytes, frees, start_ns, end_ns FROM thread ORDER BY 1"),
    "what is live at the end": (
        "SELECT site_id, sum(CASE kind WHEN 'alloc' THEN 1 ELSE -1 END),"
        " sum(CASE kind WHEN 'alloc' THEN size_bytes ELSE -size_bytes END) AS bytes FROM gm_events"
        " WHERE site_id IS NOT NULL GROUP BY 1 HAVING bytes <> 0 ORDER BY 1",
        "SELECT site_id, live_blocks, live_bytes FROM site WHERE live_bytes <> 0 ORDER BY 1"),
    "marks": (
        "SELECT process_id, time_ns FROM gm_events WHERE kind = 'mark' ORDER BY 2",
        "SELECT process_id, ns FROM mark ORDER BY 2"),
}
# Each address is allocated and freed in turns, in the order of the log.
SQL_TURNS = """
    SELECT count(*) FROM (SELECT kind, lag(kind, 1, 'free') OVER (PARTITION BY process_id, address ORDER BY rowid) AS
    before FROM gm_events WHERE kind IN ('alloc', 'free') AND size_bytes IS NOT NULL) WHERE kind = before"""


class Log(harness.Case):
    def query(self, recording, sql, expect=0):
        """Rows as lists, by geomem-report."""
        run = harness.report("sql", "--json", recording.path, sql)
        self.assertEqual(run.returncode, expect, run.stderr)
        return harness.json.loads(run.stdout)["rows"] if expect == 0 else run.stderr

    def assert_log_is_right(self, recording):
        self.assert_whole(recording)
        names = [item["name"] for item in recording.json("check")["sums"] if item["holds"]]
        self.assertEqual(len([name for name in names if "the log of events" in name]), 3, names)
        for what, (of_log, of_tables) in SAME.items():
            with self.subTest(what=what):
                self.assertEqual(self.query(recording, of_log), self.query(recording, of_tables))
        self.assertEqual(self.query(recording, SQL_TURNS), [[0]])

    def test_programs_with_known_answers(self):
        for name, *arguments in (["leak_simple"], ["malloc_family"], ["cross_free"], ["realloc_race", "4", "50000"],
                                 ["cxx_new"], ["children", "fork"], ["many_threads"], ["early_late"]):
            with self.subTest(name=name):
                recording = self.record(target(name), *arguments, options=ALL)
                self.assert_log_is_right(recording)

    def test_python_with_threads_that_free_what_others_allocated(self):
        script = textwrap.dedent("""
            import json, queue, threading
            q = queue.Queue()
            def make():
                for i in range(1500):
                    q.put([{"id": k, "name": "row %d" % (i * k)} for k in range(10)])
            def drop():
                for i in range(1500):
                    json.dumps(q.get())
            threads = [threading.Thread(target=f) for f in (make, drop, make, drop)]
            for t in threads: t.start()
            for t in threads: t.join()
        """)
        recording = self.record("/usr/bin/python3", "-s", "-S", "-B", "-c", script, options=ALL,
                                env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})
        self.assert_log_is_right(recording)
        events, size = recording.row("SELECT sum(events), sum(length(data)) FROM event_chunk")
        self.assertGreater(events, 150000)
        self.assertLess(size / events, 10, "bytes an event")
        small = recording.sql("SELECT chunk_id FROM event_chunk WHERE events < 65536")
        self.assertEqual(small, recording.sql("SELECT max(chunk_id) FROM event_chunk"), "only the last is not full")

    def lines(self, recording, *arguments):
        text = recording.report("events", "--json", *arguments)
        return [harness.json.loads(line) for line in text.splitlines()]

    def test_report_events_prints_what_is_in_the_log(self):
        recording = self.record(target("children"), "fork", options=ALL)
        fields = ["time_ns", "kind", "process_id", "thread_id", "address", "size_bytes", "site_id", "stack_id", "function"]
        rows = self.query(recording, f"SELECT {', '.join(fields)} FROM gm_events")
        lines = self.lines(recording)
        self.assertEqual([[line.get(field) for field in fields] for line in lines], rows)
        with open(os.path.join(harness.SOURCE, "schemas/json/events.json"), encoding="utf-8") as file:
            schema = harness.json.load(file)
        types = {"integer": int, "boolean": bool, "string": str, "null": type(None)}
        for line in lines:
            self.assertLessEqual(set(schema["required"]), set(line))
            for name, value in line.items():
                allowed = schema["properties"][name]["type"]
                allowed = allowed if isinstance(allowed, list) else [allowed]
                self.assertIn(type(value), [types[word] for word in allowed], name)
        pids = dict(recording.sql("SELECT process_id, pid FROM process"))
        tids = dict(recording.sql("SELECT thread_id, tid FROM thread"))
        for line in lines:
            self.assertEqual((line["pid"], line["tid"]), (pids[line["process_id"]], tids.get(line["thread_id"])))
        text = recording.report("events").splitlines()
        self.assertEqual(len([line for line in text if line[:15].strip().replace(".", "").isdigit()]), len(rows))
        self.assertLessEqual(max(map(len, text)), 88)

    def test_report_events_filters(self):
        recording = self.record(target("children"), "fork", options=ALL)
        every = self.lines(recording)
        block = next(line for line in every if line["kind"] == "alloc" and line["process_id"] == 2)
        middle = every[len(every) // 2]["time_ns"]
        pid = block["pid"]
        for arguments, holds in (
                ([f"--process={pid}"], lambda e: e["pid"] == pid),
                (["--process=#1"], lambda e: e["process_id"] == 1),
                ([f"--from={middle}ns"], lambda e: e["time_ns"] >= middle),
                ([f"--to={middle}ns"], lambda e: e["time_ns"] < middle),
                (["--to=100%"], lambda e: True),
                ([f"--site={block['site_id']}"], lambda e: e.get("site_id") == block["site_id"]),
                ([f"--address={block['address']:#x}"], lambda e: e.get("address") == block["address"]),
                ([f"--address={block['address']}", "--kind=free", "--process=#2"],
                 lambda e: e.get("address") == block["address"] and e["kind"] == "free" and e["process_id"] == 2),
                (["--kind=thread_start"], lambda e: e["kind"] == "thread_start")):
            expected = [line for line in every if holds(line)]
            self.assertEqual(self.lines(recording, *arguments), expected, arguments)
            self.assertEqual(self.lines(recording, *arguments, "--top=1"), expected[:1])
        recording.report("events", "--kind=nothing", expect=2)
        self.assertIn("no event", recording.report("events", "--site=99999"))

    def test_marks_are_events_with_a_text(self):
        tally = harness.Tally(self.path("tally"))
        running = self.start(target("counting_loop"), tally.path, "0", "200", options=ALL,
                             env={"XDG_RUNTIME_DIR": self.dir})
        wait_until(lambda: tally.allocs > 50, "the target's rounds")
        control = self.path(f"geomem-{os.geteuid()}/{running.pid}.sock")
        wait_until(lambda: os.path.exists(control), "the control socket")
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(control)
            peer.sendall(b"mark before lunch\nmark after lunch\n")
            answers = peer.makefile("rb")
            self.assertTrue(all(harness.json.loads(answers.readline())["ok"] for _ in range(2)))
        done = tally.allocs
        wait_until(lambda: tally.allocs > done + 50, "rounds after the marks")
        os.kill(running.target_pid("counting_loop"), signal.SIGTERM)
        recording = running.wait()
        self.assertEqual(recording.status, 6)
        self.assert_log_is_right(recording)
        self.assertEqual([(line["kind"], line["text"]) for line in self.lines(recording, "--kind=mark")],
                         [("mark", "before lunch"), ("mark", "after lunch")])
        self.assertIn("after lunch", recording.report("events", "--kind=mark"))

    def test_the_rest_of_the_file_is_the_same(self):
        plain, logged = self.record(target("leak_simple")), self.record(target("leak_simple"), options=ALL)
        for sql in ("SELECT count(*), sum(allocs), sum(alloc_bytes), sum(live_blocks), sum(live_bytes), sum(died_g0),"
                    " sum(promoted_g1), sum(peak_bytes) FROM site",
                    "SELECT allocs, frees, free_bytes, peak_bytes, peak_blocks, age_bytes FROM process",
                    "SELECT events, peak_bytes, peak_epoch FROM run",
                    "SELECT group_concat(name) FROM sqlite_schema"):
            self.assertEqual(plain.sql(sql), logged.sql(sql), sql)
        self.assertEqual(plain.row("SELECT count(*) FROM event_chunk"), (0,))

    def test_a_recording_without_a_log_says_how_to_make_one(self):
        recording = self.record(target("leak_simple"))
        self.assertIn("--events=all", self.query(recording, "SELECT count(*) FROM gm_events", expect=2))
        run = harness.report("events", recording.path)
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("--events=all", run.stderr)

    @unittest.skipUnless(shutil.which("sqlite3"), "no sqlite3")
    @unittest.skipIf(harness.is_sanitized(), "sqlite3 is not built with the sanitizers")
    def test_sqlite3_with_the_extension_says_the_same(self):
        recording = self.record(target("cross_free"), options=ALL)
        sql = ("SELECT kind, function, thread_id, site_id, stack_id, count(*), sum(size_bytes), sum(address % 65536), "
               "min(time_ns), max(time_ns) FROM gm_events(1, 0, NULL) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5")
        run = subprocess.run(["sqlite3", "-json", recording.path, f".load {EXTENSION}", sql], encoding="utf-8",
                             stdout=subprocess.PIPE, check=True)
        rows = [list(row.values()) for row in harness.json.loads(run.stdout)]
        self.assertEqual(rows, self.query(recording, sql))
        self.assertTrue(rows)
        run = subprocess.run(["sqlite3", recording.path, f".load {EXTENSION}",
                              "CREATE TEMP VIEW frees AS SELECT * FROM gm_events WHERE kind = 'free'",
                              "SELECT count(*) FROM frees WHERE thread_id = 2"], encoding="utf-8",
                             stdout=subprocess.PIPE, check=True)
        self.assertEqual([[int(run.stdout)]], self.query(
            recording, "SELECT count(*) FROM gm_events WHERE kind = 'free' AND thread_id = 2"))

    def test_extension_needs_nothing_but_zstd_and_libc(self):
        if harness.is_sanitized():
            self.skipTest("the sanitizers bring libraries of their own")
        run = subprocess.run(["readelf", "-d", EXTENSION], stdout=subprocess.PIPE, encoding="utf-8", check=True)
        needed = {line.split("[")[1].split("]")[0] for line in run.stdout.splitlines() if "(NEEDED)" in line}
        self.assertLessEqual(needed, {"libzstd.so.1", "libc.so.6", "ld-linux-x86-64.so.2"})

    def test_conditions_are_met_whether_pushed_down_or_not(self):
        recording = self.record(target("children"), "fork", options=ALL)
        events, half = self.query(recording, "SELECT count(*), avg(time_ns) FROM gm_events")[0]
        address, site = self.query(recording, "SELECT address, site_id FROM gm_events WHERE site_id > 0 LIMIT 1")[0]
        conditions = ["process_id = 2", "process_id <> 1", "process_id IS NULL", "process_id > 1.5", "process_id = NULL",
                      f"time_ns >= {half}", f"time_ns < {int(half)}", f"time_ns BETWEEN 0 AND {half}",
                      "time_ns > 9223372036854775807", "time_ns < -1e300", "time_ns < 1e300", "kind = 'free'",
                      "kind = 'FREE'", "kind = 'FREE' COLLATE NOCASE", "kind = 7", "kind IN ('alloc', 'mark')",
                      f"address = {address}", f"address > {address}", f"site_id = {site}", "site_id IS NULL",
                      "thread_id = 1", "thread_id <= 1", "chunk_id = 1", "chunk_id > 1", "chunk_id <> 1",
                      f"process_id = 1 AND kind = 'alloc' AND time_ns >= {half} AND site_id = {site}"]
        some = 0
        for condition in conditions:
            pushed, = self.query(recording, f"SELECT count(*), sum(rowid) FROM gm_events WHERE {condition}")
            # A unary plus keeps a column from being used in the plan.
            plain = condition
            for column in ("process_id", "time_ns", "kind", "address", "site_id", "thread_id", "chunk_id"):
                plain = plain.replace(column, "+" + column)
            late, = self.query(recording, f"SELECT count(*), sum(rowid) FROM gm_events WHERE {plain}")
            self.assertEqual(pushed, late, condition)
            some += 0 < pushed[0] < events
        self.assertGreater(some, 12)

    def test_arguments_are_process_and_a_half_open_range(self):
        recording = self.record(target("children"), "fork", options=ALL)
        ns, = self.query(recording, "SELECT min(time_ns) FROM gm_events WHERE process_id = 2 AND kind = 'alloc'")[0]
        for arguments, condition in (("2", "process_id = 2"), (f"NULL, {ns}", f"time_ns >= {ns}"),
                                     (f"NULL, NULL, {ns}", f"time_ns < {ns}"),
                                     (f"2, {ns}, {ns + 1}", f"process_id = 2 AND time_ns = {ns}"), ("NULL", "1")):
            self.assertEqual(self.query(recording, f"SELECT count(*), sum(rowid) FROM gm_events({arguments})"),
                             self.query(recording, f"SELECT count(*), sum(rowid) FROM gm_events WHERE {condition}"))
        joined = self.query(recording, "SELECT p.process_id, count(*) FROM process p, gm_events(p.process_id) GROUP BY 1")
        self.assertEqual(joined, self.query(recording, "SELECT process_id, count(*) FROM gm_events GROUP BY 1"))

    def damaged(self, recording, statement):
        path = self.path("damaged.geomem")
        shutil.copy(recording.path, path)
        db = sqlite3.connect(path)
        db.execute(statement)
        db.commit()
        db.close()
        return harness.Recording(path)

    def test_a_damaged_chunk_is_named_and_the_others_can_be_read(self):
        recording = self.record(target("cross_free"), options=ALL)
        chunks, = recording.row("SELECT count(*) FROM event_chunk")
        self.assertGreater(chunks, 3)
        half = "substr(data, 1, length(data) / 2)"
        for change in (f"data = {half}", "data = x''", "data = NULL", "events = events - 1", "events = 1 << 40", "allocs = -1",
                       "first_ns = first_ns - 1", "max_thread_id = 99", "checksum = checksum + 1", "data = 'text'",
                       f"data = {half} || x'ffff' || substr(data, length(data) / 2 + 3)"):
            with self.subTest(change=change):
                damaged = self.damaged(recording, f"UPDATE OR IGNORE event_chunk SET {change} WHERE chunk_id = 2")
                if change == "data = NULL":
                    continue # refused by the table
                message = self.query(damaged, "SELECT count(*), max(address) FROM gm_events", expect=3)
                self.assertIn("chunk 2", message)
                self.assertEqual(len(message.splitlines()), 1)
                self.assertIn("chunk 2", harness.report("check", damaged.path).stderr)
                damaged.report("leaks")  # needs no log
                self.assertEqual(self.query(damaged, "SELECT count(*) FROM gm_events WHERE chunk_id = 1"), [[65536]])
                self.assertEqual(self.query(damaged, "SELECT min(rowid) FROM gm_events WHERE chunk_id > 2"),
                                 [[2 * 65536 + 1]])
                self.assertEqual(self.query(damaged, "SELECT count(*), sum(chunk_id = 2) FROM gm_events WHERE chunk_id <> 2"),
                                 [[recording.row("SELECT sum(events) FROM event_chunk")[0] - 65536, 0]])

    def test_a_recorder_killed_has_logged_what_it_has_committed(self):
        running = self.start(target("counting_loop"), self.path("tally"), "0", options=ALL)
        recording = harness.Recording(running.path)
        def some():
            try:
                return recording.row("SELECT events > 70000 FROM run")[0]
            except (sqlite3.Error, AssertionError):
                return False
        wait_until(some, "events in the file")
        self.assertGreater(self.query(recording, "SELECT count(*) FROM gm_events")[0][0], 70000, "while it is written")
        program = running.target_pid("counting_loop")
        os.kill(running.pid, signal.SIGKILL)
        os.kill(program, signal.SIGKILL)
        running.process.wait()
        self.assertEqual(
            self.query(recording, "SELECT sum(kind = 'alloc'), sum(kind = 'free' AND site_id > 0) FROM gm_events"),
            self.query(recording, "SELECT sum(allocs), sum(frees) FROM process"))


if __name__ == "__main__":
    harness.main()
