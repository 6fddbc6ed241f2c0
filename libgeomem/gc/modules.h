/* modules.h - the modules of the program, their writable globals and thread-local storage.
 *
 * Read from the loader's own list for debuggers (struct r_debug), with the world stopped, so no lock of the loader is
 * taken: dl_iterate_phdr's would be held by whoever was stopped inside dlopen, and a program's callback of
 * dl_iterate_phdr may allocate and so wait for a collector that waits for it. What was learnt is kept until the list
 * changes.
 */
#ifndef GM_GC_MODULES_H
#define GM_GC_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/gc/maps.h"

struct gm_module_range {
    uintptr_t start;
    uintptr_t end;
};
struct gm_module_tls {
    uintptr_t offset; /* below the thread pointer, of a static block; else 0 */
    size_t bytes;
    size_t id;     /* index into the dtv */
    bool excluded; /* libgeomem's own, or the recorder's */
};

/* Once, while nothing is stopped. */
int gm_modules_init(void); /* 0 or -ENOMEM: to be called again */

/* World stopped. Reads the list anew if it has changed. */
void gm_modules_refresh(struct gm_maps *maps);

/* As of the last refresh; the arrays are the callee's. `ret_sure` false: the loader was stopped in the middle of a
 * change, a range may not be there. */
size_t gm_modules_globals(const struct gm_module_range **ret_ranges, bool *ret_sure);
size_t gm_modules_tls(const struct gm_module_tls **ret_tls);

#endif
