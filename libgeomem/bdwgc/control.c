/* control.c - starting, collecting, counting, and settings that are remembered. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "geomem/listener.h"
#include "libgeomem/base/bytes.h"
#include "libgeomem/bdwgc/bdwgc.h"
#include "libgeomem/gc/cycle.h"
#include "libgeomem/heap/lock.h"

/* Public variables of bdwgc's. */
GM_BDWGC_API GC_word GC_gc_no, GC_non_gc_bytes, GC_free_space_divisor = 3, GC_max_retries;
GM_BDWGC_API int GC_all_interior_pointers = 1, GC_dont_gc, GC_find_leak, GC_parallel,
                 GC_dont_expand, GC_use_entire_heap, GC_full_freq = 19, GC_no_dls,
                 GC_dont_precollect;
GM_BDWGC_API unsigned long GC_time_limit = 50;
GM_BDWGC_API void *GC_least_plausible_heap_addr,
    *GC_greatest_plausible_heap_addr = (void *)UINTPTR_MAX;

static void *oom_default(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static void warn_default(char *format, GC_word argument)
{
    fprintf(stderr, format, argument);
}

static void abort_default(const char *text)
{
    if (text)
        fprintf(stderr, "%s\n", text);
}

static int stop_never(void)
{
    return 0;
}

GM_BDWGC_API GC_oom_func GC_oom_fn = oom_default;
GM_BDWGC_API GC_on_heap_resize_proc GC_on_heap_resize;
static struct {
    bool is_started, is_incremental, unmap_on_collect, automatic_is_off;
    GC_warn_proc warn;
    GC_abort_func abort;
    GC_stop_func stop;
    GC_start_callback_proc start_callback;
    GC_on_collection_event_proc on_event;
    int rate, max_prior_attempts, pages_executable, manual_vdb;
    size_t min_bytes_allocd;
    GC_word bytes_per_finalizer;
    uint64_t measured_from_ns;
    bool is_measuring;
} control = {.warn = warn_default,
    .abort = abort_default,
    .stop = stop_never,
    .rate = 10,
    .max_prior_attempts = 1,
    .min_bytes_allocd = 1,
    .bytes_per_finalizer = 10000};

/* ---- start ---- */

__attribute__((constructor)) static void control_load(void)
{
    gm_bdwgc_finalizers_start();
    gm_bdwgc_roots_start();
}

void GC_init(void)
{
    if (control.is_started)
        return;
    control.is_started = true;
    gm_bdwgc_extra_bytes = GC_all_interior_pointers ? 1 : 0;
    GC_set_max_heap_size(gm_bytes_of_environment("GC_MAXIMUM_HEAP_SIZE"));
    if (!geomem_heap_default()) {
        control.abort(
            "geomem: no address space for a heap: raise the limit on virtual memory (ulimit -v)");
        abort();
    }
    geomem_register_thread();
    GC_least_plausible_heap_addr = (void *)gm_range.start;
    GC_greatest_plausible_heap_addr = (void *)(gm_range.start + gm_range.bytes);
    if (getenv("GC_DONT_GC") || GC_dont_gc) {
        GC_dont_gc = 0;
        GC_disable();
    }
}

int GC_is_init_called(void)
{
    return control.is_started;
}

void GC_deinit(void) {}

unsigned GC_get_version(void)
{
    return GC_VERSION_MAJOR << 16 | GC_VERSION_MINOR << 8 | GC_VERSION_MICRO;
}

void GC_set_max_heap_size(GC_word bytes)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options, .max_bytes = bytes};
    if (bytes)
        geomem_heap_configure(NULL, &options); /* -EBUSY: the heap is in use, its limit stays */
}

int GC_expand_hp(size_t bytes)
{
    (void)bytes;
    return 1;
}

void GC_set_all_interior_pointers(int value)
{
    GC_all_interior_pointers = value;
    if (!control.is_started)
        gm_bdwgc_extra_bytes = value ? 1 : 0;
}

int GC_get_all_interior_pointers(void)
{
    return GC_all_interior_pointers;
}

