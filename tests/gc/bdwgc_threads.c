/* bdwgc_threads.c - threads that disable and enable collections, and ask for figures, all at once: at the end they are enabled, and no
 * figure that only grows has become smaller. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "geomem/bdwgc.h"

enum { THREADS = 4, TURNS = 100000 };

static void expect(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *turn(void *arg)
{
    struct GC_prof_stats_s before = {0}, now;
    (void)arg;
    for (int i = 0; i < TURNS; i++) {
        GC_disable();
        expect(GC_is_disabled(), "not disabled");
        GC_enable();
        if (i % 256 != 0)
            continue;
        expect(GC_malloc(100) != NULL, "no memory");
        GC_gcollect();
        GC_get_prof_stats(&now, sizeof now);
        expect(now.gc_no >= before.gc_no, "fewer collections than before");
        expect(now.allocd_bytes_before_gc >= before.allocd_bytes_before_gc, "less allocated");
        expect(now.allocd_bytes_before_gc < (GC_word)1 << 40, "figures are torn");
        before = now;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    GC_init();
    GC_gcollect();
    for (int i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, turn, NULL) == 0, "no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    GC_word number = GC_get_gc_no();
    expect(!GC_is_disabled(), "disabled");
    GC_gcollect();
    expect(GC_get_gc_no() > number, "no collection");
    return 0;
}
