#!/usr/bin/python3
"""What geomem-top draws, and what its keys do, on a finished recording with known contents."""
import os
import re
import select
import signal
import unittest

from terminal import (DOWN, END, ENTER, ESCAPE, HOME, LEFT, PAGE_DOWN, PAGE_UP, RIGHT, UP, Case)

SIZES = ((40, 8), (60, 15), (80, 24), (120, 40), (160, 50))
ORDER = ("session_new", "init_tables", "json_parse", "libfoo")  # by growth


class Pictures(Case):
    def test_each_size_has_its_picture(self):
        for w, h in SIZES:
            with self.subTest(size=(w, h)):
                top = self.shown(size=(w, h))
                self.golden("table_%dx%d" % (w, h), top.text)
                self.quit(top)

    def test_stacks_help_and_menu_have_their_pictures(self):
        top = self.shown()
        top.press(ENTER, "site 2: live")
        top.settle()
        self.golden("stacks_80x24", top.text)
        top.press(ESCAPE, "GROWTH/m")
        top.press("?", "previous row")
        top.settle()
        self.golden("help_80x24", top.text)
        top.press(ESCAPE, "GROWTH/m")
        top.press("s", "sort by")
        top.settle()
        self.golden("menu_80x24", top.text)
        self.quit(top)

    def test_the_collector_has_its_page(self):
        top = self.shown("gc")
        top.press("C", "COLLECTIONS")
        top.settle()
        self.golden("gc_80x24", top.text)
        top.send(END)
        top.settle()
        self.assertIn("00:00:01 young", top.text)
        top.press("C", "GROWTH/m")
        self.quit(top)
        top = self.shown()
        top.press("C", "no collection yet")
        top.press(ESCAPE, "GROWTH/m")
        self.quit(top)

    def test_caches_have_their_page(self):
        for w, h in ((80, 24), (160, 50)):
            top = self.shown("caches", size=(w, h))
            top.press("K", "VERDICT")
            top.settle()
            self.golden("caches_%dx%d" % (w, h), top.text)
            self.quit(top)
        top = self.shown("caches")
        top.press("K", "VERDICT")
        top.send(END)
        top.settle()
        self.assertIn("by session_new session.c:19", top.text)
        top.press("K", "GROWTH/m")
        top.press("K", "VERDICT")
        top.press("[", "at 00:00:00 of")  # before there were any
        top.settle()
        self.assertNotIn("closed", top.text)
        self.quit(top)
        top = self.shown()
        top.press("K", "no cache yet")
        top.press(ESCAPE, "GROWTH/m")
        self.quit(top)

    def test_a_cache_in_the_past_is_as_it_was(self):
        top = self.shown("caches", "--at", "1.9")
        top.press("K", "VERDICT")
        top.settle()
        self.assertRegex(top.text, r"sessions +[0-9.k]+ +25\.0% .* 524k")
        self.quit(top)

    def test_ascii_and_the_c_locale_draw_the_same_and_nothing_beyond_ascii(self):
        # Not xterm's: its entry lets curses repeat a character by a sequence that pyte does not know.
        top = self.shown("small", "--ascii", TERM="tmux-256color")
        picture = top.text
        self.golden("ascii_80x24", picture)
        self.assertFalse(any(byte >= 0x80 for byte in top.raw))
        self.quit(top)
        top = self.shown(LC_ALL="C", TERM="tmux-256color")
        self.assertEqual(top.text, picture)
        self.assertFalse(any(byte >= 0x80 for byte in top.raw))
        self.quit(top)

    def test_the_chart_comes_in_blocks_too(self):
        top = self.shown("small", "--chart=block")
        self.assertIn("█", top.text)
        top.send("c")
        top.wait_until(lambda: "#" in top.text, "the ASCII chart")
        top.press("c", re.compile("[⣀-⣿]"))
        self.quit(top)

    def test_a_moment_in_the_past(self):
        top = self.shown("small", "--at", "2.0")
        self.golden("at_2s_80x24", top.text)
        self.assertIn("at 00:00:02 of 00:00:04", top.text)
        self.quit(top)

    def test_below_40x8_one_line_is_left(self):
        top = self.terminal("--clock=fixed", self.fixture("small"), size=(30, 5))
        top.wait_for("232k")
        top.settle()
        self.assertEqual(len([line for line in top.lines if line]), 1)
        self.quit(top)

    def test_resizing_there_and_back(self):
        top = self.shown()
        before = top.text
        for w, h in ((40, 8), (20, 3), (160, 50), (61, 17), (80, 24)):
            top.resize(w, h)
            top.wait_for("232k")
            top.settle()
        self.assertEqual(top.text, before)
        self.quit(top)


