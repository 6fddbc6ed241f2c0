/* geomem/bdwgc.h - for programs written for the Boehm-Demers-Weiser collector: its names, on libgeomem.
 *
 * A program that was compiled against bdwgc's own headers needs none of this: it runs on libgeomem when the folder of
 * our libgc.so.1 (lib/geomem/bdwgc) stands in LD_LIBRARY_PATH. This header is for compiling such a program anew
 * without bdwgc installed: include it instead of gc.h, gc_mark.h, gc_typed.h, gc_inline.h and gc_gcj.h, and link with
 * that library. Names, types and values are those of bdwgc 8.2.
 *
 * What differs:
 *  - Collections are generational and mostly concurrent without being asked; GC_enable_incremental changes nothing.
 *  - Pointers into the middle of a block always keep it, also after GC_set_all_interior_pointers(0) (then no byte is
 *    added for pointers one past the end). Displacements need no registration.
 *  - The globals of all modules and the thread-local storage of all threads are roots, also after GC_set_no_dls(1)
 *    and GC_clear_roots(); the latter forgets what GC_add_roots has added.
 *  - Threads are known without GC_register_my_thread, and however they were made.
 *  - Finalizers run inside GC_ functions of the program's threads, as with bdwgc, unless GC_finalize_on_demand.
 *  - GC_debug_ forms allocate without a header: overwrites are for Memcheck and AddressSanitizer to find, sites for
 *    geomem-record.
 *  - What tunes bdwgc's own heap (free space divisor, expansion, incremental time limits, ...) is remembered and
 *    answered, and has no other effect: the heap sizes itself.
 * Functions keep bdwgc's contract; the words here are a reminder. None is async-signal-safe.
 */
#ifndef GEOMEM_BDWGC_H
#define GEOMEM_BDWGC_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef unsigned long GC_word;
typedef long GC_signed_word;

#define GC_VERSION_MAJOR 8
#define GC_VERSION_MINOR 2
#define GC_VERSION_MICRO 2
/* major << 16 | minor << 8 | micro of the bdwgc whose interface this is */
unsigned GC_get_version(void);

/* ---- start and end ---- */
void GC_init(void);
int GC_is_init_called(void);
void GC_deinit(void);
#define GC_INIT() GC_init()

/* ---- allocation ---- */
/* Zeroed, scanned for pointers; _atomic: neither. _uncollectable: lives until GC_free, scanned as a root. */
void *GC_malloc(size_t bytes);
void *GC_malloc_atomic(size_t bytes);
void *GC_malloc_uncollectable(size_t bytes);
void *GC_malloc_atomic_uncollectable(size_t bytes);
void *GC_malloc_stubborn(size_t bytes);
void *GC_malloc_ignore_off_page(size_t bytes);
void *GC_malloc_atomic_ignore_off_page(size_t bytes);
/* A list of blocks, linked by their first words. */
void *GC_malloc_many(size_t bytes);
#define GC_NEXT(p) (*(void **)(p))
char *GC_strdup(const char *string);
char *GC_strndup(const char *string, size_t bytes);
void *GC_memalign(size_t alignment, size_t bytes);
int GC_posix_memalign(void **ret_block, size_t alignment, size_t bytes);
void *GC_realloc(void *block, size_t bytes);
void GC_free(void *block);
/* The beginning of the block that the address lies in, or NULL. */
void *GC_base(void *address);
size_t GC_size(const void *block);
int GC_is_heap_ptr(const void *address);

/* Kinds: 0 atomic, 1 normal, 2 uncollectable, 3 atomic uncollectable, and those of GC_new_kind. */
void *GC_generic_malloc(size_t bytes, int kind);
void *GC_generic_malloc_ignore_off_page(size_t bytes, int kind);
void *GC_generic_malloc_uncollectable(size_t bytes, int kind);
void *GC_generic_or_special_malloc(size_t bytes, int kind);
void GC_generic_malloc_many(size_t bytes, int kind, void **ret_list);
void *GC_malloc_kind(size_t bytes, int kind);
void *GC_malloc_kind_global(size_t bytes, int kind);
int GC_get_kind_and_size(const void *block, size_t *ret_bytes);

