/* world.h - what the known-answer programs about threads and roots share.
 *
 * A secret is a word that no other word of the process equals by chance. It is kept as its complement, but where a
 * test puts it for the search to find; so a search finds it there, or the root is lost.
 */
#ifndef TEST_GC_WORLD_H
#define TEST_GC_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libgeomem/gc/unsanitized.h"
#include "libgeomem/gc/world.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1); \
        } \
    } while (0)

/* Without the volatile that keeps the compiler from optimising a secret away. */
#define PLAIN(p) ((const void *)(uintptr_t)(p))

/* The complement of the n-th secret. */
static inline uint64_t secret_hidden(unsigned n)
{
    return ~(0x5ec2e70000000000u + n * 0x10001u);
}

struct secret_search {
    uint64_t hidden;
    uint64_t words;
    unsigned found;
};

static GM_UNSANITIZED void secret_look(const void *start, size_t bytes, void *arg)
{
    struct secret_search *search = arg;
    const uint64_t *words = start;
    for (size_t i = 0; i < bytes / 8; i++)
        search->found += ~words[i] == search->hidden;
    search->words += bytes / 8;
}

/* Stops the world and counts the words that hold the secret. */
static inline struct secret_search secret_find(unsigned n, unsigned parts)
{
    struct secret_search search = {.hidden = secret_hidden(n)};
    struct gm_world_stop_figures figures;
    gm_world_lock();
    int err = gm_world_stop(&figures);
    if (err == 0) {
        gm_roots_visit(parts, secret_look, &search);
        gm_world_start();
    }
    gm_world_unlock();
    if (err < 0)
        fprintf(stderr, "stop: %s, thread %d\n", strerror(-err), figures.slowest_tid);
    CHECK(err == 0);
    return search;
}

#endif
