/* plugin.c - loaded by dl_loop.c, built twice with different PLUGIN_BYTES and frame sizes. Four allocations. */
#include "target.h"

void *volatile plugin_kept;

static NOINLINE void PLUGIN_WORKER(void)
{
    volatile char frame[PLUGIN_BYTES % 7 * 64 + 64];
    frame[0] = 1;
    plugin_kept = malloc(PLUGIN_BYTES); /* LEAK plugin */
    for (int i = 0; i < 3; i++)
        free(malloc(60 + (size_t)frame[0]));
}

void plugin_run(void);
void plugin_run(void)
{
    for (int i = 0; i < 1; i++)
        PLUGIN_WORKER();
}
