-- schema.sql - a geomem recording. Applied to a new file by schemas/db.c; the one definition of the tables.
--
-- Conventions: *_ns are nanoseconds since the recording began (run.start_utc_ns gives the date); *_bytes are
-- bytes as requested by the program; ids are small integers given in order of appearance, never 0.
-- The views v_* are the documented face: they stay when base tables change. Everything below the rows of
-- `run` and `process` may be read while the program runs: the recorder commits whole states, at least twice
-- a second.
-- Where run.sample_bytes is not 0 the recording is sampled: counts and bytes of blocks, here and in all other tables, are
-- estimates from run.samples allocations, and *_var are the variances of these estimates (0 else).

PRAGMA application_id = 0x474D454D;
PRAGMA user_version = 5;

-- The recording as a whole. One row.
CREATE TABLE run (
    run_id INTEGER PRIMARY KEY CHECK (run_id = 1),
    geomem_version TEXT NOT NULL,
    program TEXT NOT NULL,                  -- file name of the program, without its folder
    command TEXT NOT NULL,                  -- arguments, JSON array of strings
    cwd TEXT NOT NULL,
    host TEXT NOT NULL,
    kernel TEXT NOT NULL,
    cpus INTEGER NOT NULL,
    page_bytes INTEGER NOT NULL,
    boot_id TEXT NOT NULL,                  -- with the next two: tells a running recorder from a dead one
    recorder_pid INTEGER NOT NULL,
    recorder_start_ticks INTEGER NOT NULL,  -- field 22 of /proc/PID/stat
    start_utc_ns INTEGER NOT NULL,          -- nanoseconds since 1970-01-01 UTC
    options TEXT NOT NULL,                  -- how it was recorded, JSON object: clock, unwinder, on_full, ...
    g1_age_bytes INTEGER NOT NULL,          -- a block is in generation 0 below this age, ...
    g2_age_bytes INTEGER NOT NULL,          -- ... in generation 1 below this, ...
    g3_age_bytes INTEGER NOT NULL,          -- ... in 2 below this, and in 3 from there on
    state TEXT NOT NULL CHECK (state IN ('recording', 'complete')), -- 'complete' only after an orderly close
    duration_ns INTEGER NOT NULL,           -- up to the last commit
    root_process_id INTEGER,
    exit_status INTEGER,                    -- of the program: 0..255, or 128 + signal; NULL while it runs
    exit_signal INTEGER,                    -- signal that ended the program, else NULL
    stop_reason TEXT,                       -- why recording ended: 'ended', 'stopped by request', 'disk full', ...
    events INTEGER NOT NULL DEFAULT 0,      -- alloc, free and realloc records taken in
    lost_events INTEGER NOT NULL DEFAULT 0,
    corrupt_records INTEGER NOT NULL DEFAULT 0,
    late_events INTEGER NOT NULL DEFAULT 0, -- arrived after their place in the order had passed
    hash_collisions INTEGER NOT NULL DEFAULT 0, -- two stacks with one hash; both are kept, the count must be 0
    cut_stacks INTEGER NOT NULL DEFAULT 0,  -- captures deeper than the limit in `options`
    peak_epoch INTEGER NOT NULL DEFAULT 0,  -- see site.run_peak_*
    peak_bytes INTEGER NOT NULL DEFAULT 0,  -- most bytes live at one moment, all processes together
    peak_blocks INTEGER NOT NULL DEFAULT 0, -- blocks live at that moment
    peak_ns INTEGER NOT NULL DEFAULT 0,
    recorder_cpu_ns INTEGER NOT NULL DEFAULT 0,
    recorder_rss_bytes INTEGER NOT NULL DEFAULT 0, -- most the recorder itself held
    memory_limit_bytes INTEGER,             -- smallest limit the program ran under at its start; NULL: none known
    memory_limit_kind TEXT CHECK (memory_limit_kind IN ('cgroup', 'RLIMIT_AS', 'RLIMIT_DATA')),
        -- whose limit that is: memory.max of its control group or one above, or its own
    sample_bytes INTEGER NOT NULL DEFAULT 0, -- mean distance of sample points in bytes at the start; 0: every event was recorded
    sample_min_bytes INTEGER NOT NULL DEFAULT 0, -- smallest and largest distance that was in force
    sample_max_bytes INTEGER NOT NULL DEFAULT 0,
    sample_budget REAL,                     -- share of the programs' CPU time that recording was to keep to; NULL: none was asked for
    sample_share REAL,                      -- share that it took, of a sampled recording; NULL: not measured
    samples INTEGER NOT NULL DEFAULT 0,     -- allocations that were sampled
    peak_bytes_var REAL NOT NULL DEFAULT 0,
    left_out_stacks INTEGER NOT NULL DEFAULT 0 -- stacks that came when the recorder held as many as it may
);

-- One process image: the program, a forked child, or a program executed in its place.
CREATE TABLE process (
    process_id INTEGER PRIMARY KEY,
    pid INTEGER NOT NULL,
    parent_process_id INTEGER,              -- NULL for the first
    origin TEXT NOT NULL CHECK (origin IN ('root', 'fork', 'exec', 'spawn')),
        -- exec: the image before it had the same pid; spawn: a new program in a new process
    exe TEXT NOT NULL,                      -- path of the program file
    command TEXT NOT NULL,                  -- JSON array of strings
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,                         -- NULL while it runs
    end_kind TEXT CHECK (end_kind IN ('exit', 'signal', 'exec', 'unknown')), -- NULL while it runs
    end_value INTEGER,                      -- exit status or signal; NULL else
    threads INTEGER NOT NULL DEFAULT 0,     -- threads seen in all
    allocs INTEGER NOT NULL DEFAULT 0,      -- a realloc counts as one allocation and one free
    alloc_bytes INTEGER NOT NULL DEFAULT 0,
    frees INTEGER NOT NULL DEFAULT 0,       -- of blocks whose allocation was recorded in this process
    free_bytes INTEGER NOT NULL DEFAULT 0,
    reallocs INTEGER NOT NULL DEFAULT 0,
    unmatched_frees INTEGER NOT NULL DEFAULT 0, -- of addresses not known: inherited over fork, older than the recording
    implicit_frees INTEGER NOT NULL DEFAULT 0,  -- an address came out again though no free of it was seen (counted in frees)
    live_blocks INTEGER NOT NULL DEFAULT 0,
    live_bytes INTEGER NOT NULL DEFAULT 0,
    age_bytes INTEGER NOT NULL DEFAULT 0,   -- the logical clock: bytes allocated, each block rounded up to 16
    peak_epoch INTEGER NOT NULL DEFAULT 0,  -- see site.peak_*
    peak_bytes INTEGER NOT NULL DEFAULT 0,
    peak_blocks INTEGER NOT NULL DEFAULT 0,
    peak_ns INTEGER NOT NULL DEFAULT 0,
    end_peak_epoch INTEGER,                 -- run.peak_epoch when it ended; NULL while it runs: see site.run_peak_*
    rss_bytes INTEGER NOT NULL DEFAULT 0,   -- resident set when last looked at
    lost_events INTEGER NOT NULL DEFAULT 0,
    corrupt_records INTEGER NOT NULL DEFAULT 0,
    ring_fill REAL NOT NULL DEFAULT 0,      -- fullest ring since the last commit, 0..1
    sample_bytes INTEGER NOT NULL DEFAULT 0, -- mean distance of sample points now; 0: every event is recorded
    samples INTEGER NOT NULL DEFAULT 0,     -- allocations that were sampled
    allocs_var REAL NOT NULL DEFAULT 0,
    alloc_bytes_var REAL NOT NULL DEFAULT 0,
    live_blocks_var REAL NOT NULL DEFAULT 0,
    live_bytes_var REAL NOT NULL DEFAULT 0,
    peak_bytes_var REAL NOT NULL DEFAULT 0
);

