/* module.h - tells the recorder which file a code address belongs to. */
#ifndef GM_EVENT_MODULE_H
#define GM_EVENT_MODULE_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/event/thread.h"

/* Sends a MODULE record for the object that holds `pc` unless this thread already has (since the last
 * unloading). Code outside all objects has none. False: there was no room. Async-signal-safe. */
bool gm_module_announce(struct gm_scope *scope, uintptr_t pc);

#endif
