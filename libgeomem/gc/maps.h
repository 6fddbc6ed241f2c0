/* maps.h - what the kernel says of the process's address space.
 *
 * Asked while the world is stopped, so nothing here allocates or locks. The answers come from /proc/thread-self and
 * not from /proc/self: that is the main thread, which has no memory left once it has ended.
 */
#ifndef GM_GC_MAPS_H
#define GM_GC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_PAGE_BYTES 4096u

struct gm_mapping {
    uintptr_t start;
    uintptr_t end;
    bool readable;
    bool writable;
    bool shared;
    bool
        guessed; /* the kernel does not tell: found by reading, pages on end that can be read, or one that cannot */
};

/* One session of questions keeps its files open. Closed by gm_maps_close; opened by the first question. */
struct gm_maps {
    int maps_fd; /* -1: not open yet */
    int pagemap_fd;
    bool no_query; /* the kernel does not know PROCMAP_QUERY */
};
#define GM_MAPS_INIT \
    { \
        .maps_fd = -1, .pagemap_fd = -1 \
    }

/* The mapping that `address` lies in, else the next above. -ENOENT: none. */
int gm_maps_next(struct gm_maps *maps, uintptr_t address, struct gm_mapping *ret_mapping);
/* The mapping that `address` lies in; -ENOENT. */
int gm_maps_at(struct gm_maps *maps, uintptr_t address, struct gm_mapping *ret_mapping);
void gm_maps_close(struct gm_maps *maps);

/* One question alone. */
int gm_maps_find(uintptr_t address, struct gm_mapping *ret_mapping);

/* Calls visit for each run of pages in [start, end) that have memory or swap behind them. Where the kernel does not
 * tell, all do. */
typedef void gm_maps_visitor(uintptr_t start, uintptr_t end, void *arg);
void gm_maps_resident(
    struct gm_maps *maps, uintptr_t start, uintptr_t end, gm_maps_visitor *visit, void *arg);

#endif