/* ---- the debug forms ---- */
void *GC_debug_malloc(size_t bytes, const char *file, int line);
void *GC_debug_malloc_atomic(size_t bytes, const char *file, int line);
void *GC_debug_malloc_uncollectable(size_t bytes, const char *file, int line);
void *GC_debug_malloc_atomic_uncollectable(size_t bytes, const char *file, int line);
void *GC_debug_malloc_stubborn(size_t bytes, const char *file, int line);
void *GC_debug_malloc_ignore_off_page(size_t bytes, const char *file, int line);
void *GC_debug_malloc_atomic_ignore_off_page(size_t bytes, const char *file, int line);
char *GC_debug_strdup(const char *string, const char *file, int line);
char *GC_debug_strndup(const char *string, size_t bytes, const char *file, int line);
void *GC_debug_realloc(void *block, size_t bytes, const char *file, int line);
void *GC_debug_malloc_replacement(size_t bytes);
void *GC_debug_realloc_replacement(void *block, size_t bytes);
void GC_debug_free(void *block);
void *GC_debug_generic_or_special_malloc(size_t bytes, int kind, const char *file, int line);
size_t GC_get_debug_header_size(void); /* 0 */

#define GC_MALLOC(bytes) GC_malloc(bytes)
#define GC_MALLOC_ATOMIC(bytes) GC_malloc_atomic(bytes)
#define GC_MALLOC_UNCOLLECTABLE(bytes) GC_malloc_uncollectable(bytes)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(bytes) GC_malloc_atomic_uncollectable(bytes)
#define GC_MALLOC_IGNORE_OFF_PAGE(bytes) GC_malloc_ignore_off_page(bytes)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(bytes) GC_malloc_atomic_ignore_off_page(bytes)
#define GC_MALLOC_STUBBORN(bytes) GC_malloc(bytes)
#define GC_STRDUP(string) GC_strdup(string)
#define GC_STRNDUP(string, bytes) GC_strndup(string, bytes)
#define GC_REALLOC(block, bytes) GC_realloc(block, bytes)
#define GC_FREE(block) GC_free(block)
#define GC_NEW(type) ((type *)GC_malloc(sizeof(type)))
#define GC_NEW_ATOMIC(type) ((type *)GC_malloc_atomic(sizeof(type)))
#define GC_NEW_UNCOLLECTABLE(type) ((type *)GC_malloc_uncollectable(sizeof(type)))

/* ---- writes: no barrier is needed ---- */
void GC_change_stubborn(const void *block);
void GC_end_stubborn_change(const void *block);
void GC_debug_change_stubborn(const void *block);
void GC_debug_end_stubborn_change(const void *block);
void GC_ptr_store_and_dirty(void *slot, const void *value);
void GC_debug_ptr_store_and_dirty(void *slot, const void *value);
#define GC_PTR_STORE_AND_DIRTY(slot, value) GC_ptr_store_and_dirty(slot, value)
#define GC_END_STUBBORN_CHANGE(block) GC_end_stubborn_change(block)
#define GC_reachable_here(pointer) __asm__ __volatile__(" " : : "X"(pointer) : "memory")
void GC_noop1(GC_word value);