CREATE TABLE thread (
    thread_id INTEGER PRIMARY KEY,
    process_id INTEGER NOT NULL REFERENCES process,
    tid INTEGER NOT NULL,
    name TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    allocs INTEGER NOT NULL DEFAULT 0,
    alloc_bytes INTEGER NOT NULL DEFAULT 0,
    frees INTEGER NOT NULL DEFAULT 0
);

-- A file that was mapped as code: program, library, vdso.
CREATE TABLE module (
    module_id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    build_id TEXT NOT NULL,                 -- lower-case hex, '' where the file has none
    symbols TEXT                            -- where names came from: 'debug', 'symtab', 'none'; NULL before
);

-- Where a process had a module, and when.
CREATE TABLE mapping (
    mapping_id INTEGER PRIMARY KEY,
    process_id INTEGER NOT NULL REFERENCES process,
    module_id INTEGER NOT NULL REFERENCES module,
    start_address INTEGER NOT NULL,
    end_address INTEGER NOT NULL,
    bias INTEGER NOT NULL,                  -- address in the process - bias = address in the file
    first_ns INTEGER NOT NULL,
    last_ns INTEGER                         -- NULL: still there, or there at the end
);

CREATE TABLE string (
    string_id INTEGER PRIMARY KEY,
    text TEXT NOT NULL                      -- no two are the same
);

-- One code address: the return address of a call. The same address of the same file is one frame in all processes.
CREATE TABLE frame (
    frame_id INTEGER PRIMARY KEY,
    module_id INTEGER REFERENCES module,    -- NULL: no mapped file (generated code)
    address INTEGER NOT NULL,               -- in the file (see mapping.bias); absolute where module_id is NULL
    flags INTEGER NOT NULL DEFAULT 0,       -- 1 guessed, 2 stands for frames cut out of the middle, 4 interrupted
                                            -- instruction, 8 stands for a root end that could not be reached
    symbolized INTEGER NOT NULL DEFAULT 0   -- 1: frame_line is final, also when it has no row for this frame
);

-- What a frame is called: depth 0 is the innermost inlined function, the highest depth the function that
-- has code of its own. A frame without rows has no name.
CREATE TABLE frame_line (
    frame_id INTEGER NOT NULL REFERENCES frame,
    depth INTEGER NOT NULL,
    function_id INTEGER REFERENCES string,  -- demangled
    file_id INTEGER REFERENCES string,
    line INTEGER,                           -- NULL or > 0
    PRIMARY KEY (frame_id, depth)
) WITHOUT ROWID;

-- Stacks as a tree: a stack is a node, its parent is the caller. A row is a run of nodes with ids that follow each other,
-- each the parent of the next, 256 at most: new stacks come so. View `stack` has a row for each node.
CREATE TABLE stack_run (
    last_id INTEGER PRIMARY KEY,            -- of the innermost node; the first one's is last_id - length(frames) + 1
    parent_id INTEGER,                      -- of the first node; NULL: it is an outermost frame
    frames TEXT NOT NULL                    -- a character for each node: its code point is the frame's id, and 10240 more
                                            -- from 55296 on: some below 65536 are no characters
);

-- A place that allocates: one distinct call stack in one process. Many are hit once or twice: what follows from other
-- columns is NULL here, which costs a byte. View `site` has all figures.
CREATE TABLE site_row (
    site_id INTEGER PRIMARY KEY,
    process_id INTEGER NOT NULL REFERENCES process,
    stack_id INTEGER,                       -- NULL: no stack was captured
    function TEXT,                          -- of the malloc family that was called last; NULL: malloc
    allocs INTEGER NOT NULL DEFAULT 0,
    alloc_bytes INTEGER NOT NULL DEFAULT 0,
    reallocs INTEGER NOT NULL DEFAULT 0,    -- those of `allocs` that were reallocations
    live_blocks INTEGER NOT NULL DEFAULT 0, -- frees = allocs - live_blocks
    live_bytes INTEGER NOT NULL DEFAULT 0,
    died_g1 INTEGER NOT NULL DEFAULT 0,     -- blocks freed while in generation 1, ...; died_g0 is the rest of the frees
    died_g2 INTEGER NOT NULL DEFAULT 0,
    died_g3 INTEGER NOT NULL DEFAULT 0,
    promoted_g1 INTEGER NOT NULL DEFAULT 0, -- blocks that outlived generation 0, ...
    promoted_g2 INTEGER NOT NULL DEFAULT 0,
    promoted_g3 INTEGER NOT NULL DEFAULT 0,
    birth_sum_us INTEGER NOT NULL DEFAULT 0, -- sum of the birth times, in microseconds, of the live blocks
    first_ns INTEGER NOT NULL DEFAULT 0,    -- first and last allocation (NULL: the same), last free (NULL: never)
    last_ns INTEGER,
    last_free_ns INTEGER,
    min_bytes INTEGER,                      -- smallest and largest block ever requested; NULL: all had
    max_bytes INTEGER,                      -- alloc_bytes / allocs
    -- What was live here at the process's peak: peak_bytes and peak_blocks where peak_seen equals
    -- process.peak_epoch; else nothing changed here since the peak, and it is live_bytes and live_blocks.
    peak_seen INTEGER NOT NULL DEFAULT 0,
    peak_bytes INTEGER NOT NULL DEFAULT 0,
    peak_blocks INTEGER NOT NULL DEFAULT 0,
    -- The same for the peak of all processes together, with run.peak_epoch; but 0 where the process had ended
    -- before that peak (process.end_peak_epoch < run.peak_epoch). NULL: as the three above.
    run_peak_seen INTEGER,
    run_peak_bytes INTEGER,
    run_peak_blocks INTEGER,
    -- Lifetimes of the freed blocks: JSON array of [bucket, blocks]; bucket b holds lifetimes from 2^(b-1)
    -- to 2^b - 1, bucket 0 the lifetime 0. An integer: all are in this bucket. NULL: none freed yet.
    life_bytes BLOB,                        -- lifetime in bytes allocated by the process
    life_ns BLOB                            -- lifetime in nanoseconds
);

-- Of sites in a sampled recording.
CREATE TABLE site_sample (
    site_id INTEGER PRIMARY KEY REFERENCES site_row,
    samples INTEGER NOT NULL,               -- allocations that were sampled
    allocs_var REAL NOT NULL,
    alloc_bytes_var REAL NOT NULL,
    live_blocks_var REAL NOT NULL,
    live_bytes_var REAL NOT NULL
);

-- Slices of time. They grow with the age of the recording: 0.5 s at first, 1 s after 10 minutes, 10 s after 2 hours.
CREATE TABLE interval (
    interval_id INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL
);

CREATE TABLE process_interval (
    interval_id INTEGER NOT NULL REFERENCES interval,
    process_id INTEGER NOT NULL REFERENCES process,
    allocs INTEGER NOT NULL,                -- within the interval
    alloc_bytes INTEGER NOT NULL,
    frees INTEGER NOT NULL,
    free_bytes INTEGER NOT NULL,
    live_blocks INTEGER NOT NULL,           -- at its end
    live_bytes INTEGER NOT NULL,
    peak_bytes INTEGER NOT NULL,            -- most within it
    rss_bytes INTEGER NOT NULL,             -- at its end
    lost_events INTEGER NOT NULL,           -- within it
    PRIMARY KEY (interval_id, process_id)
) WITHOUT ROWID;

