/* prof_stats.c - bytes reclaimed and freed as GC_get_prof_stats tells them to a client of bdwgc, where they are known. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "geomem/bdwgc.h"

enum { BLOCKS = 1000, FREED = 50 };
static size_t block_bytes; /* of each */

static struct GC_prof_stats_s stats(void)
{
    struct GC_prof_stats_s s;
    if (GC_get_prof_stats(&s, sizeof s) != sizeof s)
        abort();
    return s;
}

static size_t reclaimed(const struct GC_prof_stats_s *s)
{
    return s->bytes_reclaimed_since_gc + s->reclaimed_bytes_before_gc;
}

static void *blocks_make(void *arg)
{
    for (int i = 0; i < BLOCKS; i++) {
        void *block = GC_malloc(48);
        block_bytes = GC_size(block);
        if (i < FREED)
            GC_free(block);
    }
    return arg;
}

int main(void)
{
    GC_init();
    GC_gcollect();
    struct GC_prof_stats_s before = stats();
    pthread_t thread;
    if (pthread_create(&thread, NULL, blocks_make, NULL) != 0 || pthread_join(thread, NULL) != 0)
        abort();
    struct GC_prof_stats_s made = stats();
    GC_gcollect();
    struct GC_prof_stats_s after = stats();
    size_t freed = made.expl_freed_bytes_since_gc - before.expl_freed_bytes_since_gc;
    size_t collected = reclaimed(&after) - reclaimed(&before);
    printf("freed %zu bytes, reclaimed %zu\n", freed, collected);
    if (freed != FREED * block_bytes || reclaimed(&made) != reclaimed(&before) ||
        collected != (BLOCKS - FREED) * block_bytes)
        return 1;
    puts("ok");
    return 0;
}
