#!/usr/bin/env python3
"""Installs a build into an empty prefix, moves the prefix, and uses it from another folder as a user would.

  test_install.py BUILD_DIR
"""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(sys.argv.pop(1)).resolve()
COMMANDS = ["geomem-record", "geomem-report", "geomem-top"]


def run(*words, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise AssertionError(f"{words} gave {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = Path(tempfile.mkdtemp(prefix="geomem-install-"))
        first = cls.room / "first prefix"
        run("cmake", "--install", BUILD, "--prefix", first)
        cls.prefix = cls.room / "moved prefix"
        first.rename(cls.prefix)
        cls.work = cls.room / "elsewhere"
        cls.work.mkdir()
        # Nothing of the build tree or of the caller's shell may be needed.
        cls.env = {"PATH": f"{cls.prefix}/bin:/usr/bin:/bin", "HOME": str(cls.work), "LANG": "C.UTF-8"}
        run("gcc", "-g", "-O1", "-o", cls.work / "leaky", ROOT / "examples" / "leaky.c")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.room)

    def use(self, *words):
        return run(*words, cwd=self.work, env=self.env)

    def test_commands_are_on_the_path_and_know_their_version(self):
        for command in COMMANDS:
            if command == "geomem-top" and not (BUILD / "bin" / command).exists():
                continue  # built with GEOMEM_BUILD_TOP=OFF
            self.assertIn("0.", self.use(command, "--version"), command)

    def test_preload_library_is_in_a_private_folder_only(self):
        found = [p.parent.name for p in self.prefix.rglob("libgeomem_preload.so")]
        self.assertEqual(found, ["geomem"])

    def test_the_library_for_sqlite_is_in_a_private_folder_only(self):
        found = [p.parent.name for p in self.prefix.rglob("geomem_sqlite_pages.so")]
        self.assertEqual(found, ["geomem"])

    def test_the_library_for_bdwgc_clients_is_in_a_private_folder_only(self):
        if not (BUILD / "lib/geomem/bdwgc/libgc.so.1").exists():
            self.skipTest("built with GEOMEM_BUILD_BDWGC=OFF")
        found = {p.parent.name for p in self.prefix.rglob("libgc.so*")}
        self.assertEqual(found, {"bdwgc"})

    def test_a_program_is_recorded_and_its_leak_has_names_and_lines(self):
        said = self.use("geomem-record", "-o", "leaky.geomem", "--", "./leaky")
        lost = int(said.split()[-1])  # leaky prints how many carts it lost
        leaks = json.loads(self.use("geomem-report", "leaks", "--json", "leaky.geomem"))
        carts = [s for s in leaks["sites"] if any(f["function"] == "cart_new" for f in s["stack"])]
        self.assertEqual(sum(s["live_blocks"] for s in carts), lost)
        frame = next(f for f in carts[0]["stack"] if f["function"] == "cart_new")
        self.assertTrue(frame["file"].endswith("leaky.c"), frame)
        self.assertGreater(frame["line"], 0)

    def test_sqlite3_reads_the_log_of_events_with_the_extension(self):
        self.use("geomem-record", "--events=all", "-o", "events.geomem", "--", "./leaky", "1000")
        found = [p for p in self.prefix.rglob("geomem_events.so")]
        self.assertEqual([p.parent.name for p in found], ["geomem"])
        sql = "SELECT kind, count(*) FROM gm_events GROUP BY 1"
        rows = self.use("sqlite3", "-csv", "-header", "events.geomem", f".load '{found[0].with_suffix('')}'", sql)
        said = self.use("geomem-report", "sql", "--csv", "events.geomem", sql)
        self.assertEqual(rows.splitlines(), said.splitlines())
        self.assertIn("alloc,", rows)

    def test_a_program_shows_its_cache_by_a_header_alone(self):
        for compiler, language in [("gcc", "c"), ("g++", "c++")]:
            source = self.work / "cached.c"
            source.write_text('#include <geomem/cache_probe.h>\n'
                              'int main(void)\n{\n'
                              '    struct geomem_probe *probe = geomem_cache_register("pages", 4096);\n'
                              '    for (unsigned i = 0; i < 64; i++)\n'
                              '        geomem_cache_access(probe, i % 16, i >= 16, 64);\n'
                              '    geomem_cache_evict(probe, 3, 64, GEOMEM_CACHE_SIZE);\n'
                              '    return 0;\n}\n')
            run(compiler, "-x", language, "-Wall", "-Wextra", "-Werror", "-I", self.prefix / "include", "-o",
                self.work / "cached", source)
            self.use("geomem-record", "-f", "-o", "cached.geomem", "--", "./cached")
            rows = self.use("geomem-report", "sql", "--csv", "cached.geomem",
                            "SELECT name, hits, misses, evictions, entries FROM v_caches")
            self.assertEqual(rows.splitlines()[1], "pages,48,16,1,15", language)

    def test_a_program_uses_the_caching_layer_of_the_library(self):
        source = self.work / "uses_cache.c"
        source.write_text('#include <geomem/memory.h>\n'
                          'int main(void)\n{\n'
                          '    CachedData data = {"data", 5, NULL};\n'
                          '    if (init_caching_layer() || store_cached_data(geomem_text_key("key"), data))\n'
                          '        return 1;\n'
                          '    data = get_cached_data(geomem_text_key("key"));\n'
                          '    int right = data.entry && data.size == 5 && geomem_cache_references(data.entry) == 1;\n'
                          '    release_cached_data(data);\n'
                          '    return right && remove_cached_data(geomem_text_key("key")) == 0 ? 0 : 1;\n}\n')
        library = next(self.prefix.rglob("libgeomem.so")).parent
        for compiler, language in [("gcc", "c"), ("g++", "c++")]:
            run(compiler, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", self.prefix / "include", "-o",
                self.work / "uses_cache", source, "-x", "none", "-L", library, f"-Wl,-rpath,{library}", "-lgeomem")
            self.use("./uses_cache")
            self.use("geomem-record", "-f", "-o", "layer.geomem", "--", "./uses_cache")
            rows = self.use("geomem-report", "sql", "--csv", "layer.geomem", "SELECT name, hits, entries FROM v_caches")
            self.assertEqual(rows.splitlines()[1], "cached data,1,0", language)

    def test_recorder_leaves_one_file_and_nothing_else(self):
        self.use("geomem-record", "-o", "one.geomem", "--", "./leaky", "1000")
        self.assertEqual([p.name for p in self.work.glob("one.geomem*")], ["one.geomem"])

    def test_man_pages_are_there_and_formatted(self):
        if not (BUILD / "man").exists():
            self.skipTest("built without man pages (no scdoc)")
        pages = sorted(p.name for p in (self.prefix / "share" / "man").rglob("*.gz"))
        for page in ["geomem-record.1.gz", "geomem-report.1.gz", "geomem-top.1.gz", "geomem.7.gz", "geomem-file.5.gz"]:
            self.assertIn(page, pages)
        for path in (self.prefix / "share" / "man").rglob("*.gz"):
            self.assertIn(".TH", gzip.decompress(path.read_bytes()).decode(), path.name)

    def test_bash_completes_options_subcommands_and_recordings(self):
        folder = self.prefix / "share" / "bash-completion" / "completions"
        self.use("geomem-record", "-o", "done.geomem", "--", "./leaky", "10")
        for words, expected in [(["geomem-record", "--no-f"], "--no-follow"), (["geomem-report", "lea"], "leaks"),
                                (["geomem-report", "leaks", "don"], "done.geomem"), (["geomem-top", "--asc"], "--ascii")]:
            if words[0] == "geomem-top" and not (BUILD / "bin" / "geomem-top").exists():
                continue
            script = (f'source "{folder}/{words[0]}"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
                      f'_geomem {words[0]}; printf "%s\\n" "${{COMPREPLY[@]}}"')
            self.assertEqual(self.use("bash", "-c", script).split(), [expected], words)

    def test_completions_for_other_shells_are_well_formed(self):
        for shell, name in [("zsh", "_geomem"), ("fish", "geomem-report.fish")]:
            if shutil.which(shell):
                self.use(shell, "-n", next(self.prefix.rglob(name)))

    def test_file_knows_a_recording(self):
        if not shutil.which("file"):
            self.skipTest("no file(1)")
        self.use("geomem-record", "-o", "magic.geomem", "--", "./leaky", "10")
        magic = next(self.prefix.rglob("geomem.magic"))
        self.assertIn("geomem recording", self.use("file", "-m", magic, "magic.geomem"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