/* ---- what there is ---- */

static _Thread_local bool control_in_callback; /* the collector's lock is held by this thread */

/* Kept from call to call. Signals are blocked with the lock: a callback of a collection may ask for them, while threads stand
 * still. */
static struct {
    struct gm_lock lock;
    struct geomem_heap_statistics last;  /* of the last call of a getter */
    struct geomem_heap_statistics at_gc; /* of the last before the latest collection */
} kept;

static uint64_t kept_lock(void)
{
    uint64_t all = ~0ull, before = 0;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
    gm_lock_acquire(&kept.lock);
    return before;
}

static void kept_unlock(uint64_t before)
{
    gm_lock_release(&kept.lock);
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

static uint64_t collections_of(const struct geomem_heap_statistics *s)
{
    return s->young_collections + s->full_collections;
}

static void at_least(uint64_t *figure, uint64_t before)
{
    if (*figure < before)
        *figure = before;
}

/* What only grows does not become less: another thread may have come between, and figures are not all of one moment. */
static void kept_renew(struct geomem_heap_statistics *s)
{
    uint64_t signals = kept_lock();
    at_least(&s->young_collections, kept.last.young_collections);
    at_least(&s->full_collections, kept.last.full_collections);
    at_least(&s->allocated_bytes, kept.last.allocated_bytes);
    at_least(&s->freed_bytes, kept.last.freed_bytes);
    at_least(&s->collected_bytes, kept.last.collected_bytes);
    if (collections_of(s) > collections_of(&kept.last))
        kept.at_gc = kept.last; /* as near as can be told without a look at each collection */
    kept.last = *s;
    __atomic_store_n(&GC_gc_no, collections_of(&kept.last), __ATOMIC_RELAXED);
    kept_unlock(signals);
}

static struct geomem_heap_statistics kept_get(const struct geomem_heap_statistics *which)
{
    uint64_t signals = kept_lock();
    struct geomem_heap_statistics copy = *which;
    kept_unlock(signals);
    return copy;
}

/* bdwgc's getters may be called with the allocation lock held, and from callbacks in the middle of a collection: there it is
 * the figures of its beginning, or of the last call. */
static struct geomem_heap_statistics statistics(void)
{
    struct geomem_heap_statistics s = {.struct_bytes = sizeof s};
    if (control_in_callback)
        return kept_get(&kept.last);
    bool had_lock = gm_bdwgc_has_lock;
    if (had_lock)
        GC_alloc_unlock();
    geomem_heap_statistics(NULL, &s);
    if (had_lock)
        GC_alloc_lock();
    kept_renew(&s);
    return s;
}

static struct geomem_heap_statistics statistics_at_gc(void)
{
    return kept_get(&kept.at_gc);
}

/* Since the last collection, of a figure that only grows: at most what there was since the last call before it. */
static size_t since_gc(uint64_t now, uint64_t at_gc)
{
    return now > at_gc ? now - at_gc : 0;
}

static size_t live_bytes(const struct geomem_heap_statistics *s)
{
    return s->explicit_bytes + s->young_bytes + s->old_bytes;
}

/* bdwgc counts in blocks of its heap that hold nothing, we what is not handed out. */
static size_t free_bytes(const struct geomem_heap_statistics *s)
{
    size_t live = live_bytes(s);
    return s->footprint_bytes > live ? s->footprint_bytes - live : 0;
}

GC_word GC_get_gc_no(void)
{
    statistics();
    return __atomic_load_n(&GC_gc_no, __ATOMIC_RELAXED);
}

size_t GC_get_heap_size(void)
{
    return statistics().footprint_bytes;
}

size_t GC_get_free_bytes(void)
{
    struct geomem_heap_statistics s = statistics();
    return free_bytes(&s);
}

size_t GC_get_unmapped_bytes(void)
{
    return 0; /* what was given back is not counted in the heap's size either */
}

size_t GC_get_bytes_since_gc(void)
{
    struct geomem_heap_statistics s = statistics();
    return since_gc(s.allocated_bytes, statistics_at_gc().allocated_bytes);
}

size_t GC_get_expl_freed_bytes_since_gc(void)
{
    struct geomem_heap_statistics s = statistics();
    return since_gc(s.freed_bytes, statistics_at_gc().freed_bytes);
}

size_t GC_get_total_bytes(void)
{
    return statistics().allocated_bytes;
}

size_t GC_get_obtained_from_os_bytes(void)
{
    return statistics().footprint_bytes;
}

size_t GC_get_memory_use(void)
{
    struct geomem_heap_statistics s = statistics();
    return live_bytes(&s);
}

void GC_get_heap_usage_safe(GC_word *ret_heap_size, GC_word *ret_free_bytes,
    GC_word *ret_unmapped_bytes, GC_word *ret_bytes_since_gc, GC_word *ret_total_bytes)
{
    struct geomem_heap_statistics s = statistics();
    if (ret_heap_size)
        *ret_heap_size = s.footprint_bytes;
    if (ret_free_bytes)
        *ret_free_bytes = free_bytes(&s);
    if (ret_unmapped_bytes)
        *ret_unmapped_bytes = 0;
    if (ret_bytes_since_gc)
        *ret_bytes_since_gc = since_gc(s.allocated_bytes, statistics_at_gc().allocated_bytes);
    if (ret_total_bytes)
        *ret_total_bytes = s.allocated_bytes;
}

size_t GC_get_prof_stats(struct GC_prof_stats_s *ret_stats, size_t bytes)
{
    struct geomem_heap_statistics s = statistics(), at_gc = statistics_at_gc();
    struct GC_prof_stats_s all = {.heapsize_full = s.footprint_bytes,
        .free_bytes_full = free_bytes(&s),
        .bytes_allocd_since_gc = since_gc(s.allocated_bytes, at_gc.allocated_bytes),
        .allocd_bytes_before_gc = at_gc.allocated_bytes,
        .non_gc_bytes = s.explicit_bytes,
        .gc_no = collections_of(&s),
        .bytes_reclaimed_since_gc = since_gc(s.collected_bytes, at_gc.collected_bytes),
        .reclaimed_bytes_before_gc = at_gc.collected_bytes,
        .expl_freed_bytes_since_gc = since_gc(s.freed_bytes, at_gc.freed_bytes),
        .obtained_from_os_bytes = s.footprint_bytes};
    memset(ret_stats, 0xff, bytes);
    memcpy(ret_stats, &all, bytes < sizeof all ? bytes : sizeof all);
    return bytes < sizeof all ? bytes : sizeof all;
}

size_t GC_get_prof_stats_unsafe(struct GC_prof_stats_s *ret_stats, size_t bytes)
{
    return GC_get_prof_stats(ret_stats, bytes);
}

void GC_start_performance_measurement(void)
{
    control.measured_from_ns = statistics().pause_total_ns;
    control.is_measuring = true;
}

unsigned long GC_get_full_gc_total_time(void)
{
    return control.is_measuring ? (statistics().pause_total_ns - control.measured_from_ns) / 1000000
                                : 0;
}

void GC_dump_named(const char *name)
{
    struct geomem_heap_statistics s = statistics();
    fprintf(stderr,
        "*** heap%s%s: collections %" PRIu64 " young, %" PRIu64 " full; footprint %" PRIu64
        ", explicit %" PRIu64 ", young %" PRIu64 ", old %" PRIu64 ", allocated %" PRIu64
        ", collected %" PRIu64 " bytes; longest pause %" PRIu64 " us\n",
        name ? " " : "", name ? name : "", s.young_collections, s.full_collections,
        s.footprint_bytes, s.explicit_bytes, s.young_bytes, s.old_bytes, s.allocated_bytes,
        s.collected_bytes, s.pause_max_ns / 1000);
}

void GC_dump(void)
{
    GC_dump_named(NULL);
}

/* ---- collections ---- */

static int collect(enum geomem_generation generation)
{
    if (GC_is_disabled())
        return 0;
    int failed = geomem_gc(NULL, generation);
    gm_bdwgc_poll();
    return failed == 0;
}

void GC_gcollect(void)
{
    collect(GEOMEM_OLD);
    if (control.unmap_on_collect)
        geomem_heap_purge(NULL);
}

void GC_gcollect_and_unmap(void)
{
    collect(GEOMEM_OLD);
    geomem_heap_purge(NULL);
}

int GC_try_to_collect(GC_stop_func stop)
{
    return stop() ? 0 : collect(GEOMEM_OLD);
}

int GC_collect_a_little(void)
{
    collect(GEOMEM_YOUNG);
    return 0;
}

void GC_start_incremental_collection(void)
{
    collect(GEOMEM_YOUNG);
}

void GC_enable_incremental(void)
{
    GC_init();
    control.is_incremental = true;
}

int GC_is_incremental_mode(void)
{
    return control.is_incremental;
}

int GC_incremental_protection_needs(void)
{
    return 0;
}

void GC_enable(void)
{
    int before = __atomic_load_n(&GC_dont_gc, __ATOMIC_RELAXED);
    do
        if (before == 0)
            return; /* more calls of it than of GC_disable */
    while (!__atomic_compare_exchange_n(
        &GC_dont_gc, &before, before - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    geomem_gc_enable(NULL);
}

void GC_disable(void)
{
    geomem_gc_disable(NULL);
    __atomic_fetch_add(&GC_dont_gc, 1, __ATOMIC_RELAXED);
}

int GC_is_disabled(void)
{
    return __atomic_load_n(&GC_dont_gc, __ATOMIC_RELAXED) != 0;
}

void GC_set_disable_automatic_collection(int value)
{
    if ((value != 0) == control.automatic_is_off)
        return;
    control.automatic_is_off = value != 0;
    geomem_gc_mode(NULL, value ? GEOMEM_GC_OFF : GEOMEM_GC_GENERATIONAL);
}

int GC_get_disable_automatic_collection(void)
{
    return control.automatic_is_off;
}

/* ---- callbacks ---- */

void *gm_bdwgc_out_of_memory(size_t bytes)
{
    return GC_oom_fn(bytes);
}

void GC_set_oom_fn(GC_oom_func function)
{
    GC_oom_fn = function;
}

GC_oom_func GC_get_oom_fn(void)
{
    return GC_oom_fn;
}

void GC_abort_on_oom(void)
{
    control.abort("Insufficient memory for the allocation");
    abort();
}

void GC_set_warn_proc(GC_warn_proc proc)
{
    control.warn = proc;
}

GC_warn_proc GC_get_warn_proc(void)
{
    return control.warn;
}

void GC_ignore_warn_proc(char *format, GC_word argument)
{
    (void)format;
    (void)argument;
}

void GC_set_abort_func(GC_abort_func function)
{
    control.abort = function;
}

GC_abort_func GC_get_abort_func(void)
{
    return control.abort;
}

/* Called by the collector before it stops the world, and after it has let it go; the world's lock is held. */
static void on_collection(bool begins)
{
    control_in_callback = true;
    if (begins && control.start_callback)
        control.start_callback();
    if (control.on_event)
        control.on_event(begins ? GC_EVENT_START : GC_EVENT_END);
    control_in_callback = false;
}

static void on_collection_set(void)
{
    gm_gc_observer(control.start_callback || control.on_event ? on_collection : NULL);
}

void GC_set_start_callback(GC_start_callback_proc proc)
{
    control.start_callback = proc;
    on_collection_set();
}

GC_start_callback_proc GC_get_start_callback(void)
{
    return control.start_callback;
}

void GC_set_on_collection_event(GC_on_collection_event_proc proc)
{
    control.on_event = proc;
    on_collection_set();
}

GC_on_collection_event_proc GC_get_on_collection_event(void)
{
    return control.on_event;
}

void GC_set_on_heap_resize(GC_on_heap_resize_proc proc)
{
    GC_on_heap_resize = proc;
}

GC_on_heap_resize_proc GC_get_on_heap_resize(void)
{
    return GC_on_heap_resize;
}

void GC_set_stop_func(GC_stop_func function)
{
    control.stop = function;
}

GC_stop_func GC_get_stop_func(void)
{
    return control.stop;
}

/* ---- writes ---- */

void GC_ptr_store_and_dirty(void *slot, const void *value)
{
    *(const void **)slot = value;
}

void GC_debug_ptr_store_and_dirty(void *slot, const void *value)
{
    *(const void **)slot = value;
}

void GC_change_stubborn(const void *block)
{
    (void)block;
}

void GC_end_stubborn_change(const void *block)
{
    (void)block;
}

void GC_debug_change_stubborn(const void *block)
{
    (void)block;
}

void GC_debug_end_stubborn_change(const void *block)
{
    (void)block;
}

void GC_noop1(GC_word value)
{
    GC_reachable_here(value);
}

void *GC_clear_stack(void *value)
{
    return value;
}

/* ---- checks of pointers ---- */

static void same_obj_fail(void *p, void *q)
{
    fprintf(stderr, "%p and %p are not in one block\n", p, q);
    abort();
}

static void displacement_fail(void *p)
{
    fprintf(stderr, "%p is not in a block\n", p);
    abort();
}

GM_BDWGC_API void (*GC_same_obj_print_proc)(void *p, void *q) = same_obj_fail;
GM_BDWGC_API void (*GC_is_valid_displacement_print_proc)(void *p) = displacement_fail;
GM_BDWGC_API void (*GC_is_visible_print_proc)(void *p) = displacement_fail;

void *GC_same_obj(void *p, void *q)
{
    if ((GC_is_heap_ptr(p) || GC_is_heap_ptr(q)) && GC_base(p) != GC_base(q))
        GC_same_obj_print_proc(p, q);
    return p;
}

void *GC_pre_incr(void **p, ptrdiff_t by)
{
    return *p = GC_same_obj((char *)*p + by, *p);
}

void *GC_post_incr(void **p, ptrdiff_t by)
{
    void *old = *p;
    *p = GC_same_obj((char *)old + by, old);
    return old;
}

/* All memory but malloc's and mmap's is looked at; that a place is, is not worth a map of the process here. */
void *GC_is_visible(void *p)
{
    return p;
}

void *GC_is_valid_displacement(void *p)
{
    if (GC_is_heap_ptr(p) && !GC_base(p))
        GC_is_valid_displacement_print_proc(p);
    return p;
}

/* ---- settings that are remembered ---- */

#define SETTING(type, name, place) \
    void GC_set_##name(type value) \
    { \
        place = value; \
    } \
    type GC_get_##name(void) \
    { \
        return place; \
    }

SETTING(int, find_leak, GC_find_leak)
SETTING(int, dont_expand, GC_dont_expand)
SETTING(int, full_freq, GC_full_freq)
SETTING(int, no_dls, GC_no_dls)
SETTING(int, dont_precollect, GC_dont_precollect)
SETTING(GC_word, non_gc_bytes, GC_non_gc_bytes)
SETTING(GC_word, free_space_divisor, GC_free_space_divisor)
SETTING(GC_word, max_retries, GC_max_retries)
SETTING(unsigned long, time_limit, GC_time_limit)
SETTING(int, rate, control.rate)
SETTING(int, max_prior_attempts, control.max_prior_attempts)
SETTING(size_t, min_bytes_allocd, control.min_bytes_allocd)
SETTING(GC_word, allocd_bytes_per_finalizer, control.bytes_per_finalizer)
SETTING(int, pages_executable, control.pages_executable)
SETTING(int, manual_vdb_allowed, control.manual_vdb)
SETTING(int, force_unmap_on_gcollect, control.unmap_on_collect)

int GC_get_parallel(void)
{
    return GC_parallel;
}

void GC_set_markers_count(unsigned value)
{
    (void)value;
}

void GC_set_log_fd(int fd)
{
    (void)fd;
}
