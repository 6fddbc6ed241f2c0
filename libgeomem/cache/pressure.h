/* pressure.h - is there memory enough? As the heap, the container and the kernel say. */
#ifndef GM_CACHE_PRESSURE_H
#define GM_CACHE_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct gm_pressure {
    uint64_t over_bytes; /* what should be given back; 0: nothing */
    uint64_t room_bytes; /* what may be taken */
    bool stalls;         /* tasks stood still for want of memory lately */
};
/* Some ten microseconds: reads three files in /proc and /sys. */
void gm_pressure_read(struct gm_pressure *ret_pressure);
/* "some avg10=1.23 ..." of /proc/pressure/memory: hundredths of a percent; 0: it says nothing. For tests. */
uint64_t gm_pressure_stall(const char *text);

#endif
