/* tls.h - where glibc keeps thread-local storage.
 *
 *   of a thread, from its thread pointer tp:
 *     [ static TLS of the modules loaded at start-up | struct pthread, first keys' values |
 *     tp - static bytes                              tp                                   tp + descriptor bytes
 *   and from there: dtv -> blocks of modules loaded later; pointers to the values of later keys.
 *
 * Sizes and offsets are those that glibc gives its debuggers (_thread_db_*, since 2.34 in libc itself); without them
 * what lies within the static block is found all the same.
 */
#ifndef GM_GC_TLS_H
#define GM_GC_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "libgeomem/gc/maps.h"

/* Asks the loader; once, while nothing is stopped. */
void gm_tls_init(void);

size_t gm_tls_descriptor_bytes(void); /* sizeof(struct pthread) */

/* Calls visit for each range of the thread's storage. A thread pointer that is not glibc's is told by its descriptor and
 * passed over. Nothing unreadable is read. */
typedef void gm_tls_visitor(uintptr_t start, uintptr_t end, void *arg);
void gm_tls_visit(uintptr_t tp, struct gm_maps *maps, gm_tls_visitor *visit, void *arg);

#endif
