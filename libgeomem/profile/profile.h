/* profile.h - the in-process profiler behind start_profiling and stop_profiling.
 *
 *   heap, collector --[listener]--> profile.c: which thread, which stack
 *                                      |-> site.c    what each call site allocated          (exact)
 *                                      |-> block.c   which blocks are alive, promoted, dead (exact, or a sample)
 *                                      '-> pause.c   collections and their pauses
 *   stop_profiling --> report.c (figures, names by name.c) --> analyze.c (verdicts)
 *
 * Rules:
 *  - All memory is the profiler's own, mapped at the first start and kept: a thread that is inside a handler when
 *    profiling ends finds it where it was. Bounded, whatever the program does.
 *  - Handlers take no lock, wait for nobody and call nothing that does: one may be stopped by the collector at
 *    any instruction, and the collector's own handlers run while it is.
 *  - Who listened before goes on listening: each handler calls its predecessor's.
 *
 * Stands beside the recorder's listener (libgeomem/preload), below geomem/memory.h.
 */
#ifndef GM_PROFILE_PROFILE_H
#define GM_PROFILE_PROFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"
#include "geomem/memory.h"
#include "libgeomem/unwind/unwind.h"

/* ---- site.c ---- */

#define GM_PROFILE_SITES 4096u /* a power of two; measured: sqlite3 has 800 under its own tests */
#define GM_PROFILE_NO_SITE 0u  /* stands for all stacks without a row of their own */

struct gm_profile_site {
    _Atomic uint64_t hash; /* 0: row not in use; 1: being filled in */
    _Atomic uint64_t allocated_blocks, allocated_bytes, pretenured_blocks, explicit_blocks;
    /* of followed blocks, multiplied by how many each stands for */
    _Atomic uint64_t promoted_blocks, promoted_bytes, old_died_blocks, old_died_bytes;
    uint64_t live_blocks, live_bytes; /* filled in when profiling has ended */
    uint32_t frame_count;
    uintptr_t frame[GEOMEM_SITE_FRAMES];
};

int gm_profile_sites_open(void); /* empties the table; 0 or -ENOMEM */
/* The row of a stack: an index, GM_PROFILE_NO_SITE when there is no room. */
uint32_t gm_profile_site_of(const struct gm_capture *capture);
struct gm_profile_site *gm_profile_site(uint32_t index); /* index < GM_PROFILE_SITES */

/* ---- block.c ---- */

int gm_profile_blocks_open(void);
/* A block was born; `random`: 32 random bits. Whether it is followed is decided here. */
void gm_profile_block_add(
    const void *block, uint64_t size, uint32_t site, bool is_old, uint32_t random);
void gm_profile_block_remove(const void *block);
void gm_profile_block_promoted(const void *block, uint64_t size);
/* Adds what is alive to the sites' live_blocks and live_bytes. */
void gm_profile_blocks_count_live(void);
double gm_profile_blocks_share(void); /* of blocks that are followed: 1, 1/2, 1/4, ... */

/* ---- pause.c ---- */

struct gm_profile_pauses {
    struct geomem_collection_usage collections;
    struct geomem_pause_usage pauses; /* p50_ns, p99_ns by gm_profile_pauses_read */
    uint64_t footprint_peak_bytes;
    uint64_t bucket[1024];
};
void gm_profile_pauses_reset(void);
void gm_profile_pauses_add(const struct geomem_gc_cycle *cycle);
void gm_profile_pauses_add_stop(uint64_t pause_ns);
void gm_profile_pauses_read(struct gm_profile_pauses *ret_pauses);

/* ---- name.c ---- */

/* A name for a return address: function, or "module+0x1234". Cut to fit. */
void gm_profile_name(uintptr_t pc, char *name, size_t bytes);
void gm_profile_names_close(void); /* gives up what the calls before have mapped */
/* True for functions of libgeomem itself, which a report leaves out at the inner end of stacks. */
bool gm_profile_name_is_ours(const char *name);

/* ---- profile.c, report.c ---- */

struct gm_profile_flows {
    uint64_t young_blocks, young_bytes, old_blocks, old_bytes, explicit_blocks, explicit_bytes;
    uint64_t unattributed_blocks;
};
void gm_profile_flows_read(struct gm_profile_flows *ret_flows);

struct gm_profile_start {
    struct geomem_heap_statistics heap;
    uint64_t time_ns, cpu_ns;
    bool recorded;
};
int gm_profile_report_create(const struct gm_profile_start *start, MemoryUsageReport **ret_report);

#endif
