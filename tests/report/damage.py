#!/usr/bin/env python3
"""Gives geomem-report damaged and hostile recordings: it must answer or refuse, never crash or hang.

  damage.py REPORT FIXTURE_PY [SEED]

Damage: bytes flipped, pages zeroed or swapped, files cut. Hostile: values that no recorder writes, set by SQL.
A refusal is exit status 3 with one line that names the file; an answer is exit status 0, 1 or, where
what was asked for is gone, 2. Under a sanitizer its reports are failures too.
"""
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

VARIANTS = 220
COMMANDS = [
    ["summary"], ["leaks"], ["leaks", "--json"], ["sites", "--sort=growth"], ["site", "2"], ["peak"],
    ["generations"], ["gc"], ["gc", "--json"], ["caches"], ["caches", "--json"],
    ["caches", "--from=1", "--to=3", "--all"], ["timeline"], ["tree"], ["tree", "--bottom-up", "--weight=allocated"], ["flame"],
    ["check"], ["summary", "--json"], ["leaks", "--from=1", "--to=3"], ["sites", "--function=main"],
    ["timeline", "--json"], ["sql", "SELECT * FROM v_sites JOIN v_stacks USING (stack_id)"],
]
HOSTILE = [
    "UPDATE stack_run SET parent_id = last_id",
    "UPDATE stack_run SET parent_id = (SELECT max(last_id) FROM stack_run)",
    "UPDATE stack_run SET parent_id = -5, frames = char(1114111, 55296, 65533)",
    "UPDATE stack_run SET frames = ''",
    "UPDATE stack_run SET parent_id = 'x', frames = x'00'",
    "UPDATE stack_run SET frames = CAST(x'c3ff80f8bfbfbfbfbf01' AS TEXT)",
    "UPDATE stack_run SET frames = printf('%.100000c', 'x')",
    "UPDATE stack_run SET frames = char(1, 2, 3, 1, 2, 3), parent_id = last_id - 1",
    "DELETE FROM stack_run WHERE last_id % 2 = 0",
    "DELETE FROM frame", "DELETE FROM frame_line", "DELETE FROM string", "DELETE FROM module", "DELETE FROM process",
    "DELETE FROM run", "DELETE FROM site_row", "DELETE FROM interval", "DELETE FROM thread",
    "UPDATE frame_line SET line = -1, function_id = 4294967296",
    "UPDATE frame SET address = -1, flags = -1, module_id = 77",
    "UPDATE string SET text = string_id || char(27) || '[2J' || char(0) || x'ff' WHERE 1",
    "UPDATE string SET text = string_id || printf('%.100000c', 'x')",
    "UPDATE module SET path = '/'",
    "UPDATE site_row SET live_blocks = -1, live_bytes = -9223372036854775808, allocs = -7",
    "UPDATE site_row SET live_blocks = 9223372036854775807, live_bytes = 9223372036854775807, allocs = 9223372036854775807,"
    " alloc_bytes = 9223372036854775807, birth_sum_us = 9223372036854775807, run_peak_bytes = 9223372036854775807",
    "UPDATE site_row SET birth_sum_us = -1, first_ns = -9, last_ns = 9223372036854775807, last_free_ns = -3",
    "UPDATE site_row SET stack_id = 4000000000, process_id = 4000000000",
    "UPDATE site_row SET function = x'fe', allocs = 'many', died_g1 = 1e300",
    "UPDATE site_row SET life_bytes = '[[', life_ns = '[[99999999999999999999,5],[3,-5],[70,1]]'",
    "UPDATE site_row SET life_bytes = '[[1,99999999999999999999999]]', life_ns = x'00ff'",
    "UPDATE site_row SET life_bytes = 99, life_ns = -5, min_bytes = NULL, max_bytes = NULL, last_ns = NULL, run_peak_seen = 'x'",
    "UPDATE OR IGNORE site_row SET site_id = site_id + 4294967295",
    "UPDATE cache SET capacity_bytes = 0, hits = -5, misses = 9223372036854775807, store_bytes = 9223372036854775807",
    "UPDATE cache SET hits = 9223372036854775807, loads = 1, load_ns = 9223372036854775807, sample_left = 1, one_hit_wonders = 9e18",
    "UPDATE cache SET name = char(27) || '[2J' || printf('%.100000c', 'x'), sample_rate = -1, sample_rate_min = 'much'",
    "UPDATE cache SET belady_hits = 9223372036854775807, belady_uses = -1, closed_ns = -1, process_id = 77",
    "DELETE FROM cache_eviction", "DELETE FROM cache", "DELETE FROM cache_interval",
    "UPDATE cache_eviction SET evictions = -1, evicted_bytes = 9223372036854775807",
    "UPDATE cache_interval SET hits = -1, misses = 9223372036854775807, capacity_bytes = 'x'",
    "UPDATE cache_mrc SET hit_ratio = -1e300, error = 1e300, byte_hit_ratio = 'x'",
    "UPDATE cache_mrc SET hit_ratio = 9e999, error = -9e999",
    "UPDATE OR IGNORE cache_mrc SET capacity_bytes = 9223372036854775807 - capacity_bytes",
    "UPDATE OR IGNORE cache_mrc SET capacity_bytes = 0",
    "UPDATE cache SET capacity_bytes = 9223372036854775807; UPDATE OR IGNORE cache_mrc SET capacity_bytes = 9223372036854775807",
    "UPDATE OR IGNORE cache_site SET stack_id = stack_id + 4000000000, hits = -1, open_pins = 5, oldest_pin_ns = -9",
    "UPDATE OR IGNORE cache_class SET key_class = -1, misses = 9223372036854775807",
    "UPDATE cache_pin SET ns = 9223372036854775807, stack_id = -4, bytes = -1",
    "UPDATE OR IGNORE cache_histogram SET bucket = bucket * 1000, count = 9223372036854775807",
    "UPDATE cache_histogram SET count = 9223372036854775807", "UPDATE cache_change SET ns = -1, from_value = -1, to_value = 'x'",
    "UPDATE interval SET start_ns = end_ns + 1000, end_ns = -9223372036854775808",
    "UPDATE interval SET start_ns = 0, end_ns = 9223372036854775807",
    "UPDATE process_interval SET live_bytes = -1, peak_bytes = 9223372036854775807, process_id = 3",
    "UPDATE site_interval SET allocs = 9223372036854775807, frees = -9223372036854775808, site_id = site_id + 100000",
    "UPDATE sample SET live_bytes = -5",
    "UPDATE OR IGNORE sample SET ns = -ns",
    "UPDATE OR IGNORE sample SET ns = 9223372036854775807 - ns",
    "UPDATE generation_interval SET generation = generation + 99",
    "UPDATE generation_interval SET born = -1, died = 9223372036854775807",
    "UPDATE run SET duration_ns = 0", "UPDATE run SET duration_ns = -1", "UPDATE run SET duration_ns = 9223372036854775807",
    "UPDATE run SET start_utc_ns = -9223372036854775808", "UPDATE run SET start_utc_ns = 9223372036854775807",
    "UPDATE run SET command = '[\"a\",1,{}]', program = '', options = '['",
    "UPDATE run SET command = printf('%.100000c', '[')",
    "UPDATE run SET exit_status = 99999, exit_signal = -1, recorder_pid = -1",
    "UPDATE run SET state = 'other'", "UPDATE run SET peak_epoch = -1, peak_bytes = -1",
    "UPDATE run SET g1_age_bytes = -1, g2_age_bytes = 0, g3_age_bytes = 9223372036854775807",
    "UPDATE run SET lost_events = 9223372036854775807, corrupt_records = 5, late_events = 6, cut_stacks = 7",
    "UPDATE process SET origin = 'x', end_kind = 'y', end_value = 9223372036854775807, pid = -9223372036854775808",
    "UPDATE process SET command = 'not json', exe = '', start_ns = -1, end_ns = -1",
    "UPDATE process SET ring_fill = 'nan', threads = -1, peak_ns = -1",
    "INSERT INTO loss SELECT NULL, 1, 77, char(27) || 'x', 9223372036854775807 FROM site",
    "INSERT INTO mark VALUES (77, 5, -9223372036854775808, char(7)), (78, NULL, 9223372036854775807, x'ff')",
    "DROP TABLE site_row", "DROP TABLE stack_run", "DROP VIEW site", "DROP VIEW stack", "DROP VIEW v_sites",
    "DROP VIEW v_sites; CREATE VIEW v_sites AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "DROP TABLE mark; CREATE VIEW mark AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT i AS mark_id, i AS process_id, i AS ns, 'x' AS text FROM n",
    "CREATE TRIGGER t AFTER INSERT ON mark BEGIN SELECT 1; END",
    "PRAGMA user_version = 2", "PRAGMA user_version = -1", "PRAGMA application_id = 0",
]


