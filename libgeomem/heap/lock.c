/* lock.c - the order in which locks are taken, checked in builds for tests. See lock.h. */
#include "libgeomem/heap/lock.h"

#ifdef GM_CHECK_RANKS

#include <stdlib.h>
#include <string.h>

static const char *const names[GM_RANKS] = {
    "none", "world", "heaps", "heap", "notes", "dirty", "range", "quarantine"};

/* How many of each rank this thread holds. */
static __thread uint8_t held[GM_RANKS] __attribute__((tls_model("initial-exec")));

/* No FILE: whoever holds these locks may be inside one. */
static __attribute__((noreturn)) void rank_fault(uint32_t holds, uint32_t takes)
{
    char line[128] = "libgeomem: the lock of rank ";
    strcat(line, names[takes]);
    strcat(line, " is taken by a thread that holds that of ");
    strcat(line, names[holds]);
    strcat(line, "\n");
    gm_sys3(SYS_write, 2, line, strlen(line));
    abort();
}

void gm_rank_taken(uint32_t rank)
{
    if (rank == GM_RANK_NONE)
        return;
    for (uint32_t other = rank + (rank == GM_RANK_HEAP); other < GM_RANKS; other++)
        if (held[other] != 0)
            rank_fault(other, rank);
    held[rank]++;
}

void gm_rank_given(uint32_t rank)
{
    if (rank != GM_RANK_NONE)
        held[rank]--;
}

#endif
