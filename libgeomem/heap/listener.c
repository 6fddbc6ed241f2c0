/* listener.c - see listener.h. */
#include "libgeomem/heap/listener.h"

#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/thread.h"

const struct geomem_listener *_Atomic gm_listener;

void gm_listener_attach(const struct geomem_listener *listener)
{
    /* release: pairs with the acquire in gm_listener_get */
    atomic_store_explicit(&gm_listener, listener, memory_order_release);
    gm_fast_paths(listener == NULL && gm_checkers == 0);
}

/* Before the program has threads, and blocks, of which a recorder would not know. */
__attribute__((constructor)) static void listener_begin(void)
{
    if (geomem_recorder_listener)
        gm_listener_attach(geomem_recorder_listener());
}