-- Finer than the interval: live bytes of a process about every 10 ms in which something changed, thinned out
-- as the recording grows. For drawing.
CREATE TABLE sample (
    process_id INTEGER NOT NULL REFERENCES process,
    ns INTEGER NOT NULL,
    live_bytes INTEGER NOT NULL,
    live_blocks INTEGER NOT NULL,
    PRIMARY KEY (process_id, ns)
) WITHOUT ROWID;

CREATE TABLE site_interval (
    interval_id INTEGER NOT NULL REFERENCES interval,
    site_id INTEGER NOT NULL REFERENCES site_row,
    allocs INTEGER NOT NULL,
    alloc_bytes INTEGER NOT NULL,
    frees INTEGER NOT NULL,
    free_bytes INTEGER NOT NULL,
    PRIMARY KEY (interval_id, site_id)
) WITHOUT ROWID;

-- Generations of a process over time. Born: blocks that entered this generation; died: freed in it;
-- promoted: left it for the next.
CREATE TABLE generation_interval (
    interval_id INTEGER NOT NULL REFERENCES interval,
    process_id INTEGER NOT NULL REFERENCES process,
    generation INTEGER NOT NULL,            -- 0..3
    born INTEGER NOT NULL,
    died INTEGER NOT NULL,
    died_bytes INTEGER NOT NULL,
    promoted INTEGER NOT NULL,
    PRIMARY KEY (interval_id, process_id, generation)
) WITHOUT ROWID;

-- A collection of all libgeomem heaps of a process, when it has ended: what the collector says of it. Beyond some 20,000 rows
-- old ones are put together, two of one process, kind and cause at a time: see `collections`. Durations, counts and bytes
-- are sums then; max_pause_ns, threads_stopped and footprint_bytes the largest; heap, number, end_ns of the last; and
-- young_* and old_* of the one that stopped the world longest.
CREATE TABLE gc_cycle (
    cycle_id INTEGER PRIMARY KEY,           -- in the order in which they ended
    process_id INTEGER NOT NULL REFERENCES process,
    heap INTEGER NOT NULL,                  -- that asked for it: number in the process; 1: the default one
    number INTEGER NOT NULL,                -- of the collection in the process, from 1
    kind TEXT NOT NULL CHECK (kind IN ('young', 'full', 'mostly_concurrent')),
        -- full: both generations, the world stopped throughout; mostly_concurrent: most of the marking while the program ran
    cause TEXT NOT NULL CHECK (cause IN ('allocation', 'explicit', 'limit', 'pressure', 'finish')),
        -- the budget was used up; the program asked; no more memory; the container runs short; ends a concurrent one
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    stops INTEGER NOT NULL,                 -- times the world was stopped
    pause_ns INTEGER NOT NULL,              -- how long it was, all stops together
    max_pause_ns INTEGER NOT NULL,          -- the longest of them
    stop_ns INTEGER NOT NULL,               -- phases: until all threads had stopped
    roots_ns INTEGER NOT NULL,              -- stacks, registers, globals, dirty pages
    mark_ns INTEGER NOT NULL,
    notes_ns INTEGER NOT NULL,              -- weak references, ephemerons, finalizers
    sweep_ns INTEGER NOT NULL,              -- as far as it was done before the end
    concurrent_mark_ns INTEGER NOT NULL,    -- while the program ran
    cpu_ns INTEGER NOT NULL,                -- of all threads that collected
    threads_stopped INTEGER NOT NULL,
    roots_bytes INTEGER NOT NULL,           -- scanned
    dirty_bytes INTEGER NOT NULL,           -- of old pages that had been written to
    marked_blocks INTEGER NOT NULL,         -- found alive
    marked_bytes INTEGER NOT NULL,
    swept_blocks INTEGER NOT NULL,          -- found dead
    swept_bytes INTEGER NOT NULL,
    promoted_blocks INTEGER NOT NULL,       -- gone to the old generation
    promoted_bytes INTEGER NOT NULL,
    young_before_bytes INTEGER NOT NULL,    -- in use when it began and when it ended
    young_after_bytes INTEGER NOT NULL,
    old_before_bytes INTEGER NOT NULL,
    old_after_bytes INTEGER NOT NULL,
    footprint_bytes INTEGER NOT NULL,       -- memory behind the heap when it ended
    collections INTEGER NOT NULL DEFAULT 1  -- that this row stands for
);

-- Collected blocks of a process over time, by the collector's generations, as the recorder counted them. Live are at any
-- time, in young: born - died - freed - promoted; in old: born + promoted (of young) - died - freed.
CREATE TABLE gc_interval (
    interval_id INTEGER NOT NULL REFERENCES interval,
    process_id INTEGER NOT NULL REFERENCES process,
    generation INTEGER NOT NULL,            -- 0 young, 1 old
    born INTEGER NOT NULL,                  -- allocated in it
    born_bytes INTEGER NOT NULL,
    died INTEGER NOT NULL,                  -- found dead by a collection
    died_bytes INTEGER NOT NULL,
    freed INTEGER NOT NULL,                 -- by the program
    freed_bytes INTEGER NOT NULL,
    promoted INTEGER NOT NULL,              -- left it for the old one
    promoted_bytes INTEGER NOT NULL,
    premature INTEGER NOT NULL,             -- of died: promoted, and dead by the first collection that could find that
    premature_bytes INTEGER NOT NULL,
    nepotism INTEGER NOT NULL,              -- of premature: another block that this collection found dead was old already,
    nepotism_bytes INTEGER NOT NULL,        -- and can have kept them; a bound from above
    PRIMARY KEY (interval_id, process_id, generation)
) WITHOUT ROWID;

-- What became of the collected blocks of a site, where it has any. As in gc_interval.
CREATE TABLE site_gc (
    site_id INTEGER PRIMARY KEY REFERENCES site_row,
    born INTEGER NOT NULL,
    born_bytes INTEGER NOT NULL,
    died_young INTEGER NOT NULL,            -- found dead in the young generation
    died_young_bytes INTEGER NOT NULL,
    died_old INTEGER NOT NULL,
    died_old_bytes INTEGER NOT NULL,
    freed INTEGER NOT NULL,
    freed_bytes INTEGER NOT NULL,
    promoted INTEGER NOT NULL,
    promoted_bytes INTEGER NOT NULL,
    premature INTEGER NOT NULL,
    premature_bytes INTEGER NOT NULL,
    nepotism INTEGER NOT NULL,
    nepotism_bytes INTEGER NOT NULL
);

-- A stop of the world by a collection: each of them, up to 100,000 of a process; from there on only those as long as all
-- before. All are in gc_stop_histogram.
CREATE TABLE gc_stop (
    process_id INTEGER NOT NULL REFERENCES process,
    stop INTEGER NOT NULL,                  -- stops of the process so far, this one included
    number INTEGER NOT NULL,                -- of the collection that began last: gc_cycle.number
    start_ns INTEGER NOT NULL,
    pause_ns INTEGER NOT NULL,
    PRIMARY KEY (process_id, stop)
) WITHOUT ROWID;

