"""What makes unwinders go wrong, each with stacks whose answer is known: every single stack must be whole."""
import collections
import os
import shutil

import harness
from harness import target

FRAMES = """
    WITH RECURSIVE up(leaf, node, level) AS (
        SELECT DISTINCT stack_id, stack_id, 0 FROM site
        UNION ALL SELECT up.leaf, s.parent_id, up.level + 1 FROM up JOIN stack s ON s.stack_id = up.node
                  WHERE s.parent_id IS NOT NULL)
    SELECT up.leaf, v.function, v.flags, v.module FROM up JOIN stack s ON s.stack_id = up.node
    JOIN v_frames v USING (frame_id) WHERE NOT v.inlined ORDER BY up.leaf, up.level"""
GUESSED, CUT, INTERRUPTED, LOST_ROOT = 1, 2, 4, 8

Stack = collections.namedtuple("Stack", "allocations min_bytes max_bytes functions flags root_module")


def stacks(recording):
    """Each site's stack, innermost function first, with what was allocated there."""
    chains = collections.defaultdict(list)
    for leaf, *frame in recording.sql(FRAMES):
        chains[leaf].append(frame)
    found = []
    for stack_id, *figures in recording.sql("SELECT stack_id, allocs, min_bytes, max_bytes FROM site"):
        functions, flags, modules = zip(*chains[stack_id])
        every = 0
        for flag in flags:
            every |= flag
        found.append(Stack(*figures, functions, every, modules[-1] or ""))
    return found


