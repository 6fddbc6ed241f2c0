/* site.c - what each call site allocated: a table of stacks that only grows, up to a bound.
 *
 * Open addressing by the hash of the stack, linear probing, no removal while profiling. A row is claimed by a
 * compare-and-swap of its hash from 0 to 1, filled in, and published by the store of the real hash. Who meets a
 * row that is being filled in does not wait (its owner may be stopped) but counts as having no site.
 */
#include <errno.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/profile/profile.h"

enum { ROW_FREE = 0, ROW_BUSY = 1 };
#define PROBES 64u

static struct gm_profile_site *site_table;

int gm_profile_sites_open(void)
{
    size_t bytes = GM_PROFILE_SITES * sizeof *site_table;
    if (!site_table && !(site_table = gm_sys_map(bytes)))
        return -ENOMEM;
    memset(site_table, 0, bytes);
    return 0;
}

struct gm_profile_site *gm_profile_site(uint32_t index)
{
    return &site_table[index];
}

static uint64_t site_hash(const uint64_t *pc, uint32_t count)
{
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (uint32_t i = 0; i < count; i++) {
        hash = (hash ^ pc[i]) * 0xff51afd7ed558ccdu; /* MurmurHash3's finalizer, a step each */
        hash ^= hash >> 32;
    }
    return hash > ROW_BUSY ? hash : hash + 2;
}

static void site_fill(struct gm_profile_site *site, const uint64_t *pc, uint32_t count)
{
    site->frame_count = count;
    for (uint32_t i = 0; i < count; i++)
        site->frame[i] = (uintptr_t)(pc[i] & 0xffffffffffffu);
}

uint32_t gm_profile_site_of(const struct gm_capture *capture)
{
    uint32_t count = capture->count < GEOMEM_SITE_FRAMES ? capture->count : GEOMEM_SITE_FRAMES;
    uint64_t hash = site_hash(capture->pc, count);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t index = (uint32_t)(hash + probe) & (GM_PROFILE_SITES - 1);
        if (index == GM_PROFILE_NO_SITE)
            continue;
        struct gm_profile_site *site = &site_table[index];
        /* acquire: pairs with the release below, frames are there */
        uint64_t found = atomic_load_explicit(&site->hash, memory_order_acquire);
        if (found == ROW_FREE &&
            atomic_compare_exchange_strong(&site->hash, &found, (uint64_t)ROW_BUSY)) {
            site_fill(site, capture->pc, count);
            atomic_store_explicit(&site->hash, hash, memory_order_release);
            return index;
        }
        if (found == hash)
            return index;
        if (found == ROW_BUSY)
            return GM_PROFILE_NO_SITE;
    }
    return GM_PROFILE_NO_SITE;
}