-- Lengths of all stops of a process: a bucket reaches from from_ns to just below the next one's, a 16th of its power of
-- two further.
CREATE TABLE gc_stop_histogram (
    process_id INTEGER NOT NULL REFERENCES process,
    from_ns INTEGER NOT NULL,
    stops INTEGER NOT NULL,
    PRIMARY KEY (process_id, from_ns)
) WITHOUT ROWID;

-- A cache of a process: one of libgeomem's, or one that the program tells of (geomem/cache_probe.h). Counts are the cache's
-- own, exact, and all since it was made; what is called a sample is from the uses of some of its keys, chosen by their
-- hash, and multiplied by what these stand for. Times are of the first and the last that was told of it.
CREATE TABLE cache (
    cache_id INTEGER PRIMARY KEY,
    process_id INTEGER NOT NULL REFERENCES process,
    number INTEGER NOT NULL,                -- in the process, as it was told
    name TEXT NOT NULL,
    policy TEXT NOT NULL CHECK (policy IN ('adaptive', 'lru', 's3fifo', 'other')), -- what decides who leaves
    choice INTEGER NOT NULL,                -- adaptive: what it runs now, numbered by the policy
    switches INTEGER NOT NULL,              -- of that choice
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    closed_ns INTEGER,                      -- destroyed; NULL: not, as far as is known
    capacity_bytes INTEGER NOT NULL,
    used_bytes INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    pinned_entries INTEGER NOT NULL,        -- handed out now, those included that have left the cache since
    pinned_bytes INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    hit_bytes INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    stores INTEGER NOT NULL,
    store_bytes INTEGER NOT NULL,
    loads INTEGER NOT NULL,                 -- by a loader of the program, failed ones included
    load_failures INTEGER NOT NULL,
    load_waits INTEGER NOT NULL,            -- for a loader that another thread was running
    load_ns INTEGER NOT NULL,               -- of all loads together
    sample_rate REAL NOT NULL,              -- share of the keys that is in the sample now; 1: all, and estimates are counts
    sample_rate_min REAL NOT NULL,          -- least it has been
    samples INTEGER NOT NULL,               -- hits and misses that were taken, on which the following rest
    sample_hits INTEGER NOT NULL,           -- hits and misses, estimated: next to `hits` and `misses` they say what was lost
    sample_misses INTEGER NOT NULL,
    sample_left INTEGER NOT NULL,           -- entries that left and of which is known how often they had been hit, and ...
    one_hit_wonders INTEGER NOT NULL,       -- ... of these, never
    premature_misses INTEGER NOT NULL,      -- of keys that had left to make room, no further back than the cache is large
    refills INTEGER NOT NULL,               -- misses after which a value was stored, and ...
    refill_ns INTEGER NOT NULL,             -- ... the time from one to the other, all together
    belady_uses INTEGER NOT NULL,           -- hits and misses that were compared with the best that could have been, and ...
    belady_hits INTEGER NOT NULL,           -- ... hits of these had the future been known, ...
    belady_real_hits INTEGER NOT NULL,      -- ... and as it was
    open_pins INTEGER NOT NULL,             -- taken and not given back
    unmatched_unpins INTEGER NOT NULL       -- given back and not known to be taken
);

-- What left a cache, or was not let in, by cause. Exact.
CREATE TABLE cache_eviction (
    cache_id INTEGER NOT NULL REFERENCES cache,
    cause TEXT NOT NULL CHECK (cause IN ('size', 'expired', 'replaced', 'removed', 'pressure', 'rejected', 'closed')),
        -- room was needed; its time was up; another value for the key; by the program; memory ran short; too large, or all
        -- was pinned; the cache was destroyed
    evictions INTEGER NOT NULL,
    evicted_bytes INTEGER NOT NULL,
    PRIMARY KEY (cache_id, cause)
) WITHOUT ROWID;

-- A cache over time. Exact, as far as the cache told of it: at least every 100 ms while it is used. What it did between
-- two tellings belongs to the interval of the second.
CREATE TABLE cache_interval (
    interval_id INTEGER NOT NULL REFERENCES interval,
    cache_id INTEGER NOT NULL REFERENCES cache,
    hits INTEGER NOT NULL,                  -- within the interval
    hit_bytes INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    stores INTEGER NOT NULL,
    store_bytes INTEGER NOT NULL,
    loads INTEGER NOT NULL,
    load_ns INTEGER NOT NULL,
    evictions INTEGER NOT NULL,             -- to make room, under pressure and because their time was up
    evicted_bytes INTEGER NOT NULL,
    premature_misses INTEGER NOT NULL,      -- estimated
    capacity_bytes INTEGER NOT NULL,        -- at its end
    used_bytes INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    pinned_entries INTEGER NOT NULL,
    pinned_bytes INTEGER NOT NULL,
    PRIMARY KEY (interval_id, cache_id)
) WITHOUT ROWID;

-- Moments at which a cache was made, became larger or smaller, its policy chose anew, or it was destroyed: the first 4,096 of
-- each cache.
CREATE TABLE cache_change (
    cache_id INTEGER NOT NULL REFERENCES cache,
    change INTEGER NOT NULL,                -- from 1
    ns INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('made', 'resized', 'switched', 'closed')),
    from_value INTEGER NOT NULL,            -- made, resized, closed: capacity in bytes; switched: choice
    to_value INTEGER NOT NULL,
    PRIMARY KEY (cache_id, change)
) WITHOUT ROWID;

-- What hit ratio a cache of another capacity would have had: found by simulating it with the sampled keys. One row of each
-- cache has its capacity.
CREATE TABLE cache_mrc (
    cache_id INTEGER NOT NULL REFERENCES cache,
    capacity_bytes INTEGER NOT NULL,
    hit_ratio REAL NOT NULL,
    byte_hit_ratio REAL NOT NULL,
    error REAL NOT NULL,                    -- of hit_ratio: what it may be off by, either way
    samples INTEGER NOT NULL,               -- hits and misses that were simulated
    sample_entries INTEGER NOT NULL,        -- entries in the simulated cache at its end
    policy TEXT NOT NULL CHECK (policy IN ('adaptive', 'lru', 's3fifo')), -- simulated
    PRIMARY KEY (cache_id, capacity_bytes)
) WITHOUT ROWID;

-- Uses of a cache by call site: estimates from the sample. Sites above 4,096 of a cache are counted in stack 0.
CREATE TABLE cache_site (
    cache_id INTEGER NOT NULL REFERENCES cache,
    stack_id INTEGER NOT NULL,              -- of the call of the cache; 0: not known
    samples INTEGER NOT NULL,               -- records of uses on which the following rest
    hits INTEGER NOT NULL,
    hit_bytes INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    premature_misses INTEGER NOT NULL,
    stores INTEGER NOT NULL,
    store_bytes INTEGER NOT NULL,
    loads INTEGER NOT NULL,
    load_ns INTEGER NOT NULL,
    pins INTEGER NOT NULL,                  -- taken
    open_pins INTEGER NOT NULL,             -- of these, not given back
    open_pin_bytes INTEGER NOT NULL,
    oldest_pin_ns INTEGER,                  -- when the oldest of these was taken; NULL: none is open
    PRIMARY KEY (cache_id, stack_id)
) WITHOUT ROWID;

-- Uses of a cache by the class the program gave their keys: estimates from the sample. Classes above 4,096 of a cache are
-- counted in class 0.
CREATE TABLE cache_class (
    cache_id INTEGER NOT NULL REFERENCES cache,
    key_class INTEGER NOT NULL,             -- 0: not told
    name TEXT,                              -- what the program calls it; NULL: not told
    samples INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    hit_bytes INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    premature_misses INTEGER NOT NULL,
    stores INTEGER NOT NULL,
    store_bytes INTEGER NOT NULL,
    loads INTEGER NOT NULL,
    load_ns INTEGER NOT NULL,
    PRIMARY KEY (cache_id, key_class)
) WITHOUT ROWID;

