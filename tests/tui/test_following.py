#!/usr/bin/python3
"""geomem-top on recordings that grow: the leak climbs, programs end, recorders die, requests reach them."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from terminal import DOWN, ENTER, PATIENCE, RECORD, Case, environment

# A program that leaks from one function of its own, allocates and frees from another, and ends on SIGTERM, or after two minutes.
LEAKY = """
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
__attribute__((noinline)) void *leak_here(void) { return memset(malloc(4000), 1, 4000); }
__attribute__((noinline)) void churn_here(void) { void *p = malloc(9000); memset(p, 2, 9000); free(p); }
__attribute__((noinline)) void *table_here(void) { return memset(malloc(3000000), 3, 3000000); }
void *volatile kept;
int main(void)
{
    alarm(120); /* should a test fail before it knows whom to end */
    kept = table_here();
    for (;;) {
        kept = leak_here();
        churn_here();
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
}
"""


def first_row(top):
    """The place in the first row of the table."""
    lines = top.lines
    head = next((i for i, line in enumerate(lines) if "GROWTH/m" in line and "SITE" in line), None)
    return lines[head + 1].split("  ")[-1] if head is not None else ""


class Growing(Case):
    def test_the_leak_climbs_to_the_top_and_stays_there_when_the_program_has_ended(self):
        path, _ = self.recorder("--sites=30", "--changing=10", "--slices=40", "--past=2", "--period=0.1", "--exit=7")
        top = self.terminal("-d", "0.2", path)
        top.wait_for("LIVE 0.2s", "grower[4242]", "thr 2")
        top.wait_until(lambda: first_row(top).startswith("leaky"), "the leak on top")
        top.wait_for("EXITED 7", "q quits")
        top.settle()
        self.assertTrue(first_row(top).startswith("leaky"), top.text)
        self.quit(top)
        top = self.terminal(path)
        top.wait_for("REPLAY")
        top.settle()
        self.assertTrue(first_row(top).startswith("leaky"), top.text)
        self.quit(top)

    def test_a_recorder_that_dies_is_noticed_though_the_file_stays_as_it_was(self):
        path, _ = self.recorder("--slices=3", "--period=0.1", "--exit=none")
        top = self.terminal("-d", "0.2", path)
        top.wait_for("CUT", "the recorder died")
        self.quit(top)

    def test_the_page_of_caches_follows_the_program(self):
        path, _ = self.recorder("--slices=40", "--past=1", "--period=0.1")
        top = self.terminal("-d", "0.2", path)
        top.wait_for("grower[4242]")
        top.send("K")
        seen = re.compile(r"orders +([0-9.k]+) +([0-9.]+)%")
        top.wait_for(seen)
        first = float(seen.search(top.text).group(2))
        top.wait_until(lambda: float(seen.search(top.text).group(2)) > first + 10, "more hits")
        top.wait_for("EXITED", re.compile(r"hits of late +9[0-9]"))
        self.quit(top)

    def test_a_pause_holds_the_picture(self):
        path, recorder = self.recorder("--slices=1000", "--period=0.1")
        top = self.terminal("-d", "0.1", path)
        top.press("p", "PAUSED")
        top.settle()
        picture = top.text
        size = os.stat(path + "-wal").st_size
        while os.stat(path + "-wal").st_size == size and recorder.poll() is None:
            top.read(0.05)  # the recorder goes on, the screen does not
        top.press("?", "previous row")  # yet keys are answered
        top.press("\x1b", "PAUSED")
        top.settle()
        self.assertEqual(top.text, picture)
        top.send(" ")
        top.wait_gone("PAUSED")
        top.wait_until(lambda: top.text != picture, "a new picture")
        self.quit(top)

    def test_keys_are_answered_at_once_however_long_the_refresh(self):
        path, _ = self.recorder("--slices=1000", "--period=0.5")
        top = self.terminal("-d", "3600", path)
        top.wait_for("SITE")
        top.press("?", "previous row")
        top.press("\x1b", "SITE")
        top.press(DOWN + ENTER, "site ")
        self.quit(top)

    def test_the_cursor_stays_on_its_row(self):
        path, _ = self.recorder("--sites=30", "--changing=30", "--slices=1000", "--period=0.1")
        top = self.terminal("-d", "0.1", path, size=(80, 50))
        top.wait_for("30 sites")

        def cursor():
            return next((line.split()[-2] for line in top.lines if line.startswith(">")), None)
        first = cursor()
        top.send(DOWN + DOWN)
        top.wait_until(lambda: cursor() not in (None, first), "the cursor on another row")
        top.press("p", "PAUSED")
        name = cursor()
        top.send("p")
        rows = top.lines[top.row_of("GROWTH/m ALLOC/s") + 1:]
        top.wait_until(lambda: top.lines[top.row_of("GROWTH/m ALLOC/s") + 1:] != rows, "rows to change")
        top.wait_until(lambda: cursor() == name, "the cursor on " + name)
        self.quit(top)

    def test_json_follows_to_the_end(self):
        path, _ = self.recorder("--slices=10", "--period=0.1")
        run = self.run_top("-b", "--json", "-d", "0.1", path)
        self.assertEqual(run.returncode, 0, run.err)
        documents = [json.loads(line) for line in run.out.splitlines()]
        states = [doc["state"] for doc in documents]
        self.assertEqual((states[0], states[-1]), ("live", "exited"))
        times = [doc["time_ns"] for doc in documents]
        self.assertEqual(times, sorted(times))
        for doc in documents:
            self.assertEqual(doc["live_bytes"], sum(site["live_bytes"] for site in doc["sites"]), "one whole state")

    def test_count_ends_it(self):
        path, _ = self.recorder("--slices=1000", "--period=0.1")
        run = self.run_top("-b", "-d", "0.1", "-n", "3", path)
        self.assertEqual(run.out.count("grower[4242] LIVE"), 3)
        run = self.run_top("-b", "-d", "3600", "-n", "1", path)
        self.assertEqual(run.returncode, 0)

    def test_what_is_followed_equals_what_is_read_afresh(self):
        path, recorder = self.recorder("--sites=40", "--changing=7", "--slices=30", "--past=3", "--period=0.05")
        run = self.run_top("-b", "--json", "-d", "0.1", "-w", "3s", path)
        recorder.wait()
        followed = json.loads(run.out.splitlines()[-1])
        afresh = json.loads(self.run_top("-b", "--json", "-w", "3s", path).out)
        followed["state"] = afresh["state"]
        self.assertEqual(followed, afresh)


@unittest.skipUnless(os.path.exists(RECORD), "geomem-record is not built")
class Real(Case):
    def build(self):
        source, program = self.path("leaky.c"), self.path("leaky")
        with open(source, "w") as file:
            file.write(LEAKY)
        subprocess.run(["cc", "-g", "-O1", "-o", program, source], check=True)
        return program

    def setUp(self):
        super().setUp()
        self.programs = []  # pids to be ended whatever happens
        self.addCleanup(self.end_programs)

    def end_programs(self):
        for pid in self.programs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def record(self, program):
        path = self.path("leaky.geomem")
        process = subprocess.Popen([RECORD, "-o", path, "--", program], env=environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def stop():
            process.kill()
            process.wait()
        self.addCleanup(stop)
        return path, process

    def document(self, *arguments):
        run = self.run_top("-b", "--json", "-n", "1", *arguments)
        return json.loads(run.out) if run.returncode == 0 and run.out else None

    def until(self, ask, what):
        end = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end:
            answer = ask()
            if answer:
                return answer
            time.sleep(0.05)
        raise AssertionError(what + ": not seen")

    def test_a_recorded_process_is_found_by_its_number_and_its_leak_leads(self):
        path, process = self.record(self.build())
        doc = self.until(lambda: os.path.exists(path) and (d := self.document(path)) and d["pid"] and d, "the program")

        def leak_leads():
            doc = self.document(str(pid))
            return doc and doc["sites"] and doc["sites"][0]["function"] == "leak_here" and doc
        pid = doc["pid"]
        self.programs.append(pid)
        doc = self.until(leak_leads, "leak_here on top")
        self.assertEqual(doc["sites"][0]["file"][-7:], "leaky.c")
        table = next(s for s in doc["sites"] if s["function"] == "table_here")
        self.assertEqual(table["growth_bytes_per_min"], 0, "start-up is no growth")
        self.assertEqual(self.document(str(process.pid))["pid"], pid, "the recorder's number will do")

    @unittest.skipUnless(shutil.which("dot"), "graphviz is not installed")
    def test_the_leaks_of_dot_climb_to_the_top_within_30_seconds_and_stay_there_in_the_file(self):
        path = self.path("dot.geomem")
        process = subprocess.Popen([RECORD, "-o", path, "--", "dot", "-Tsvg"], env=environment(), stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        leaks = {"named_virtual_node", "make_aux_edge", "new_virtual_edge"}
        leading = None
        end = time.monotonic() + 30
        while leading != leaks and time.monotonic() < end:
            for _ in range(20):
                process.stdin.write(b"digraph g { a->b; b->c; c->a; a->d; b->d; subgraph cluster_x {d;e;} }\n")
                process.stdin.flush()
                time.sleep(0.01)
            doc = self.document(path) if os.path.exists(path) else None
            leading = doc and {site["function"] for site in doc["sites"][:3]}
        self.assertEqual(leading, leaks)
        process.stdin.close()
        self.assertEqual(process.wait(PATIENCE), 0)
        doc = self.document(path)
        self.assertEqual((doc["state"], doc["exit_status"]), ("replay", 0))
        self.assertEqual({site["function"] for site in doc["sites"][:3]}, leaks)

    def test_marks_and_the_end_of_a_recording_reach_the_recorder(self):
        path, process = self.record(self.build())
        self.until(lambda: os.path.exists(path) and (d := self.document(path)) and d["sites"], "the first site")
        top = self.terminal("-d", "0.2", path)
        top.wait_for("LIVE", "SITE")
        top.press("m", "name of the mark")
        top.press("half time\r", "mark 'half time' is set")
        top.wait_until(lambda: "▲" in top.text, "the mark on the chart")
        top.press("Q", "end the recording?")
        top.send("n")
        top.wait_gone("end the recording?")
        self.assertIn("LIVE", top.lines[0])
        top.press("Q", "end the recording?")
        top.press("y", "ENDED")
        pid = int(re.search(r"\[(\d+)\]", top.lines[0]).group(1))
        self.programs.append(pid)
        os.kill(pid, 0)  # the program runs on
        self.quit(top)
        os.kill(pid, signal.SIGTERM)

    def test_a_program_started_here_goes_on_when_the_screen_is_left(self):
        program = self.build()
        folder = os.getcwd()
        os.chdir(self.folder)
        try:
            top = self.terminal("-d", "0.2", "--", program)
        finally:
            os.chdir(folder)
        top.wait_for("LIVE", re.compile(r"leaky\[\d+\]"), re.compile("output goes to leaky.*out"))
        pid = int(re.search(r"\[(\d+)\]", top.lines[0]).group(1))
        self.programs.append(pid)
        self.quit(top)
        self.assertIn("go on; geomem-top leaky.", top.said())
        os.kill(pid, 0)
        name = re.search(r"geomem-top (leaky\.\d+\.geomem)", top.said()).group(1)
        self.assertEqual(self.document(self.path(name))["state"], "live")
        os.kill(pid, signal.SIGTERM)
        self.until(lambda: self.document(self.path(name))["state"] == "replay", "the end")


if __name__ == "__main__":
    unittest.main()
