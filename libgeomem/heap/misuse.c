/* misuse.c - see misuse.h. */
#include "libgeomem/heap/misuse.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*_Atomic misuse_handler)(const char *text, const void *address);

void geomem_misuse_handler(void (*handler)(const char *text, const void *address))
{
    atomic_store(&misuse_handler, handler);
}

void gm_misuse(const char *text, const void *address)
{
    void (*handler)(const char *, const void *) = atomic_load(&misuse_handler);
    if (handler != NULL) {
        handler(text, address);
        return;
    }
    /* No stdio: the program may be in any state. */
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    written += write(STDERR_FILENO, "\n", 1);
    (void)written;
    abort();
}

static void describe(char *text, size_t size, const char *function, const void *address,
    enum gm_found found, const struct gm_place *place)
{
    int length = snprintf(text, size, "geomem: %s(%p): ", function, address);
    text += length;
    size -= (size_t)length;
    switch (found) {
    case GM_FOUND_FOREIGN:
        snprintf(text, size,
            "not memory of libgeomem; was it allocated by malloc, or is it on a stack?");
        return;
    case GM_FOUND_HEADER:
        snprintf(text, size,
            "no block has been handed out there, or the span it was in has been given back since");
        return;
    case GM_FOUND_INSIDE:
        snprintf(text, size, "points %zu bytes into a block of %zu bytes that begins at %p",
            (size_t)((uintptr_t)address - place->start), place->bytes,
            (void *)place->start); /* NOLINT */
        return;
    case GM_FOUND_FREE:
        if (gm_place_state(place) == GM_STATE_QUARANTINE)
            snprintf(text, size, "the block of %zu bytes was freed before, and is in quarantine",
                place->bytes);
        else if ((uintptr_t)address == place->start)
            snprintf(text, size, "the block of %zu bytes is free already", place->bytes);
        else
            snprintf(text, size, "points %zu bytes into a free block of %zu bytes",
                (size_t)((uintptr_t)address - place->start), place->bytes);
        return;
    case GM_FOUND_BLOCK:
        snprintf(text, size, "the block of %zu bytes cannot be used here", place->bytes);
        return;
    }
}

void gm_misuse_address(
    const char *function, const void *address, enum gm_found found, const struct gm_place *place)
{
    char text[256];
    describe(text, sizeof text, function, address, found, place);
    gm_misuse(text, address);
}

void gm_misuse_written(const struct gm_place *place, size_t offset)
{
    char text[256];
    void *block = (void *)place->start; /* NOLINT */
    snprintf(text, sizeof text,
        "geomem: the block of %zu bytes at %p was written to after it was freed, at byte %zu",
        place->bytes, block, offset);
    gm_misuse(text, block);
}