-- Pins that were taken and not given back, of the sample: those that are a second old or more, and at the end of the
-- process all. The oldest 256 of each cache.
CREATE TABLE cache_pin (
    cache_id INTEGER NOT NULL REFERENCES cache,
    pin INTEGER NOT NULL,                   -- from 1, the oldest
    key INTEGER NOT NULL,                   -- its hash
    stack_id INTEGER NOT NULL,              -- of the call that took it; 0: not known
    ns INTEGER NOT NULL,                    -- when
    bytes INTEGER NOT NULL,
    PRIMARY KEY (cache_id, pin)
) WITHOUT ROWID;

-- Times, as histograms in powers of two: estimates from the sample.
CREATE TABLE cache_histogram (
    cache_id INTEGER NOT NULL REFERENCES cache,
    kind TEXT NOT NULL CHECK (kind IN ('eviction_age', 'reuse_time', 'refill_time', 'load_time', 'pin_time')),
        -- from store to leaving, of what left to make room; between two uses of a key; from a miss to the store that
        -- followed; a load; from pin to unpin
    bucket INTEGER NOT NULL,                -- 0: 0 ns; b: from 2^(b-1) to 2^b - 1 ns
    count INTEGER NOT NULL,
    PRIMARY KEY (cache_id, kind, bucket)
) WITHOUT ROWID;

-- Events that were not recorded, and why.
CREATE TABLE loss (
    loss_id INTEGER PRIMARY KEY,
    interval_id INTEGER NOT NULL REFERENCES interval,
    process_id INTEGER NOT NULL REFERENCES process,
    reason TEXT NOT NULL,                   -- 'ring full', 'no ring', 'corrupt', 'cache unknown': of a cache of which nothing was told, or one too many
    events INTEGER NOT NULL
);

-- Moments with a name, set by the program, by geomem-top or over the control socket.
CREATE TABLE mark (
    mark_id INTEGER PRIMARY KEY,
    process_id INTEGER REFERENCES process,  -- NULL: set from outside
    ns INTEGER NOT NULL,
    text TEXT NOT NULL
);

-- Every event by itself, where that was asked for (--events=all): up to 65,536 in a row, in the order they were
-- taken in, compressed as schemas/event_chunk.h says. Read with gm_events, see above; the other columns are for
-- passing over what is not asked for.
CREATE TABLE event_chunk (
    chunk_id INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,                -- those of `data`; the next two: of them
    allocs INTEGER NOT NULL,
    frees INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,              -- least and greatest time
    last_ns INTEGER NOT NULL,
    min_process_id INTEGER NOT NULL,
    max_process_id INTEGER NOT NULL,
    min_thread_id INTEGER NOT NULL,         -- 0 where the thread of an event is not known
    max_thread_id INTEGER NOT NULL,
    checksum INTEGER NOT NULL,              -- CRC-32C of all of these but the id, 8 bytes each, and of `data`
    data BLOB NOT NULL
);

-- ---- views ------------------------------------------------------------------------------------------------

-- Sites with all their figures, as described at site_row.
CREATE VIEW site AS
SELECT r.site_id, r.process_id, r.stack_id, coalesce(r.function, 'malloc') AS function, r.allocs, r.alloc_bytes, r.reallocs,
       r.live_blocks, r.live_bytes, r.allocs - r.live_blocks - r.died_g1 - r.died_g2 - r.died_g3 AS died_g0, r.died_g1,
       r.died_g2, r.died_g3, r.promoted_g1, r.promoted_g2, r.promoted_g3, r.birth_sum_us, r.first_ns,
       coalesce(r.last_ns, r.first_ns) AS last_ns, r.last_free_ns,
       coalesce(r.min_bytes, r.alloc_bytes / r.allocs, 0) AS min_bytes,
       coalesce(r.max_bytes, r.alloc_bytes / r.allocs, 0) AS max_bytes, r.peak_seen, r.peak_bytes, r.peak_blocks,
       coalesce(r.run_peak_seen, r.peak_seen) AS run_peak_seen, coalesce(r.run_peak_bytes, r.peak_bytes) AS run_peak_bytes,
       coalesce(r.run_peak_blocks, r.peak_blocks) AS run_peak_blocks,
       CASE typeof(r.life_bytes) WHEN 'integer' THEN printf('[[%d,%d]]', r.life_bytes, r.allocs - r.live_blocks)
            ELSE r.life_bytes END AS life_bytes,
       CASE typeof(r.life_ns) WHEN 'integer' THEN printf('[[%d,%d]]', r.life_ns, r.allocs - r.live_blocks)
            ELSE r.life_ns END AS life_ns,
       coalesce(v.samples, 0) AS samples, coalesce(v.allocs_var, 0.0) AS allocs_var,
       coalesce(v.alloc_bytes_var, 0.0) AS alloc_bytes_var, coalesce(v.live_blocks_var, 0.0) AS live_blocks_var,
       coalesce(v.live_bytes_var, 0.0) AS live_bytes_var
FROM site_row r LEFT JOIN site_sample v USING (site_id);

-- Nodes of stacks one by one; depth: 1 for the outermost frame. All runs are taken apart for it: fast for going through all
-- of them, not for one.
CREATE VIEW stack AS
WITH RECURSIVE node(stack_id, parent_id, first_id, frames) AS (
    SELECT last_id, parent_id, last_id - length(frames) + 1, frames FROM stack_run WHERE length(frames) BETWEEN 1 AND 256
    UNION ALL
    SELECT stack_id - 1, parent_id, first_id, substr(frames, 1, length(frames) - 1) FROM node WHERE stack_id > first_id)
SELECT stack_id, CASE stack_id WHEN first_id THEN parent_id ELSE stack_id - 1 END AS parent_id,
       unicode(substr(frames, -1)) - CASE WHEN unicode(substr(frames, -1)) > 65535 THEN 10240 ELSE 0 END AS frame_id
FROM node;

-- The recording in one row, with the totals of all processes.
CREATE VIEW v_run AS
SELECT r.program, r.command, r.geomem_version, r.state, r.start_utc_ns, r.duration_ns,
       r.exit_status, r.exit_signal, r.stop_reason, r.host, r.kernel, r.cwd, r.options,
       (SELECT count(*) FROM process) AS processes,
       (SELECT count(*) FROM thread) AS threads,
       (SELECT count(*) FROM site_row) AS sites,
       p.allocations, p.frees, p.reallocs, p.allocated_bytes, p.freed_bytes,
       p.live_blocks, p.live_bytes, p.unmatched_frees, p.implicit_frees,
       r.peak_bytes AS peak_live_bytes, r.peak_blocks AS peak_live_blocks, r.peak_ns,
       r.events, r.lost_events, r.corrupt_records, r.late_events, r.hash_collisions, r.cut_stacks,
       r.recorder_cpu_ns, r.recorder_rss_bytes, r.memory_limit_bytes, r.memory_limit_kind,
       r.sample_bytes > 0 AS estimated, r.sample_bytes, r.sample_min_bytes, r.sample_max_bytes, r.sample_budget,
       r.sample_share, r.samples, p.allocations_var, p.allocated_bytes_var, p.live_blocks_var, p.live_bytes_var,
       r.peak_bytes_var AS peak_live_bytes_var, r.left_out_stacks
