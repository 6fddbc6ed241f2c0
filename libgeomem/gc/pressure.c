/* pressure.c - see pressure.h. */
#include "libgeomem/gc/pressure.h"

#include <stdatomic.h>

#include "libgeomem/base/container.h"
#include "libgeomem/base/sys.h"
#include "libgeomem/gc/cycle.h"
#include "libgeomem/gc/world.h"

/* All arbitrary. */
#define LOOK_NS 100000000u
#define COLLECT_NS 1000000000u
#define COLLECT_MOST_NS (64 * (uint64_t)COLLECT_NS)
#define COLLECT_SHARE 20
/* In parts of the limit and of time: see pressure.h. It is at rest a twentieth lower. */
#define SHORT_PART 10
#define REST_PART 20
#define STALLED_PART 10
/* Of the footprint: what a collection gave back. */
#define GAIN_PART 20

static const char *groups_file = "/proc/self/cgroup", *mount_folder = "/sys/fs/cgroup";
static _Atomic uint64_t look_at_ns, number, wanted_bytes;
static _Atomic(gm_pressure_observation *) observer;

/* Under the world's lock. */
static struct {
    uint64_t looked_ns, stalled_us; /* as of the last look */
    uint64_t collect_at_ns, apart_ns;
} pressure = {.apart_ns = COLLECT_NS};

void gm_pressure_observer(gm_pressure_observation *observation)
{
    atomic_store(&observer, observation);
}

void gm_pressure_source(const char *groups, const char *mount)
{
    gm_world_lock();
    groups_file = groups;
    mount_folder = mount;
    pressure.looked_ns = pressure.stalled_us = pressure.collect_at_ns = 0;
    pressure.apart_ns = COLLECT_NS;
    gm_world_unlock();
    atomic_store_explicit(&look_at_ns, 0, memory_order_relaxed);
}

uint64_t gm_pressure_number(void)
{
    /* acquire: pairs with the release in pressure_look */
    return atomic_load_explicit(&number, memory_order_acquire);
}

uint64_t gm_pressure_wanted_bytes(void)
{
    return atomic_load_explicit(&wanted_bytes, memory_order_relaxed);
}

/* ---- a look; the world's lock held ---- */

/* Since the last look. */
static bool stalled_long(const struct gm_container_room *room, uint64_t now_ns)
{
    uint64_t since_us = (now_ns - pressure.looked_ns) / 1000;
    uint64_t stalled_us = room->stalled_us - pressure.stalled_us;
    return pressure.looked_ns && room->stalled_us > pressure.stalled_us &&
           stalled_us > since_us / STALLED_PART;
}

/* The heap's share is what it has, and what nobody has. */
static void room_tell(const struct gm_container_room *room)
{
    uint64_t left = room->limit_bytes > room->used_bytes ? room->limit_bytes - room->used_bytes : 1;
    gm_pacer_set_room(&gm_gc.pacer, room->limit_bytes ? gm_gc_footprint() + left : 0);
}

/* True: memory is short. */
static bool pressure_look(uint64_t now_ns)
{
    struct gm_container container;
    struct gm_container_room room = {0};
    if (gm_container_find(groups_file, mount_folder, &container) == 0)
        gm_container_look(&container, &room);
    if (gm_gc.ready)
        room_tell(&room);
    bool stalled = stalled_long(&room, now_ns);
    pressure.looked_ns = now_ns;
    pressure.stalled_us = room.stalled_us;
    if (!room.limit_bytes ||
        (!stalled && room.used_bytes <= room.limit_bytes - room.limit_bytes / SHORT_PART))
        return false;
    uint64_t high = room.limit_bytes - room.limit_bytes / SHORT_PART;
    uint64_t rest = (high < room.used_bytes ? high : room.used_bytes);
    rest -= rest / REST_PART;
    atomic_store_explicit(&wanted_bytes, room.used_bytes - rest, memory_order_relaxed);
    /* release: pairs with the acquire in gm_pressure_number */
    atomic_fetch_add_explicit(&number, 1, memory_order_release);
    return true;
}

static bool collection_is_due(uint64_t now_ns)
{
    if (!gm_gc.ready || now_ns < pressure.collect_at_ns)
        return false;
    pressure.collect_at_ns = now_ns + pressure.apart_ns; /* nobody else makes one */
    return true;
}

/* ---- what is done about it; no lock held ---- */

static void heaps_purge(void)
{
    gm_lock_acquire(&gm_heaps_lock);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap)) {
        gm_heap_lock(heap);
        gm_heap_purge(heap, true);
        gm_heap_unlock(heap);
    }
    gm_lock_release(&gm_heaps_lock);
}

static void collect(struct gm_heap *heap, uint64_t begin_ns)
{
    uint64_t before = gm_gc_footprint();
    gm_gc_collect(heap, GM_WANT_FULL, GEOMEM_TRIGGER_PRESSURE);
    heaps_purge();
    uint64_t after = gm_gc_footprint(), end_ns = gm_sys_monotonic_ns();
    gm_world_lock();
    bool paid = before > after && before - after > before / GAIN_PART;
    uint64_t apart = paid ? COLLECT_NS : pressure.apart_ns * 2;
    pressure.apart_ns = apart < COLLECT_MOST_NS ? apart : COLLECT_MOST_NS;
    uint64_t share = (end_ns - begin_ns) * COLLECT_SHARE;
    pressure.collect_at_ns = end_ns + (share > pressure.apart_ns ? share : pressure.apart_ns);
    gm_world_unlock();
}

void gm_pressure_allocated(struct gm_heap *heap)
{
    uint64_t now = gm_sys_monotonic_ns();
    uint64_t at = atomic_load_explicit(&look_at_ns, memory_order_relaxed);
    /* relaxed: the lock orders what follows. Code of the program's may allocate under it. */
    if (now < at || gm_world_lock_is_mine() ||
        !atomic_compare_exchange_strong_explicit(
            &look_at_ns, &at, now + LOOK_NS, memory_order_relaxed, memory_order_relaxed))
        return;
    gm_world_lock();
    bool is_short = pressure_look(now), collects = is_short && collection_is_due(now);
    gm_world_unlock();
    gm_pressure_observation *tell = atomic_load(&observer);
    if (is_short && tell)
        tell(gm_pressure_wanted_bytes());
    if (collects)
        collect(heap, now);
}

void gm_pressure_poll(void)
{
    struct gm_heap *heap = gm_heap_default();
    if (heap)
        gm_pressure_allocated(heap);
}