/* ---- typed blocks ---- */
typedef GC_word *GC_bitmap;
typedef GC_word GC_descr;
#define GC_WORDSZ (8 * sizeof(GC_word))
#define GC_get_bit(map, index) (((map)[(index) / GC_WORDSZ] >> ((index) % GC_WORDSZ)) & 1)
#define GC_set_bit(map, index) ((map)[(index) / GC_WORDSZ] |= (GC_word)1 << ((index) % GC_WORDSZ))
#define GC_WORD_OFFSET(type, field) (offsetof(type, field) / sizeof(GC_word))
#define GC_WORD_LEN(type) (sizeof(type) / sizeof(GC_word))
#define GC_BITMAP_SIZE(type) ((GC_WORD_LEN(type) + GC_WORDSZ - 1) / GC_WORDSZ)
GC_descr GC_make_descriptor(const GC_word *map, size_t bits);
void *GC_malloc_explicitly_typed(size_t bytes, GC_descr descriptor);
void *GC_malloc_explicitly_typed_ignore_off_page(size_t bytes, GC_descr descriptor);
void *GC_calloc_explicitly_typed(size_t count, size_t bytes, GC_descr descriptor);
#define GC_MALLOC_EXPLICITLY_TYPED(bytes, d) GC_malloc_explicitly_typed(bytes, d)
#define GC_CALLOC_EXPLICITLY_TYPED(count, bytes, d) GC_calloc_explicitly_typed(count, bytes, d)

void GC_init_gcj_malloc(int proc_index, void *mark_proc);
void *GC_gcj_malloc(size_t bytes, void *type);
void *GC_gcj_malloc_ignore_off_page(size_t bytes, void *type);
void *GC_debug_gcj_malloc(size_t bytes, void *type, const char *file, int line);
extern int GC_gcj_kind, GC_gcj_debug_kind;

/* ---- kinds with a mark procedure of their own ---- */
struct GC_ms_entry;
typedef struct GC_ms_entry *(*GC_mark_proc)(
    GC_word *block, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word environment);
#define GC_LOG_MAX_MARK_PROCS 6
#define GC_MAX_MARK_PROCS (1 << GC_LOG_MAX_MARK_PROCS)
#define GC_RESERVED_MARK_PROCS 8
#define GC_GCJ_RESERVED_MARK_PROC_INDEX 0
#define GC_DS_TAG_BITS 2
#define GC_DS_TAGS ((1 << GC_DS_TAG_BITS) - 1)
#define GC_DS_LENGTH 0
#define GC_DS_BITMAP 1
#define GC_DS_PROC 2
#define GC_DS_PER_OBJECT 3
#define GC_INDIR_PER_OBJ_BIAS 0x10
#define GC_MAKE_PROC(index, environment) \
    (((((environment) << GC_LOG_MAX_MARK_PROCS) | (index)) << GC_DS_TAG_BITS) | GC_DS_PROC)
extern void *GC_least_plausible_heap_addr, *GC_greatest_plausible_heap_addr;
struct GC_ms_entry *GC_mark_and_push(
    void *pointer, struct GC_ms_entry *top, struct GC_ms_entry *limit, void **source);
#define GC_MARK_AND_PUSH(pointer, top, limit, source) \
    ((GC_word)(pointer) >= (GC_word)GC_least_plausible_heap_addr && \
                (GC_word)(pointer) <= (GC_word)GC_greatest_plausible_heap_addr \
            ? GC_mark_and_push(pointer, top, limit, source) \
            : (top))
void **GC_new_free_list(void);
void **GC_new_free_list_inner(void);
unsigned GC_new_kind(void **free_list, GC_word descriptor, int add_size, int clear);
unsigned GC_new_kind_inner(void **free_list, GC_word descriptor, int add_size, int clear);
unsigned GC_new_proc(GC_mark_proc proc);
unsigned GC_new_proc_inner(GC_mark_proc proc);
int GC_is_marked(const void *block);
void GC_set_mark_bit(const void *block);

/* ---- roots; high addresses are one past the end ---- */
void GC_add_roots(void *low, void *high);
void GC_remove_roots(void *low, void *high);
void GC_clear_roots(void);
void GC_exclude_static_roots(void *low, void *high);
void GC_clear_exclusion_table(void);
void GC_register_displacement(size_t offset);
void GC_debug_register_displacement(size_t offset);
#define GC_REGISTER_DISPLACEMENT(offset) GC_register_displacement(offset)
/* Called while the world is stopped; may call the GC_push_ functions and nothing else. */
typedef void (*GC_push_other_roots_proc)(void);
extern GC_push_other_roots_proc GC_push_other_roots;
void GC_set_push_other_roots(GC_push_other_roots_proc proc);
GC_push_other_roots_proc GC_get_push_other_roots(void);
void GC_push_all(void *low, void *high);
void GC_push_all_eager(void *low, void *high);
void GC_push_conditional(void *low, void *high, int all);
void GC_push_finalizer_structures(void);

