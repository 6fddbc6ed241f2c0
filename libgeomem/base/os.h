/* os.h - the operating system as the heap and the collector need it: memory, and nothing else.
 *
 * All memory of libgeomem comes through here, so that tests can make any of these calls fail (gm_os_fail_after).
 * Everything is async-signal-safe and leaves errno alone. Addresses and sizes are multiples of a page.
 *
 * Stands below libgeomem/heap and libgeomem/gc.
 */
#ifndef GM_BASE_OS_H
#define GM_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_PAGE_LOG2 12u
#define GM_PAGE_BYTES ((size_t)1 << GM_PAGE_LOG2)

/* Address space without memory behind it, aligned; 0 when there is none. */
uintptr_t gm_os_reserve(size_t bytes, size_t alignment);
/* Makes reserved address space usable; it reads as zero. 0 or a negative errno. */
int gm_os_commit(uintptr_t start, size_t bytes);
/* Back to address space without memory. 0 or a negative errno. */
int gm_os_decommit(uintptr_t start, size_t bytes);
/* Gives the memory back; the addresses stay usable and read as zero. 0 or a negative errno: nothing was given back. */
int gm_os_purge(uintptr_t start, size_t bytes);
/* Memory for libgeomem's own structures, zeroed; NULL when there is none. */
void *gm_os_map(size_t bytes);
void gm_os_unmap(void *start, size_t bytes);

/* For tests: of the calls above, `calls` more succeed, and then `failures` fail (those that can). */
void gm_os_fail_after(uint64_t calls, uint64_t failures);
/* Calls made since the process began. */
uint64_t gm_os_calls(void);

#endif
