/* watch.h - what SQLite does with a page after its page cache has handed it out, which the page cache is not told.
 *
 * SQLite counts a hit when it wants a page with its content and the cache has it, and a miss when it reads the page from
 * its file. It counts nothing for a page that is new in the file, or whose old content it does not want. To the page cache
 * all four look alike. What tells them apart happens right afterwards on the same thread:
 *
 *   read of the page's own buffer  -> a miss                   (seen by the unix VFS's table of system calls)
 *   "benign" allocation            -> the content is not wanted (seen by the hooks for such allocations)
 */
#ifndef GM_ADAPTERS_SQLITE_WATCH_H
#define GM_ADAPTERS_SQLITE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The page that this thread was handed last. `cache` is never freed, though it may be another's by now. */
struct gm_watched {
    void *cache;
    const void *buffer; /* NULL: none */
};
extern _Thread_local struct gm_watched gm_watched;

struct gm_watcher {
    /* The buffer has been read into, from file `fd`, which took so long. */
    void (*read)(void *cache, const void *buffer, int fd, uint64_t ns);
    /* The content may not be wanted. */
    void (*unwanted)(void *cache, const void *buffer);
};

/* Before sqlite3_initialize. */
void gm_watch_allocations(const struct gm_watcher *watcher);
/* After it, once: later calls do nothing. False: SQLite's default VFS has no such table. */
bool gm_watch_reads(void);

#endif