/* ---- finalizers, weak links ---- */
#define GC_SUCCESS 0
#define GC_DUPLICATE 1
#define GC_NO_MEMORY 2
#define GC_NO_THREADS 2
#define GC_UNIMPLEMENTED 3
#define GC_NOT_FOUND 4
typedef void (*GC_finalization_proc)(void *block, void *data);
void GC_register_finalizer(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_register_finalizer_ignore_self(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_register_finalizer_no_order(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_register_finalizer_unreachable(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_debug_register_finalizer(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_debug_register_finalizer_ignore_self(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_debug_register_finalizer_no_order(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
void GC_debug_register_finalizer_unreachable(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data);
#define GC_REGISTER_FINALIZER GC_register_finalizer
#define GC_REGISTER_FINALIZER_IGNORE_SELF GC_register_finalizer_ignore_self
#define GC_REGISTER_FINALIZER_NO_ORDER GC_register_finalizer_no_order
#define GC_REGISTER_FINALIZER_UNREACHABLE GC_register_finalizer_unreachable
int GC_should_invoke_finalizers(void);
int GC_invoke_finalizers(void);
void GC_finalize_all(void);

int GC_register_disappearing_link(void **link);
int GC_general_register_disappearing_link(void **link, const void *block);
int GC_move_disappearing_link(void **link, void **new_link);
int GC_unregister_disappearing_link(void **link);
int GC_register_long_link(void **link, const void *block);
int GC_move_long_link(void **link, void **new_link);
int GC_unregister_long_link(void **link);
typedef GC_word GC_hidden_pointer;
#define GC_HIDE_POINTER(pointer) (~(GC_hidden_pointer)(pointer))
#define GC_REVEAL_POINTER(pointer) ((void *)GC_HIDE_POINTER(pointer))

/* ---- collections ---- */
typedef int (*GC_stop_func)(void);
void GC_gcollect(void);
void GC_gcollect_and_unmap(void);
int GC_try_to_collect(GC_stop_func stop);
int GC_collect_a_little(void);
void GC_start_incremental_collection(void);
void GC_enable_incremental(void);
int GC_is_incremental_mode(void);
int GC_incremental_protection_needs(void); /* 0: writes never fail, and are never signalled */
void GC_enable(void);
void GC_disable(void);
int GC_is_disabled(void);
extern int GC_dont_gc;
extern GC_word GC_gc_no; /* as of the last GC_ call that told of collections */
GC_word GC_get_gc_no(void);

/* ---- what there is ---- */
size_t GC_get_heap_size(void);
size_t GC_get_free_bytes(void);
size_t GC_get_unmapped_bytes(void);
size_t GC_get_bytes_since_gc(void);
size_t GC_get_expl_freed_bytes_since_gc(void);
size_t GC_get_total_bytes(void);
size_t GC_get_obtained_from_os_bytes(void);
size_t GC_get_memory_use(void);
void GC_get_heap_usage_safe(GC_word *ret_heap_size, GC_word *ret_free_bytes,
    GC_word *ret_unmapped_bytes, GC_word *ret_bytes_since_gc, GC_word *ret_total_bytes);
struct GC_prof_stats_s {
    GC_word heapsize_full, free_bytes_full, unmapped_bytes, bytes_allocd_since_gc;
    GC_word allocd_bytes_before_gc, non_gc_bytes, gc_no, markers_m1;
    GC_word bytes_reclaimed_since_gc, reclaimed_bytes_before_gc;
    GC_word expl_freed_bytes_since_gc, obtained_from_os_bytes;
};
size_t GC_get_prof_stats(struct GC_prof_stats_s *ret_stats, size_t bytes);
size_t GC_get_prof_stats_unsafe(struct GC_prof_stats_s *ret_stats, size_t bytes);
void GC_start_performance_measurement(void);
unsigned long GC_get_full_gc_total_time(void);
void GC_dump(void);
void GC_dump_named(const char *name);

/* ---- callbacks ---- */
typedef void *(*GC_oom_func)(size_t bytes);
extern GC_oom_func GC_oom_fn;
void GC_set_oom_fn(GC_oom_func function);
GC_oom_func GC_get_oom_fn(void);
void GC_abort_on_oom(void);
typedef void (*GC_warn_proc)(char *format, GC_word argument);
void GC_set_warn_proc(GC_warn_proc proc);
GC_warn_proc GC_get_warn_proc(void);
void GC_ignore_warn_proc(char *format, GC_word argument);
typedef void (*GC_abort_func)(const char *text);
void GC_set_abort_func(GC_abort_func function);
GC_abort_func GC_get_abort_func(void);
typedef void (*GC_finalizer_notifier_proc)(void);
extern GC_finalizer_notifier_proc GC_finalizer_notifier;
void GC_set_finalizer_notifier(GC_finalizer_notifier_proc proc);
GC_finalizer_notifier_proc GC_get_finalizer_notifier(void);
/* At the beginning of each collection, on the thread that collects. */
typedef void (*GC_start_callback_proc)(void);
void GC_set_start_callback(GC_start_callback_proc proc);
GC_start_callback_proc GC_get_start_callback(void);
typedef enum {
    GC_EVENT_START,
    GC_EVENT_MARK_START,
    GC_EVENT_MARK_END,
    GC_EVENT_RECLAIM_START,
    GC_EVENT_RECLAIM_END,
    GC_EVENT_END,
    GC_EVENT_PRE_STOP_WORLD,
    GC_EVENT_POST_STOP_WORLD,
    GC_EVENT_PRE_START_WORLD,
    GC_EVENT_POST_START_WORLD,
    GC_EVENT_THREAD_SUSPENDED,
    GC_EVENT_THREAD_UNSUSPENDED
} GC_EventType;
/* GC_EVENT_START and GC_EVENT_END only. */
typedef void (*GC_on_collection_event_proc)(GC_EventType event);
void GC_set_on_collection_event(GC_on_collection_event_proc proc);
GC_on_collection_event_proc GC_get_on_collection_event(void);
typedef void (*GC_on_heap_resize_proc)(GC_word bytes);
extern GC_on_heap_resize_proc GC_on_heap_resize;
void GC_set_on_heap_resize(GC_on_heap_resize_proc proc);
GC_on_heap_resize_proc GC_get_on_heap_resize(void);

/* ---- threads ---- */
struct GC_stack_base {
    void *mem_base;
};
typedef void *(*GC_fn_type)(void *data);
typedef void *(*GC_stack_base_func)(struct GC_stack_base *base, void *data);
/* While the lock is held no collection begins or ends. Not to be taken twice; no allocation inside. */
void GC_alloc_lock(void);
void GC_alloc_unlock(void);
void *GC_call_with_alloc_lock(GC_fn_type function, void *data);
void *GC_call_with_stack_base(GC_stack_base_func function, void *data);
int GC_get_stack_base(struct GC_stack_base *ret_base);
void *GC_get_my_stackbottom(struct GC_stack_base *ret_base);
void GC_set_stackbottom(void *thread, const struct GC_stack_base *base);
extern char *GC_stackbottom;
void GC_allow_register_threads(void);
int GC_register_my_thread(const struct GC_stack_base *base);
int GC_unregister_my_thread(void);
int GC_thread_is_registered(void);
void GC_register_altstack(void *stack, GC_word stack_bytes, void *altstack, GC_word altstack_bytes);
void *GC_do_blocking(GC_fn_type function, void *data);
void *GC_call_with_gc_active(GC_fn_type function, void *data);
void GC_start_mark_threads(void);
void GC_set_suspend_signal(int signal);
void GC_set_thr_restart_signal(int signal);
int GC_get_suspend_signal(void);
int GC_get_thr_restart_signal(void);
int GC_pthread_create(
    pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*start)(void *), void *data);
int GC_pthread_join(pthread_t thread, void **ret_value);
int GC_pthread_detach(pthread_t thread);
int GC_pthread_cancel(pthread_t thread);
void GC_pthread_exit(void *value) __attribute__((noreturn));
#ifdef __sigset_t_defined
int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old);
#endif
void *GC_dlopen(const char *path, int mode);
void GC_set_handle_fork(int value);
void GC_atfork_prepare(void);
void GC_atfork_parent(void);
void GC_atfork_child(void);

/* ---- checks of pointers ---- */
void *GC_same_obj(void *p, void *q);
void *GC_pre_incr(void **p, ptrdiff_t by);
void *GC_post_incr(void **p, ptrdiff_t by);
void *GC_is_visible(void *p);
void *GC_is_valid_displacement(void *p);
extern void (*GC_same_obj_print_proc)(void *p, void *q);
extern void (*GC_is_valid_displacement_print_proc)(void *p);
extern void (*GC_is_visible_print_proc)(void *p);
void *GC_clear_stack(void *value);

/* ---- settings: remembered; those marked * have an effect ---- */
extern int GC_all_interior_pointers; /* * before GC_init */
void GC_set_all_interior_pointers(int value);
int GC_get_all_interior_pointers(void);
extern int GC_finalize_on_demand; /* * */
void GC_set_finalize_on_demand(int value);
int GC_get_finalize_on_demand(void);
extern int GC_java_finalization; /* (_no_order finalizers behave as if it were set) */
void GC_set_java_finalization(int value);
int GC_get_java_finalization(void);
void GC_set_max_heap_size(GC_word bytes);
int GC_expand_hp(size_t bytes); /* 1 */
extern int GC_find_leak, GC_parallel, GC_dont_expand, GC_use_entire_heap, GC_full_freq, GC_no_dls;
extern int GC_dont_precollect;
extern GC_word GC_non_gc_bytes, GC_free_space_divisor, GC_max_retries;
extern unsigned long GC_time_limit;
#define GC_TIME_UNLIMITED 999999
void GC_set_find_leak(int value);
int GC_get_find_leak(void);
int GC_get_parallel(void);
void GC_set_markers_count(unsigned value);
void GC_set_dont_expand(int value);
int GC_get_dont_expand(void);
void GC_set_full_freq(int value);
int GC_get_full_freq(void);
void GC_set_no_dls(int value);
int GC_get_no_dls(void);
void GC_set_dont_precollect(int value);
int GC_get_dont_precollect(void);
void GC_set_non_gc_bytes(GC_word value);
GC_word GC_get_non_gc_bytes(void);
void GC_set_free_space_divisor(GC_word value);
GC_word GC_get_free_space_divisor(void);
void GC_set_max_retries(GC_word value);
GC_word GC_get_max_retries(void);
void GC_set_time_limit(unsigned long value);
unsigned long GC_get_time_limit(void);
void GC_set_rate(int value);
int GC_get_rate(void);
void GC_set_max_prior_attempts(int value);
int GC_get_max_prior_attempts(void);
void GC_set_min_bytes_allocd(size_t value);
size_t GC_get_min_bytes_allocd(void);
void GC_set_allocd_bytes_per_finalizer(GC_word value);
GC_word GC_get_allocd_bytes_per_finalizer(void);
void GC_set_pages_executable(int value);
int GC_get_pages_executable(void);
void GC_set_disable_automatic_collection(int value); /* * */
int GC_get_disable_automatic_collection(void);
void GC_set_force_unmap_on_gcollect(int value); /* * */
int GC_get_force_unmap_on_gcollect(void);
void GC_set_manual_vdb_allowed(int value);
int GC_get_manual_vdb_allowed(void);
void GC_set_stop_func(GC_stop_func function);
GC_stop_func GC_get_stop_func(void);
void GC_set_log_fd(int fd);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