class Keys(Case):
    def rows(self, top):
        """The places of the table from top to bottom; none while a picture has come in part only."""
        if "GROWTH/m ALLOC/s" not in top.text:
            return []
        head = top.row_of("GROWTH/m ALLOC/s")
        return [next((name for name in ORDER if name in line), line) for line in top.lines[head + 1:head + 5]]

    def cursor(self, top):
        return next((name for line in top.lines if line.startswith(">") for name in ORDER if name in line), None)

    def test_the_cursor_moves_with_either_kind_of_arrow_and_with_letters(self):
        top = self.shown()
        self.assertEqual(self.cursor(top), ORDER[0])
        for keys, name in ((DOWN, 1), ("\x1bOB", 2), ("j", 3), (DOWN, 3), (UP, 2), ("\x1bOA", 1), ("k", 0), (UP, 0),
                           (END, 3), (HOME, 0), ("G", 3), ("g", 0), (PAGE_DOWN, 3), (PAGE_UP, 0)):
            top.send(keys)
            top.wait_until(lambda: self.cursor(top) == ORDER[name], "%r moves to %s" % (keys, ORDER[name]))
        row = top.row_of(ORDER[0])
        self.assertTrue(top.cell(20, row).reverse, "the cursor is in reverse")
        self.quit(top)

    def rows_become(self, top, names):
        """The heading may be on the screen before the last row is."""
        top.wait_until(lambda: self.rows(top) == names, "rows %s" % names)

    def test_sorting_by_menu_by_neighbour_and_inverted(self):
        top = self.shown()
        self.rows_become(top, list(ORDER))
        top.press("<", "by LIVE")
        self.rows_become(top, ["session_new", "init_tables", "libfoo", "json_parse"])
        top.press("I", "by LIVE inverted")
        self.rows_become(top, ["json_parse", "libfoo", "init_tables", "session_new"])
        top.press("I", "by LIVE,")
        top.press(">", "by GROWTH/m")
        top.press(">", "by ALLOC/s")  # BLOCKS is not shown at this width
        top.press("s", "sort by")
        top.send(END)
        top.press(ENTER, "by SITE")
        self.rows_become(top, ["init_tables", "json_parse", "libfoo", "session_new"])
        top.press("s", "sort by")
        top.send(ESCAPE)
        top.wait_gone("sort by")
        self.quit(top)

    def test_a_filter_shows_while_it_is_typed(self):
        top = self.shown()
        top.press("/", "filter:")
        top.press("JSON", "1 of 4 sites")
        self.assertNotIn("session_new session.c", top.lines[top.row_of("json_parse")])
        top.press("\x7f\x7f\x7f\x7f", "4 sites")
        top.press("live>10k", "2 of 4 sites, filter: live>10k")
        top.send(ENTER)
        top.wait_for("quit")
        top.press("/", "filter: live>10k")
        top.press("zzz", "a number such as")
        top.send(ESCAPE)  # the one before comes back
        top.wait_for("2 of 4 sites", "quit")
        top.send(ESCAPE)
        top.wait_for(re.compile(" 4 sites"))
        top.press("/nothing at all\r", "no site passes the filter")
        self.quit(top)

    def test_drilling_down_and_back(self):
        top = self.shown()
        top.press(DOWN + ENTER, "init_tables tables.c:9", "live", "promoted", "site 1: live")
        self.assertIn("main server.c:201", top.text)
        top.press(LEFT, "GROWTH/m")
        self.assertEqual(self.cursor(top), "init_tables")
        top.press(RIGHT, "site 1: live")
        top.press("\x7f", "GROWTH/m")
        self.quit(top)

    def test_stacks_and_help_scroll_to_their_end_on_a_small_screen(self):
        top = self.shown(size=(60, 15))
        top.press(ENTER, "live  ")
        top.press(PAGE_DOWN + PAGE_DOWN + PAGE_DOWN, "main server.c:210")
        top.press(PAGE_UP + PAGE_UP + PAGE_UP, "live  ")
        top.press("?", "previous row")
        top.press(END, "SITE", "LIVE")
        top.press(HOME, "previous row")
        top.press(ESCAPE, "live  ")
        top.press(ESCAPE, "GROWTH/m")
        self.quit(top)

    def test_escape_followed_at_once_by_another_key(self):
        top = self.shown()
        top.press(ENTER, "site 2: live")
        top.send("\x1bq")
        self.assertEqual(top.end(), 0)

    def test_stepping_in_time(self):
        top = self.shown()
        top.press("[", "at 00:00:00 of 00:00:04")
        top.press("]", "ran 00:00:04")
        self.quit(top)

    def test_requests_to_a_finished_recording_are_declined(self):
        top = self.shown()
        top.press("m", "the recording has ended")
        top.press("Q", "the recording has ended")
        self.quit(top)

    def test_windows_of_growth(self):
        top = self.shown()
        for text in ("growth over the last 10 s", "growth over the last minute", "growth over the last 10 minutes",
                     "growth since the start", "growth over: chosen by itself"):
            top.press("w", text)
        self.quit(top)


