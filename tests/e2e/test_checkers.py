"""Memcheck, AddressSanitizer and GEOMEM_HEAP_DEBUG report planted faults in libgeomem's blocks where they are, and nothing
else: the collector, which reads everything, runs clean under each."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

SOURCE = os.path.join(harness.SOURCE, "tests/targets/heap_faults.c")
LIBRARIES = os.path.join(harness.BUILD, "lib")
# No leak check at the end: it goes through the address space that the collector keeps for its tables, for minutes.
MEMCHECK = ("valgrind", "-q", "--leak-check=no", "--error-exitcode=9")
ASAN = {"ASAN_OPTIONS": "detect_leaks=0"}


def line_of(mark):
    with open(SOURCE, encoding="utf-8") as file:
        found = [number for number, line in enumerate(file, 1) if f"/* fault: {mark} */" in line]
    assert len(found) == 1, mark
    return found[0]


class Checkers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.plain = cls.build("plain")
        cls.asan = cls.build("asan", "-fsanitize=address")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def build(cls, name, *flags):
        program = os.path.join(cls.folder.name, name)
        subprocess.run(["gcc", "-g", "-O0", *flags, "-I", os.path.join(harness.SOURCE, "libgeomem/include"), SOURCE,
                        "-o", program, "-L", LIBRARIES, f"-Wl,-rpath,{LIBRARIES}", "-lgeomem", "-pthread"], check=True)
        return program

    def run_program(self, *command, **environment):
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=120,
                             env=harness.clean_env({"LC_ALL": "C", **environment}), check=False)
        return run.returncode, run.stdout, run.stderr

    def first_line_in_program(self, text):
        """Of the first stack in a report."""
        found = re.search(r"heap_faults\.c:(\d+)", text)
        self.assertIsNotNone(found, text)
        return int(found.group(1))

    FAULTS = {"overflow": "write", "overflow_collected": "write", "after_free": "read", "after_free_collected": "read",
              "write_after_free": "write"}

    def test_address_sanitizer_reports_each_fault_at_its_line(self):
        for fault, mark in self.FAULTS.items():
            with self.subTest(fault):
                status, _, text = self.run_program(self.asan, fault, **ASAN)
                self.assertNotEqual(status, 0)
                self.assertIn("AddressSanitizer", text)
                self.assertEqual(self.first_line_in_program(text), line_of(mark), text)

    def test_address_sanitizer_has_nothing_to_say_of_a_sound_program(self):
        status, out, text = self.run_program(self.asan, "none", **ASAN)
        self.assertEqual((status, out, text), (0, "done\n", ""))

    @unittest.skipUnless(shutil.which("valgrind"), "no valgrind")
    def test_memcheck_reports_each_fault_at_its_line(self):
        for fault, mark in {**self.FAULTS, "undefined": "undefined"}.items():
            with self.subTest(fault):
                status, _, text = self.run_program(*MEMCHECK, self.plain, fault)
                self.assertEqual(status, 9, text)
                self.assertEqual(self.first_line_in_program(text), line_of(mark), text)
                self.assertIn("uninitialised" if fault == "undefined" else "Invalid", text)

    @unittest.skipUnless(shutil.which("valgrind"), "no valgrind")
    def test_memcheck_has_nothing_to_say_of_a_sound_program(self):
        status, out, text = self.run_program(*MEMCHECK, self.plain, "none")
        self.assertEqual((status, out), (0, "done\n"), text)
        self.assertNotIn("==", text)

    def test_our_own_check_finds_writes_to_freed_blocks(self):
        status, _, text = self.run_program(self.plain, "write_after_free", GEOMEM_HEAP_DEBUG="1")
        self.assertNotEqual(status, 0)
        self.assertRegex(text, r"the block of 48 bytes at 0x[0-9a-f]+ was written to after it was freed, at byte 5\n")
        status, _, text = self.run_program(self.plain, "double_free", GEOMEM_HEAP_DEBUG="1")
        self.assertIn("was freed before, and is in quarantine", text)

    def test_our_own_check_has_nothing_to_say_of_a_sound_program(self):
        self.assertEqual(self.run_program(self.plain, "none", GEOMEM_HEAP_DEBUG="1"), (0, "done\n", ""))

    def test_a_double_free_is_named_without_any_check(self):
        status, _, text = self.run_program(self.plain, "double_free")
        self.assertNotEqual(status, 0)
        self.assertRegex(text, r"^geomem: geomem_free\(0x[0-9a-f]+\): the block of 48 bytes is free already\n$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