FROM run r, (SELECT coalesce(sum(allocs), 0) AS allocations, coalesce(sum(frees), 0) AS frees,
                    coalesce(sum(reallocs), 0) AS reallocs,
                    coalesce(sum(alloc_bytes), 0) AS allocated_bytes,
                    coalesce(sum(free_bytes), 0) AS freed_bytes,
                    coalesce(sum(live_blocks), 0) AS live_blocks,
                    coalesce(sum(live_bytes), 0) AS live_bytes,
                    coalesce(sum(unmatched_frees), 0) AS unmatched_frees,
                    coalesce(sum(implicit_frees), 0) AS implicit_frees,
                    coalesce(sum(allocs_var), 0.0) AS allocations_var,
                    coalesce(sum(alloc_bytes_var), 0.0) AS allocated_bytes_var,
                    coalesce(sum(live_blocks_var), 0.0) AS live_blocks_var,
                    coalesce(sum(live_bytes_var), 0.0) AS live_bytes_var FROM process) p;

CREATE VIEW v_process AS
SELECT process_id, pid, parent_process_id, origin, exe, command, start_ns, end_ns, end_kind, end_value, threads,
       allocs AS allocations, alloc_bytes AS allocated_bytes, frees, free_bytes AS freed_bytes, reallocs,
       unmatched_frees, implicit_frees, live_blocks, live_bytes,
       peak_bytes AS peak_live_bytes, peak_blocks AS peak_live_blocks, peak_ns, rss_bytes, lost_events, corrupt_records,
       sample_bytes, samples, allocs_var AS allocations_var, alloc_bytes_var AS allocated_bytes_var, live_blocks_var,
       live_bytes_var, peak_bytes_var AS peak_live_bytes_var
FROM process;

-- Frames with names, one row per function, inlined ones included; function falls back to module+offset.
CREATE VIEW v_frames AS
SELECT f.frame_id, coalesce(l.depth, 0) AS depth,
       coalesce(fs.text,
           CASE WHEN f.flags & 2 THEN '[frames left out]'
                WHEN f.flags & 8 THEN '[root not reached]'
                WHEN m.path IS NULL THEN printf('0x%x', f.address)
                ELSE printf('%s+0x%x', replace(m.path, rtrim(m.path, replace(m.path, '/', '')), ''), f.address) END) AS function,
       ls.text AS file, l.line,
       m.path AS module, f.address, f.flags,
       l.frame_id IS NOT NULL
           AND l.depth < (SELECT max(x.depth) FROM frame_line x WHERE x.frame_id = f.frame_id) AS inlined
FROM frame f LEFT JOIN module m USING (module_id)
     LEFT JOIN frame_line l USING (frame_id)
     LEFT JOIN string fs ON fs.string_id = l.function_id
     LEFT JOIN string ls ON ls.string_id = l.file_id;

-- One line of text per stack that is a site's or uses a cache: innermost function first. A step of `walk` is a run, or what of it is
-- above the node; `level` counts its frames from the innermost of all.
CREATE VIEW v_stacks AS
WITH RECURSIVE walk(stack_id, first_id, parent_id, frames, below) AS (
    SELECT k.stack_id, r.last_id - length(r.frames) + 1, r.parent_id,
           substr(r.frames, 1, length(r.frames) - (r.last_id - k.stack_id)), 0
    FROM (SELECT stack_id FROM site_row UNION SELECT stack_id FROM cache_site) k
         JOIN stack_run r ON r.last_id = (SELECT min(x.last_id) FROM stack_run x WHERE x.last_id >= k.stack_id)
    WHERE r.last_id - k.stack_id < length(r.frames) AND length(r.frames) <= 256
    UNION ALL
    SELECT w.stack_id, r.last_id - length(r.frames) + 1, r.parent_id,
           substr(r.frames, 1, length(r.frames) - (r.last_id - w.parent_id)), w.below + length(w.frames)
    FROM walk w JOIN stack_run r ON r.last_id = (SELECT min(x.last_id) FROM stack_run x WHERE x.last_id >= w.parent_id)
    WHERE w.parent_id < w.first_id AND r.last_id - w.parent_id < length(r.frames) AND length(r.frames) <= 256),
node(stack_id, frames, level) AS (
    SELECT stack_id, frames, below FROM walk
    UNION ALL
    SELECT stack_id, substr(frames, 1, length(frames) - 1), level + 1 FROM node WHERE length(frames) > 1)
SELECT stack_id, count(DISTINCT level) AS depth, group_concat(function, ' < ') AS stack
FROM (SELECT n.stack_id, n.level, v.function
      FROM (SELECT stack_id, level, unicode(substr(frames, -1))
                   - CASE WHEN unicode(substr(frames, -1)) > 65535 THEN 10240 ELSE 0 END AS frame_id FROM node) n
           JOIN v_frames v USING (frame_id)
      ORDER BY n.stack_id, n.level, v.depth)
GROUP BY stack_id;

-- Call sites with everything known of them. leaf_* is the function that called the allocator.
CREATE VIEW v_sites AS
SELECT s.site_id, s.process_id, s.stack_id, s.function AS allocator,
       v.function AS leaf_function, v.file AS leaf_file, v.line AS leaf_line, v.module AS leaf_module,
       s.allocs AS allocations, s.alloc_bytes AS allocated_bytes, s.reallocs,
       s.allocs - s.live_blocks AS frees, s.live_blocks, s.live_bytes,
       CASE WHEN s.peak_seen = p.peak_epoch THEN s.peak_bytes ELSE s.live_bytes END AS peak_bytes,
       CASE WHEN s.peak_seen = p.peak_epoch THEN s.peak_blocks ELSE s.live_blocks END AS peak_blocks,
       CASE WHEN s.run_peak_seen = r.peak_epoch THEN s.run_peak_bytes
            WHEN p.end_peak_epoch < r.peak_epoch THEN 0 ELSE s.live_bytes END AS run_peak_bytes,
       CASE WHEN s.run_peak_seen = r.peak_epoch THEN s.run_peak_blocks
            WHEN p.end_peak_epoch < r.peak_epoch THEN 0 ELSE s.live_blocks END AS run_peak_blocks,
       s.allocs AS born, s.died_g0, s.died_g1, s.died_g2, s.died_g3,
       s.promoted_g1 AS promoted, s.promoted_g2, s.promoted_g3,
       CASE WHEN s.allocs > 0 THEN 1.0 * s.promoted_g1 / s.allocs END AS promotion_rate,
       CASE WHEN s.live_blocks > 0
            THEN max(0, r.duration_ns - s.birth_sum_us * 1000 / s.live_blocks) END AS mean_live_age_ns,
       s.first_ns, s.last_ns, s.last_free_ns, s.min_bytes, s.max_bytes,
       s.samples, s.allocs_var AS allocations_var, s.alloc_bytes_var AS allocated_bytes_var, s.live_blocks_var,
       s.live_bytes_var
FROM site s JOIN process p USING (process_id) JOIN run r
     LEFT JOIN stack_run k ON k.last_id = (SELECT min(x.last_id) FROM stack_run x WHERE x.last_id >= s.stack_id)
         AND k.last_id - s.stack_id < length(k.frames)
     LEFT JOIN v_frames v ON v.depth = 0 AND v.frame_id = unicode(substr(k.frames, s.stack_id - k.last_id - 1, 1))
         - CASE WHEN unicode(substr(k.frames, s.stack_id - k.last_id - 1, 1)) > 65535 THEN 10240 ELSE 0 END;