def ask(report, command, path):
    """Returns what is wrong, or None."""
    args = [report, command[0], *command[1:], str(path)]
    if command[0] == "sql":
        args = [report, "sql", str(path), command[1]]
    env = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1", ASAN_OPTIONS="abort_on_error=0:exitcode=99")
    try:
        result = subprocess.run(args, capture_output=True, timeout=20, env=env)
    except subprocess.TimeoutExpired:
        return "%s: no end" % " ".join(command)
    error = result.stderr.decode(errors="replace")
    if result.returncode in (0, 1) and not error:
        return None
    if result.returncode in (2, 3) and error.startswith("geomem-report: ") and error.count("\n") == 1 and "\x1b" not in error:
        return None
    return "%s: status %d: %s" % (" ".join(command), result.returncode, error[:2000])


def damaged(data, rng):
    """One damaged variant of a file, and what was done to it."""
    data = bytearray(data)
    page = 4096
    pages = len(data) // page
    kind = rng.randrange(6)
    if kind == 0:
        n = rng.choice((1, 2, 8, 64))
        for _ in range(n):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return data, "%d bits flipped" % n
    if kind == 1:
        p = rng.randrange(pages) * page
        for _ in range(rng.choice((1, 4, 16))):
            data[p + rng.randrange(64)] = rng.randrange(256)
        return data, "the head of page %d" % (p // page)
    if kind == 2:
        data[:100] = bytes(rng.randrange(256) if rng.randrange(8) == 0 and i > 15 else b for i, b in enumerate(data[:100]))
        return data, "the head of the file"
    if kind == 3:
        p = rng.randrange(pages) * page
        data[p:p + page] = bytes(page)
        return data, "page %d zeroed" % (p // page)
    if kind == 4:
        a, b = rng.randrange(pages) * page, rng.randrange(pages) * page
        data[a:a + page], data[b:b + page] = data[b:b + page], data[a:a + page]
        return data, "pages %d and %d swapped" % (a // page, b // page)
    n = rng.randrange(len(data))
    return data[:n], "cut to %d bytes" % n


def main():
    report, fixture = sys.argv[1], sys.argv[2]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    rng, wrong, count = random.Random(seed), [], 0
    print("seed %d" % seed)
    with tempfile.TemporaryDirectory() as folder:
        good, path = Path(folder) / "good.geomem", Path(folder) / "bad.geomem"
        subprocess.run([sys.executable, fixture, "caches", str(good)], check=True)
        data = good.read_bytes()
        for n in range(VARIANTS):
            bad, what = damaged(data, rng)
            path.write_bytes(bad)
            for command in rng.sample(COMMANDS, 4):
                message = ask(report, command, path)
                count += 1
                if message:
                    wrong.append("variant %d, %s: %s" % (n, what, message))
        for sql in HOSTILE:
            shutil.copy(good, path)
            db = sqlite3.connect(path)
            db.executescript("PRAGMA ignore_check_constraints = ON; " + sql)
            db.close()
            for command in COMMANDS:
                message = ask(report, command, path)
                count += 1
                if message:
                    wrong.append("%s: %s" % (sql[:100], message))
    print("\n".join(wrong) if wrong else "%d runs: answered or refused" % count)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
