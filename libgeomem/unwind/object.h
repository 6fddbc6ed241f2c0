/* object.h - which loaded object holds a code address, and when it goes away.
 *
 *   rule or module looked up --_dl_find_object--> the object's link map, remembered in a filter
 *   the loader unloads it    --free(link map)---> our hook, called from the loader's code, asks the filter
 *
 * The loader frees an object's link map, through the program's free, after it has unmapped the object and while it
 * still holds the lock that any other loading needs: whatever is forgotten at that moment cannot be asked for before
 * another object can have come. This sees every way to unload, also those that do not pass dlclose: libc's own
 * character set conversions and name services.
 */
#ifndef GM_UNWIND_OBJECT_H
#define GM_UNWIND_OBJECT_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

/* Finds the object at `pc`. Returns false where there is none. Lock-free, async-signal-safe. */
bool gm_object_find(uintptr_t pc, struct dl_find_object *ret_object);

/* Finds out where the loader's code lies. Before this, nothing counts as unloading. */
void gm_object_watch(void);

struct gm_object_loader {
    uintptr_t start, bytes;
};
extern struct gm_object_loader gm_object_loader; /* written once, by gm_object_watch */

/* True when `p` may be the link map of an object that was looked up: certainly true if it is, seldom if not. */
bool gm_object_is_known(const void *p);

/* True when `caller` is the loader's code: nobody else frees a link map. */
static inline bool gm_object_is_loader(uintptr_t caller)
{
    return __builtin_expect(caller - gm_object_loader.start < gm_object_loader.bytes, 0);
}

/* True when the free of `p`, called from the code at `caller`, may be the end of an object that was looked up. */
static inline bool gm_object_ends(const void *p, uintptr_t caller)
{
    return gm_object_is_loader(caller) && gm_object_is_known(p);
}

#endif