-- What is still live at the end (or now), by site, largest first.
CREATE VIEW v_leaks AS
SELECT site_id, process_id, live_bytes, live_blocks, allocations, frees, leaf_function, leaf_file, leaf_line,
       leaf_module, mean_live_age_ns, promotion_rate, stack_id
FROM v_sites WHERE live_blocks > 0 ORDER BY live_bytes DESC, site_id;

CREATE VIEW v_timeline AS
SELECT i.interval_id, i.start_ns, i.end_ns,
       strftime('%Y-%m-%dT%H:%M:%f', (r.start_utc_ns + i.end_ns) / 1e9, 'unixepoch') AS utc,
       p.process_id, p.allocs AS allocations, p.alloc_bytes AS allocated_bytes, p.frees, p.free_bytes AS freed_bytes,
       p.live_blocks, p.live_bytes, p.peak_bytes, p.rss_bytes, p.lost_events
FROM interval i JOIN process_interval p USING (interval_id) JOIN run r
ORDER BY i.interval_id, p.process_id;

-- Generations by process over the whole recording. rate: promoted / born. kind 'age': generations 0 to 3 of all blocks, by
-- what was allocated since their birth; 'collector': generations 0 (young) and 1 (old) of the collected blocks of
-- libgeomem, where born counts what was promoted into it too.
CREATE VIEW v_generations AS
SELECT process_id, generation,
       CASE generation WHEN 0 THEN 0 WHEN 1 THEN g1_age_bytes WHEN 2 THEN g2_age_bytes ELSE g3_age_bytes END AS from_age_bytes,
       sum(born) AS born, sum(died) AS died, sum(died_bytes) AS died_bytes, sum(promoted) AS promoted,
       CASE WHEN sum(born) > 0 THEN 1.0 * sum(promoted) / sum(born) END AS rate,
       'age' AS kind, NULL AS freed, NULL AS premature, NULL AS nepotism
FROM generation_interval, run GROUP BY process_id, generation
UNION ALL
SELECT g.process_id, g.generation, NULL, g.born + CASE g.generation WHEN 1 THEN coalesce(y.promoted, 0) ELSE 0 END,
       g.died + g.freed, g.gone_bytes, g.promoted,
       CASE WHEN g.born > 0 AND g.generation = 0 THEN 1.0 * g.promoted / g.born END,
       'collector', g.freed, g.premature, g.nepotism
FROM (SELECT process_id, generation, sum(born) AS born, sum(died) AS died, sum(freed) AS freed,
             sum(died_bytes + freed_bytes) AS gone_bytes, sum(promoted) AS promoted, sum(premature) AS premature,
             sum(nepotism) AS nepotism FROM gc_interval GROUP BY process_id, generation) g
     LEFT JOIN (SELECT process_id, sum(promoted) AS promoted FROM gc_interval WHERE generation = 0 GROUP BY process_id) y
          USING (process_id);

-- Collections, as they ended.
CREATE VIEW v_gc AS
SELECT c.cycle_id, c.process_id, p.pid, c.heap, c.number, c.kind, c.cause, c.start_ns, c.end_ns,
       CASE c.collections WHEN 1 THEN c.end_ns - c.start_ns END AS duration_ns, c.collections, c.stops, c.pause_ns, c.max_pause_ns, c.stop_ns, c.roots_ns, c.mark_ns,
       c.notes_ns, c.sweep_ns, c.concurrent_mark_ns, c.cpu_ns, c.threads_stopped, c.roots_bytes, c.dirty_bytes,
       c.marked_blocks, c.marked_bytes, c.swept_blocks, c.swept_bytes, c.promoted_blocks, c.promoted_bytes,
       c.young_before_bytes, c.young_after_bytes, c.old_before_bytes, c.old_after_bytes,
       c.young_before_bytes + c.old_before_bytes AS heap_before_bytes,
       c.young_after_bytes + c.old_after_bytes AS heap_after_bytes, c.footprint_bytes
FROM gc_cycle c JOIN process p USING (process_id);

-- Sites of collected blocks. promotion_rate: promoted / born; premature_rate: premature / promoted.
CREATE VIEW v_gc_sites AS
SELECT g.site_id, s.process_id, s.leaf_function, s.leaf_file, s.leaf_line, s.leaf_module, s.stack_id,
       g.born, g.born_bytes, g.died_young, g.died_young_bytes, g.died_old, g.died_old_bytes, g.freed, g.freed_bytes,
       g.promoted, g.promoted_bytes, g.premature, g.premature_bytes, g.nepotism, g.nepotism_bytes,
       CASE WHEN g.born > 0 THEN 1.0 * g.promoted / g.born END AS promotion_rate,
       CASE WHEN g.promoted > 0 THEN 1.0 * g.premature / g.promoted END AS premature_rate
FROM site_gc g JOIN v_sites s USING (site_id);

-- Stops of the world, with the collection that began last before each.
CREATE VIEW v_gc_stops AS
SELECT s.process_id, p.pid, s.stop, s.number, s.start_ns, s.pause_ns
FROM gc_stop s JOIN process p USING (process_id);

-- Caches with everything known of each. Ratios are NULL where there is nothing to divide by.
CREATE VIEW v_caches AS
SELECT c.cache_id, c.process_id, p.pid, c.number, c.name, c.policy, c.choice, c.switches,
       c.first_ns, c.last_ns, c.closed_ns, c.capacity_bytes, c.used_bytes, c.entries, c.pinned_entries, c.pinned_bytes,
       c.hits, c.misses, CASE WHEN c.hits + c.misses > 0 THEN 1.0 * c.hits / (c.hits + c.misses) END AS hit_ratio,
       c.hit_bytes, CASE WHEN c.hit_bytes + c.store_bytes > 0
                         THEN 1.0 * c.hit_bytes / (c.hit_bytes + c.store_bytes) END AS byte_hit_ratio,
       c.stores, c.store_bytes, coalesce(e.evictions, 0) AS evictions, coalesce(e.evicted_bytes, 0) AS evicted_bytes,
       c.loads, c.load_failures, c.load_waits, c.load_ns,
       CASE WHEN c.loads > 0 THEN c.load_ns WHEN c.refills > 0 THEN c.refill_ns END AS miss_cost_ns,
       CASE WHEN c.loads > 0 THEN 'loads' WHEN c.refills > 0 THEN 'refills' END AS miss_cost_source,
       c.sample_rate_min < 1 AS estimated, c.sample_rate, c.sample_rate_min, c.samples, c.sample_hits, c.sample_misses,
       c.sample_left, c.one_hit_wonders,
       CASE WHEN c.sample_left > 0 THEN 1.0 * c.one_hit_wonders / c.sample_left END AS one_hit_wonder_ratio,
       c.premature_misses,
       CASE WHEN c.sample_misses > 0 THEN 1.0 * c.premature_misses / c.sample_misses END AS premature_ratio,
       CASE WHEN c.belady_uses > 0 THEN 1.0 * c.belady_hits / c.belady_uses END AS belady_hit_ratio,
       CASE WHEN c.belady_uses > 0
            THEN 1.0 * (c.belady_hits - c.belady_real_hits) / c.belady_uses END AS belady_distance,
       c.open_pins, c.unmatched_unpins
FROM cache c JOIN process p USING (process_id)
     LEFT JOIN (SELECT cache_id, sum(evictions) AS evictions, sum(evicted_bytes) AS evicted_bytes FROM cache_eviction
                WHERE cause IN ('size', 'expired', 'pressure') GROUP BY cache_id) e USING (cache_id);

