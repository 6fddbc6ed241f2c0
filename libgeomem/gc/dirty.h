/* dirty.h - which pages of the heap were written to, without a barrier in the program.
 *
 * Three ways, one interface; the best that works here is chosen at start-up by trying it:
 *   GM_DIRTY_UFFD      userfaultfd asynchronous write-protection, read and re-armed by one PAGEMAP_SCAN (Linux 6.7)
 *   GM_DIRTY_MPROTECT  pages without write permission and a SIGSEGV handler that chains to the program's
 *   GM_DIRTY_NONE      nothing is known: every watched page counts as written
 *
 * Only pages given to gm_dirty_watch are looked at; the collector watches spans that hold old blocks with pointers.
 * A page is "written" from the first write after it was armed until it is taken. GM_DIRTY_UFFD reports pages that were
 * written to and no others, but for memory that was given back to the system while it was watched; it reads as
 * zero then, and may be reported or not. GM_DIRTY_MPROTECT reports neighbours too.
 *
 * Not thread-safe, but for the writes that it observes: called by the collector under its lock.
 */
#ifndef GM_GC_DIRTY_H
#define GM_GC_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gm_dirty_mechanism {
    GM_DIRTY_NONE,
    GM_DIRTY_MPROTECT,
    GM_DIRTY_UFFD,
};

struct gm_dirty;

/* `wanted`: the best to try; lesser ones follow. `start`, `bytes`: the range in which pages will be watched.
 * Returns 0 or a negative errno (-ENOMEM). */
int gm_dirty_open(
    uintptr_t start, size_t bytes, enum gm_dirty_mechanism wanted, struct gm_dirty **ret_dirty);
void gm_dirty_close(struct gm_dirty *dirty);
enum gm_dirty_mechanism gm_dirty_mechanism(const struct gm_dirty *dirty);

/* From here on writes to these pages are observed; they count as not written. Page-aligned. 0 or a negative errno:
 * then they are not watched. */
int gm_dirty_watch(struct gm_dirty *dirty, uintptr_t start, size_t bytes);
/* Watched no longer; to be called before the memory is given back to the system or used as nursery again. */
int gm_dirty_unwatch(struct gm_dirty *dirty, uintptr_t start, size_t bytes);

/* Calls visit for each maximal run of watched pages within [start, start + bytes) that were written to since they were
 * armed, and arms them again (if `rearm`). A write that comes meanwhile is seen by this call or the next, by one at least. */
typedef void gm_dirty_visit(uintptr_t start, size_t bytes, void *arg);
int gm_dirty_take(struct gm_dirty *dirty, uintptr_t start, size_t bytes, bool rearm,
    gm_dirty_visit *visit, void *arg);

/* The kernel is about to write there, on behalf of the calling thread: for wrappers of system calls that fill a buffer. Of
 * use with GM_DIRTY_MPROTECT only, and free otherwise: pages without write permission make the call fail with EFAULT. True
 * if something had to be opened: so a call that has failed since is worth making again. Any address and size, watched or
 * not; any thread. */
bool gm_dirty_open_for_kernel(uintptr_t start, size_t bytes);
/* Is it of use? For wrappers that would have to read the program's own structures first, which may be unreadable. */
bool gm_dirty_opens_for_kernel(void);

/* In a forked child: userfaultfd's protection does not follow it, mprotect's does, and is taken away. Everything watched
 * counts as written once, and is armed again by gm_dirty_take. */
int gm_dirty_after_fork(struct gm_dirty *dirty);

#endif