class Hazards(harness.Case):
    def assert_whole_stacks(self, found, least):
        """All of them end where a program's or a thread's stack does, nothing was guessed, and they are enough."""
        for stack in found:
            self.assertFalse(stack.flags & (GUESSED | CUT | LOST_ROOT), stack)
        self.assertGreaterEqual(sum(stack.allocations for stack in found), least)

    def assert_chain(self, stack, *functions):
        """These functions stand in the stack in this order, innermost first, side by side."""
        n = len(functions)
        self.assertTrue(any(stack.functions[i:i + n] == functions for i in range(len(stack.functions))),
                        f"{functions} is not in {stack}")

    def test_a_plugin_at_the_place_of_another(self):
        """3,000 loads of two plugins with frames of different sizes, in turn, at one address."""
        recording = self.record(target("dl_loop"), target("libplugin_a.so"), target("libplugin_b.so"), "1500")
        self.assert_whole(recording)
        self.assertEqual(int(recording.stdout), 2999, "loads at the address of the one before")
        in_plugins = [stack for stack in stacks(recording) if "plugin_run" in stack.functions]
        self.assert_whole_stacks(in_plugins, 12000)
        self.assertEqual(sum(stack.allocations for stack in in_plugins), 12000)
        for stack in in_plugins:
            letter = "a" if "worker_a" in stack.functions else "b"
            self.assert_chain(stack, f"worker_{letter}", "plugin_run", "plugin_load", "main")
            self.assertIn(stack.max_bytes, {"a": (6001, 188), "b": (6002, 252), }[letter] + (61,))

    def test_objects_that_libc_unloads_by_itself(self):
        """Character set conversions, loaded and unloaded by iconv inside libc, without dlopen and dlclose."""
        with open(self.path("gconv-modules"), "w", encoding="ascii") as file:
            for letter in "abc":
                file.write(f"module INTERNAL GEOMEM-{letter.upper()}// {target('libconversion_' + letter)} 1\n")
        recording = self.record(target("conversions"), "700", env={"GCONV_PATH": self.dir})
        self.assert_whole(recording)
        self.assertGreaterEqual(int(recording.stdout), 1300, "loads where the other conversion had been")
        inside = [stack for stack in stacks(recording) if stack.functions[0] in ("convert_a", "convert_b")]
        self.assert_whole_stacks(inside, 5600)
        self.assertEqual(sum(stack.allocations for stack in inside), 5600)
        for stack in inside:
            self.assertEqual((stack.functions[1], stack.max_bytes), ("gconv_init", 100))
            self.assert_chain(stack, "conversion_use", "main")

    def assert_handler(self, recording, signals):
        """One allocation for each signal, below it what was interrupted, down to main."""
        self.assertEqual(int(recording.stdout), signals)
        handlers = [stack for stack in stacks(recording) if stack.functions[0] == "handler_inner"]
        self.assert_whole_stacks(handlers, signals)
        self.assertEqual(sum(stack.allocations for stack in handlers), signals)
        for stack in handlers:
            self.assertEqual((stack.min_bytes, stack.max_bytes), (4001, 4001))
            self.assertEqual(stack.functions[:3], ("handler_inner", "handler_outer", "on_signal"))
            self.assertIn("main", stack.functions)
            self.assertTrue(stack.flags & INTERRUPTED, stack)
        return handlers

    def test_a_signal_after_every_instruction(self):
        """The handler, on an alternate stack, runs after each instruction: also of the recorder's own hooks."""
        recording = self.record(target("stepped"), "step")
        self.assert_whole(recording)
        handlers = self.assert_handler(recording, int(recording.stdout))
        self.assertGreater(len(handlers), 3000, "instructions that were interrupted")
        for function in ("varying", "aligned", "six_saved", "compare", "malloc", "realloc", "free"):
            self.assertTrue(any(function in stack.functions for stack in handlers), function)

    def test_a_timers_signals(self):
        recording = self.record(target("stepped"), "alarm", "2000")
        self.assert_whole(recording)
        self.assert_handler(recording, int(recording.stdout))
        self.assert_whole_stacks([s for s in stacks(recording) if "work" in s.functions], 2000)

    def test_an_allocator_that_calls_itself_below_a_signal(self):
        """A realloc that calls malloc is one hook inside another; a signal in it is a third, and counted as lost."""
        shutil.copyfile(target("libnested_malloc.so"), self.path("libsafe_malloc.so"))
        recording = self.record(target("stepped"), "step", env={"LD_LIBRARY_PATH": self.dir})
        lost, corrupt = recording.row("SELECT lost_events, corrupt_records FROM run")
        self.assertGreater(lost, 0)
        self.assertEqual(corrupt, 0)
        self.assertEqual(recording.row("SELECT sum(late_events) FROM run")[0], 0)
        handlers = [stack for stack in stacks(recording) if stack.functions[0] == "handler_inner"]
        self.assert_whole_stacks(handlers, 10000)
        self.assertEqual(sum(stack.allocations for stack in handlers) + lost, int(recording.stdout))

    def test_coroutines_on_stacks_that_come_and_go(self):
        recording = self.record(target("coroutines"), "800")
        self.assert_whole(recording)
        inside = [stack for stack in stacks(recording) if stack.functions[0] == "co_leaf"]
        self.assert_whole_stacks(inside, 25600)
        for stack in inside:
            depth = stack.max_bytes - 1000
            self.assertEqual(stack.min_bytes, stack.max_bytes)
            self.assertEqual(stack.functions[:depth + 2], ("co_leaf",) + ("co_step",) * depth + ("co_entry",))
            self.assertEqual(len(stack.functions), depth + 3, "below co_entry stands only what started it")

    def test_longjmp(self):
        recording = self.record(target("jumps"))
        self.assert_whole(recording)
        inside = [stack for stack in stacks(recording) if "main" in stack.functions]
        self.assert_whole_stacks(inside, 44000)
        answers = {20: ("jump_from", "main"), 40: ("jump_from", "jump_from", "main"), 60: ("main",)}
        for stack in inside:
            self.assertEqual(stack.min_bytes, stack.max_bytes)
            functions = answers[stack.max_bytes]
            self.assertEqual(stack.functions[:len(functions)], functions)

    def test_threads_of_a_short_life(self):
        recording = self.record(target("many_threads"), "40", "1200")
        self.assert_whole(recording)
        inside = [stack for stack in stacks(recording) if stack.functions[0] == "thread_work"]
        self.assert_whole_stacks(inside, 13200)
        self.assertEqual(sum(stack.allocations for stack in inside), 13200)
        for stack in inside:
            self.assertEqual(stack.functions[:2], ("thread_work", "thread_run"))
            self.assertIn("libc.so.6", stack.root_module)

    def test_fork_and_vfork(self):
        recording = self.record(target("forks"), "200")
        self.assert_whole(recording)
        inside = [stack for stack in stacks(recording) if stack.functions[0] == "allocate"]
        self.assert_whole_stacks(inside, 1000)
        self.assertEqual(sum(stack.allocations for stack in inside), 1000)
        for stack in inside:
            kind, depth = divmod(stack.max_bytes, 100)
            self.assertEqual(stack.min_bytes, stack.max_bytes)
            if kind == 5:
                below = ("child_work",) * (depth + 1) + ("fork_at",) * (depth + 1)
            elif kind == 6:
                below = ()
            elif kind == 7:
                below = ("vfork_child",) * (depth + 1) + ("vfork_at",) * (depth + 1)
            else:
                below = ("vfork_at" if "vfork_at" in stack.functions else "fork_at",) * (depth + 1)
            self.assertEqual(stack.functions[1:len(below) + 2], below + ("main",))

    def test_exceptions_of_a_c_program_stay_with_libgcc(self):
        """libunwind exports _Unwind_RaiseException and its kin too: nothing of ours may bring it in before libgcc_s."""
        for unwind in ("cfi", "libunwind", "fp"):
            with self.subTest(unwind=unwind):
                env = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": self.path("bindings-" + unwind)}
                self.record(target("throws"), "3", options=["--unwind=" + unwind], env=env)
                bindings = []
                for name in os.listdir(self.dir):
                    if name.startswith("bindings-" + unwind):
                        with open(self.path(name), encoding="utf-8", errors="replace") as file:
                            bindings += [line for line in file
                                         if "libstdc++.so.6" in line.split(" to ")[0] and "_Unwind_" in line]
                self.assertIn("_Unwind_RaiseException", "".join(bindings))
                for line in bindings:
                    self.assertRegex(line, r" to \S*/libgcc_s\.so\.1 ")


if __name__ == "__main__":
    harness.main()
