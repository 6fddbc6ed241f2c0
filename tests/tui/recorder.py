#!/usr/bin/python3
"""Plays a recorder: writes a recording that grows, for tests and measurements of geomem-top.

usage: recorder.py FILE [--sites N] [--changing N] [--slices N] [--past N] [--period SECONDS] [--exit STATUS]

The program has N sites; site 1 leaks steadily, the others come and go around a level. PAST slices of half a
second are there from the start; then one is committed every PERIOD seconds of real time, SLICES in all, each
with CHANGING sites that changed. The end is an orderly close, or none with --exit=none (a recorder that dies).
What it commits is whole at every commit, as the real recorder's is. Prints "ready" once the file can be read.
"""
import argparse
import json
import os
import random
import sqlite3
import sys
import time

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schemas", "schema.sql")
SLICE_NS = 500_000_000
LEAK = 4096  # bytes that site 1 leaks in each slice


def start_ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


class Recorder:
    def __init__(self, path, sites, changing, seed):
        self.random = random.Random(seed)
        self.sites, self.changing = sites, min(changing, sites)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;")
        with open(SCHEMA) as f:
            self.db.executescript(f.read())
        self.slice = self.cache_hits = 0
        self.live = [0] * (sites + 1)
        self.allocs = self.alloc_bytes = self.frees = self.free_bytes = self.peak = self.lost = 0
        self.db.execute("BEGIN")
        self.write_names()
        self.write_run()
        self.db.execute("COMMIT")

    def write_run(self):
        with open("/proc/sys/kernel/random/boot_id") as f:
            boot = f.read().strip()
        self.db.execute(
            "INSERT INTO run (run_id, geomem_version, program, command, cwd, host, kernel, cpus, page_bytes, boot_id,"
            " recorder_pid, recorder_start_ticks, start_utc_ns, options, g1_age_bytes, g2_age_bytes, g3_age_bytes,"
            " state, duration_ns, root_process_id) VALUES (1, '0', 'grower', '[\"grower\"]', '/', 'h', 'k', 2, 4096, ?,"
            " ?, ?, 1700000000000000000, '{}', 65536, 1048576, 16777216, 'recording', 0, 1)",
            (boot, os.getpid(), start_ticks(os.getpid())))
        self.db.execute("INSERT INTO process (process_id, pid, origin, exe, command, start_ns, threads)"
                        " VALUES (1, 4242, 'root', '/bin/grower', '[\"grower\"]', 0, 2)")
        self.db.executemany("INSERT INTO thread (thread_id, process_id, tid, name, start_ns) VALUES (?, 1, ?, ?, 0)",
                            [(1, 4242, "grower"), (2, 4243, "worker")])

    def write_names(self):
        """One module; a trunk of 18 frames, and two frames of its own for each site."""
        frames = 20 + 2 * self.sites
        self.db.execute("INSERT INTO module VALUES (1, '/bin/grower', '', 'debug')")
        self.db.execute("INSERT INTO string VALUES (1, '/src/grower.c')")
        names = ["main"] + ["layer_%d" % i for i in range(1, 20)]
        names += [n for i in range(1, self.sites + 1) for n in ("caller_%d" % i, "leaky" if i == 1 else "site_%d" % i)]
        self.db.executemany("INSERT INTO string VALUES (?, ?)", ((i + 2, n) for i, n in enumerate(names)))
        self.db.executemany("INSERT INTO frame VALUES (?, 1, ?, 0, 1)", ((i + 1, 0x1000 + 16 * i) for i in range(frames)))
        self.db.executemany("INSERT INTO frame_line VALUES (?, 0, ?, 1, ?)", ((i + 1, i + 2, i + 1) for i in range(frames)))
        self.db.execute("INSERT INTO stack_run VALUES (20, NULL, ?)", ("".join(map(chr, range(1, 21))),))
        self.db.executemany("INSERT INTO stack_run VALUES (?, 20, ?)",
                            ((20 + 2 * i, chr(19 + 2 * i) + chr(20 + 2 * i)) for i in range(1, self.sites + 1)))
        self.db.executemany("INSERT INTO site_row (site_id, process_id, stack_id) VALUES (?, 1, ?)",
                            ((i, 20 + 2 * i) for i in range(1, self.sites + 1)))

    def step_site(self, site, t):
        """Blocks of 64 B; site 1 only allocates, the others stay around their level."""
        if site == 1:
            born, died = LEAK // 64, 0
        else:
            born, died = self.random.randrange(1, 40), self.random.randrange(0, 40)
            died = min(died if self.live[site] > 100 else 0, self.live[site])
        self.live[site] += born - died
        self.allocs += born
        self.frees += died
        return site, born, died

    def step(self):
        self.slice += 1
        t0, t1 = (self.slice - 1) * SLICE_NS, self.slice * SLICE_NS
        sites = [1] + [1 + (self.slice * self.changing + k) % (self.sites - 1) + 1 for k in range(self.changing - 1)] \
            if self.sites > 1 else [1]
        rows = [self.step_site(s, t1) for s in dict.fromkeys(sites)]
        live = sum(self.live) * 64
        self.peak = max(self.peak, live)
        born, died = sum(r[1] for r in rows), sum(r[2] for r in rows)
        self.db.execute("INSERT INTO interval VALUES (?, ?, ?)", (self.slice, t0, t1))
        self.db.executemany("INSERT INTO site_interval VALUES (?, ?, ?, ?, ?, ?)",
                            ((self.slice, s, b, 64 * b, d, 64 * d) for s, b, d in sorted(rows)))
        self.db.executemany(
            "UPDATE site_row SET allocs = allocs + ?, alloc_bytes = alloc_bytes + ?, live_blocks = ?, live_bytes = ?,"
            " birth_sum_us = ?, last_ns = ?, last_free_ns = CASE WHEN ? THEN ? ELSE last_free_ns END, min_bytes = 64,"
            " max_bytes = 64, promoted_g1 = ?, life_bytes = '[[10,40],[12,3000],[14,12]]',"
            " life_ns = '[[20,40],[22,3000],[24,12]]' WHERE site_id = ?",
            ((b, 64 * b, self.live[s], 64 * self.live[s], self.live[s] * t1 // 2000, t1, d, t1, self.live[s], s)
             for s, b, d in rows))
        self.db.execute("INSERT INTO process_interval VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                        (self.slice, born, 64 * born, died, 64 * died, sum(self.live), live, live, live + 1000000))
        self.db.execute("UPDATE process SET allocs = ?, alloc_bytes = ?, frees = ?, free_bytes = ?, live_blocks = ?,"
                        " live_bytes = ?, peak_bytes = ?, rss_bytes = ?, ring_fill = 0.12",
                        (self.allocs, 64 * self.allocs, self.frees, 64 * self.frees, sum(self.live), live, self.peak,
                         live + 1000000))
        self.step_cache(t1)
        self.db.execute("UPDATE run SET duration_ns = ?, events = ?, peak_bytes = ?", (t1, self.allocs + self.frees, self.peak))

    def step_cache(self, t):
        """A hundred uses in each slice; one more of them is a hit each time."""
        hits = min(99, 49 + self.slice)
        self.cache_hits += hits
        row = dict(cache_id=1, process_id=1, number=1, name="orders", policy="lru", first_ns=0, last_ns=t,
                   capacity_bytes=65536, sample_rate=1, sample_rate_min=1, samples=100 * self.slice, hits=self.cache_hits,
                   misses=100 * self.slice - self.cache_hits)
        zero = [name for _, name, _, needed, *_ in self.db.execute("PRAGMA table_info(cache)") if needed and name not in row]
        row.update(dict.fromkeys(zero, 0))
        self.db.execute("INSERT OR REPLACE INTO cache (%s) VALUES (%s)" % (",".join(row), ",".join("?" * len(row))),
                        list(row.values()))
        past = dict(interval_id=self.slice, cache_id=1, hits=hits, misses=100 - hits, capacity_bytes=65536)
        zero = [name for _, name, *_ in self.db.execute("PRAGMA table_info(cache_interval)") if name not in past]
        past.update(dict.fromkeys(zero, 0))
        self.db.execute("INSERT INTO cache_interval (%s) VALUES (%s)" % (",".join(past), ",".join("?" * len(past))),
                        list(past.values()))

    def commit_step(self):
        self.db.execute("BEGIN")
        self.step()
        self.db.execute("COMMIT")

    def close(self, status):
        self.db.execute("BEGIN")
        self.db.execute("UPDATE process SET end_ns = ?, end_kind = 'exit', end_value = ?", (self.slice * SLICE_NS, status))
        self.db.execute("UPDATE thread SET end_ns = ?", (self.slice * SLICE_NS,))
        self.db.execute("UPDATE run SET state = 'complete', exit_status = ?, stop_reason = 'ended'", (status,))
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("file")
    for name, value in (("sites", 20), ("changing", 20), ("slices", 20), ("past", 4), ("seed", 1)):
        options.add_argument("--" + name, type=int, default=value)
    options.add_argument("--period", type=float, default=0.5)
    options.add_argument("--exit", default="0")
    o = options.parse_args()
    recorder = Recorder(o.file, o.sites, o.changing, o.seed)
    recorder.db.execute("BEGIN")
    for _ in range(o.past):
        recorder.step()
    recorder.db.execute("COMMIT")
    print("ready", flush=True)
    for _ in range(o.slices):
        time.sleep(o.period)
        recorder.commit_step()
    if o.exit == "none":
        os._exit(1)
    recorder.close(int(o.exit))


if __name__ == "__main__":
    sys.exit(main())