class Colours(Case):
    COLOUR = re.compile(rb"\x1b\[[0-9;]*[39][0-8]m|\x1b\[[0-9;]*38;")

    def test_colours_unless_they_are_not_wanted(self):
        self.assertRegex(self.shown().raw, self.COLOUR)
        self.assertNotRegex(self.shown(NO_COLOR="1").raw, self.COLOUR)
        self.assertNotRegex(self.shown("small", "--color=never").raw, self.COLOUR)
        self.assertRegex(self.shown("small", "--color=always", NO_COLOR="1").raw, self.COLOUR)
        self.assertRegex(self.shown(NO_COLOR="").raw, self.COLOUR, "an empty NO_COLOR says nothing")

    def test_what_colours_say_stands_there_in_words_too(self):
        top = self.shown("tree", NO_COLOR="1")
        self.assertIn("LOST 8! CORRUPT 2!", top.lines[0])
        self.quit(top)

    def test_other_terminals(self):
        for name in ("xterm", "screen-256color", "tmux-256color", "linux", "vt100"):
            with self.subTest(TERM=name):
                top = self.shown(TERM=name)
                self.assertIn("session_new", top.text)
                self.quit(top)


class Refusals(Case):
    def test_a_terminal_that_cannot_move_its_cursor_is_told_of_batch(self):
        for name in ("dumb", None, "no-such-terminal"):
            with self.subTest(TERM=name):
                top = self.terminal(self.fixture("small"), TERM=name)
                self.assertEqual(top.end(), 2)
                self.assertIn("use -b", top.said())
                self.assertEqual(top.raw, b"")
                self.assertTrue(top.modes_restored())


class Endings(Case):
    def test_ctrl_c_quits(self):
        top = self.shown()
        top.send("\x03")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.modes_restored())

    def test_signals_end_it_and_leave_the_terminal_as_it_was(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT):
            with self.subTest(signal=number):
                top = self.shown()
                self.assertFalse(top.modes_restored())
                top.process.send_signal(number)
                self.assertEqual(top.end(), -number)
                self.assertTrue(top.modes_restored())
                self.assertIn(b"\x1b[?1049l", top.raw, "back from the other screen")
                self.assertIn(b"\x1b[?25h", top.raw[top.raw.rindex(b"\x1b[?25l"):], "the cursor is back")

    def test_the_terminal_going_away_ends_it(self):
        top = self.shown()
        os.close(top.master)
        top.master = os.open("/dev/null", os.O_RDWR)
        self.assertLessEqual(top.process.wait(timeout=60), 0)

    def test_ctrl_z_and_fg(self):
        top = self.shown(as_job=True)
        picture = top.text
        top.send("\x1a")
        top.wait_until(lambda: select.select([top.told], [], [], 0)[0], "it to stop")
        self.assertTrue(top.modes_restored())
        top.settle()
        top.screen.reset()
        top.process.send_signal(signal.SIGUSR1)
        top.wait_until(lambda: top.text == picture, "the same picture again")
        self.assertFalse(top.modes_restored())
        self.quit(top)

    def test_keys_come_from_the_terminal_when_standard_input_does_not(self):
        top = self.shown(stdin_null=True)
        top.press("?", "previous row")
        top.send("q")
        self.assertEqual(top.end(), 0)


class Names(Case):
    def test_names_with_control_characters_do_nothing(self):
        top = self.shown("names")
        top.settle()
        body = top.raw
        self.assertNotIn(b"\x07", body)
        self.assertNotIn(b"\x1b]", body, "no title is set")
        self.assertNotRegex(body, rb"\x1b\[2J.*\x1b\[2J")
        top.press(ENTER, "site ")
        self.assertNotIn(b"\x1b]", top.raw)
        self.quit(top)


if __name__ == "__main__":
    unittest.main()