CREATE VIEW v_cache_evictions AS
SELECT e.cache_id, c.process_id, c.name, e.cause, e.evictions, e.evicted_bytes
FROM cache_eviction e JOIN cache c USING (cache_id);

CREATE VIEW v_cache_timeline AS
SELECT i.interval_id, i.start_ns, i.end_ns,
       strftime('%Y-%m-%dT%H:%M:%f', (r.start_utc_ns + i.end_ns) / 1e9, 'unixepoch') AS utc,
       t.cache_id, c.process_id, c.name, t.hits, t.misses,
       CASE WHEN t.hits + t.misses > 0 THEN 1.0 * t.hits / (t.hits + t.misses) END AS hit_ratio,
       t.hit_bytes, CASE WHEN t.hit_bytes + t.store_bytes > 0
                         THEN 1.0 * t.hit_bytes / (t.hit_bytes + t.store_bytes) END AS byte_hit_ratio,
       t.stores, t.store_bytes, t.loads, t.load_ns, t.evictions, t.evicted_bytes, t.premature_misses,
       t.capacity_bytes, t.used_bytes, t.entries, t.pinned_entries, t.pinned_bytes
FROM interval i JOIN cache_interval t USING (interval_id) JOIN cache c USING (cache_id) JOIN run r
ORDER BY i.interval_id, t.cache_id;

CREATE VIEW v_cache_changes AS
SELECT h.cache_id, c.process_id, c.name, h.change, h.ns, h.kind, h.from_value, h.to_value
FROM cache_change h JOIN cache c USING (cache_id);

-- Miss-ratio curves: the least capacity first. factor: of the cache's capacity now.
CREATE VIEW v_cache_mrc AS
SELECT m.cache_id, c.process_id, c.name, m.capacity_bytes,
       CASE WHEN c.capacity_bytes > 0 THEN 1.0 * m.capacity_bytes / c.capacity_bytes END AS factor,
       m.hit_ratio, m.byte_hit_ratio, m.error, m.samples, m.sample_entries, m.policy
FROM cache_mrc m JOIN cache c USING (cache_id) ORDER BY m.cache_id, m.capacity_bytes;

-- What hits, and misses, estimated from the sample of a cache's keys are multiplied by, to add up to what there were: the
-- hottest keys may be in the sample or not. 1 where every key is in it.
CREATE VIEW v_cache_stretch AS
SELECT cache_id,
       CASE WHEN sample_rate_min < 1 AND hits > 0 AND sample_hits > 0 THEN 1.0 * hits / sample_hits ELSE 1.0 END AS hits,
       CASE WHEN sample_rate_min < 1 AND misses > 0 AND sample_misses > 0 THEN 1.0 * misses / sample_misses ELSE 1.0 END AS misses
FROM cache;

-- Call sites of caches. leaf_* is the function that called the cache: functions of geomem/cache_probe.h, which are inlined
-- into it, are passed over.
CREATE VIEW v_cache_sites AS
SELECT s.cache_id, c.process_id, c.name, s.stack_id,
       v.function AS leaf_function, v.file AS leaf_file, v.line AS leaf_line, v.module AS leaf_module, s.samples,
       CAST(round(s.hits * x.hits) AS INTEGER) AS hits,
       CAST(round(s.misses * x.misses) AS INTEGER) AS misses,
       CASE WHEN s.hits + s.misses > 0 THEN s.hits * x.hits / (s.hits * x.hits + s.misses * x.misses) END AS hit_ratio,
       CAST(round(s.hit_bytes * x.hits) AS INTEGER) AS hit_bytes,
       CAST(round(s.premature_misses * x.misses) AS INTEGER) AS premature_misses,
       s.stores, s.store_bytes, s.loads, s.load_ns, s.pins, s.open_pins,
       s.open_pin_bytes, s.oldest_pin_ns
FROM cache_site s JOIN cache c USING (cache_id) JOIN v_cache_stretch x USING (cache_id)
     LEFT JOIN stack k USING (stack_id)
     LEFT JOIN v_frames v ON v.frame_id = k.frame_id AND v.depth =
         (SELECT coalesce(min(l.depth), 0) FROM frame_line l JOIN string t ON t.string_id = l.function_id
          WHERE l.frame_id = k.frame_id AND t.text NOT GLOB 'geomem_*');

CREATE VIEW v_cache_classes AS
SELECT s.cache_id, c.process_id, c.name, s.key_class, s.name AS class_name, s.samples,
       CAST(round(s.hits * x.hits) AS INTEGER) AS hits,
       CAST(round(s.misses * x.misses) AS INTEGER) AS misses,
       CASE WHEN s.hits + s.misses > 0 THEN s.hits * x.hits / (s.hits * x.hits + s.misses * x.misses) END AS hit_ratio,
       CAST(round(s.hit_bytes * x.hits) AS INTEGER) AS hit_bytes,
       CAST(round(s.premature_misses * x.misses) AS INTEGER) AS premature_misses,
       s.stores, s.store_bytes, s.loads, s.load_ns
FROM cache_class s JOIN cache c USING (cache_id) JOIN v_cache_stretch x USING (cache_id);

-- Pins not given back: the oldest of each cache first. age_ns: at the end of the process, or now.
CREATE VIEW v_cache_pins AS
SELECT n.cache_id, c.process_id, c.name, n.pin, n.key, n.ns,
       max(0, coalesce(p.end_ns, r.duration_ns) - n.ns) AS age_ns, n.bytes, n.stack_id,
       v.function AS leaf_function, v.file AS leaf_file, v.line AS leaf_line, v.module AS leaf_module
FROM cache_pin n JOIN cache c USING (cache_id) JOIN process p USING (process_id) JOIN run r
     LEFT JOIN stack k USING (stack_id)
     LEFT JOIN v_frames v ON v.frame_id = k.frame_id AND v.depth =
         (SELECT coalesce(min(l.depth), 0) FROM frame_line l JOIN string t ON t.string_id = l.function_id
          WHERE l.frame_id = k.frame_id AND t.text NOT GLOB 'geomem_*');

CREATE VIEW v_cache_histograms AS
SELECT h.cache_id, c.process_id, c.name, h.kind, CASE h.bucket WHEN 0 THEN 0 ELSE 1 << (h.bucket - 1) END AS from_ns,
       h.count
FROM cache_histogram h JOIN cache c USING (cache_id);

-- Lifetimes of freed blocks by site: unit is 'bytes' (allocated by the process meanwhile) or 'ns'.
-- Readers open with trusted_schema off, where SQLite 3.40 allows json_each in views, but not json_extract.
CREATE VIEW v_lifetimes AS
SELECT s.process_id, s.site_id, 'bytes' AS unit,
       CASE CAST(substr(j.value, 2) AS INTEGER) WHEN 0 THEN 0 ELSE 1 << (CAST(substr(j.value, 2) AS INTEGER) - 1) END AS from_value,
       CAST(substr(j.value, instr(j.value, ',') + 1) AS INTEGER) AS blocks
FROM site s, json_each(s.life_bytes) j
UNION ALL
SELECT s.process_id, s.site_id, 'ns',
       CASE CAST(substr(j.value, 2) AS INTEGER) WHEN 0 THEN 0 ELSE 1 << (CAST(substr(j.value, 2) AS INTEGER) - 1) END,
       CAST(substr(j.value, instr(j.value, ',') + 1) AS INTEGER)
FROM site s, json_each(s.life_ns) j;
