/* symbols.c FILE BUILD-ID - names the addresses on standard input (hex, one a line) as the recorder
 * would after a recording. Prints milliseconds from the first request to the last answer, how many
 * addresses got a name, and how many lines that were, inlined calls included.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/symbols/client.h"

static size_t named, lines_seen;

static void on_frame(
    void *context, uint32_t frame_id, const struct gm_symbols_line *lines, size_t count)
{
    (void)context;
    (void)frame_id;
    named += count > 0 && lines[count - 1].function != NULL;
    lines_seen += count;
}

static void on_module(void *context, uint32_t module_id, enum gm_symbols_source source)
{
    (void)context;
    (void)module_id;
    (void)source;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    const struct gm_symbols_handler handler = {on_frame, on_module, NULL};
    struct gm_symbols_options options = {.worker_path = getenv("GM_WORKER")};
    struct gm_symbols *symbols;
    uint64_t address;
    if (argc != 3 || gm_symbols_create(&options, &symbols) < 0 ||
        gm_symbols_module(symbols, 1, argv[1], argv[2]) < 0)
        return 2;
    double start = now_ms();
    for (uint32_t id = 1; scanf("%lx", &address) == 1; id++)
        if (gm_symbols_request(symbols, id, 1, address, true) < 0)
            return 1;
    gm_symbols_hurry(symbols);
    while (gm_symbols_pending(symbols))
        if (gm_symbols_poll(symbols, -1, &handler) < 0)
            return 1;
    printf("%.1f %zu %zu\n", now_ms() - start, named, lines_seen);
    gm_symbols_free(symbols);
    return 0;
}
