/* finalize.c - finalizers and disappearing links.
 *
 * bdwgc runs finalizers inside allocation, on whichever thread of the program comes by, or when asked to; never on a thread
 * of its own. So libgeomem is told to notify instead of running them, and what comes of it is a flag that allocation
 * looks at, or a call of the client's notifier.
 *
 * Order: bdwgc's plain and _ignore_self finalizers wait for those of blocks that point to theirs, its _no_order do not.
 * libgeomem's ordered ones ignore a block's pointers to itself, which is what programs want and _ignore_self says; under the
 * plain form such a block would never be finalized.
 */
#include <errno.h>

#include "libgeomem/bdwgc/bdwgc.h"

_Atomic bool gm_bdwgc_finalizers_due;
static _Thread_local bool finalize_is_running; /* finalizers allocate too */

GM_BDWGC_API int GC_finalize_on_demand, GC_java_finalization;
GM_BDWGC_API GC_finalizer_notifier_proc GC_finalizer_notifier;

static void finalize_notify(void)
{
    atomic_store(&gm_bdwgc_finalizers_due, true);
    GC_finalizer_notifier_proc notifier = GC_finalizer_notifier;
    if (GC_finalize_on_demand && notifier)
        notifier();
}

void gm_bdwgc_finalizers_start(void)
{
    geomem_finalizers_notify(finalize_notify);
}

int GC_invoke_finalizers(void)
{
    atomic_store(&gm_bdwgc_finalizers_due, false);
    return (int)geomem_finalizers_run();
}

void gm_bdwgc_finalizers_run(void)
{
    if (GC_finalize_on_demand || finalize_is_running)
        return;
    finalize_is_running = true;
    GC_invoke_finalizers();
    finalize_is_running = false;
}

int GC_should_invoke_finalizers(void)
{
    return atomic_load(&gm_bdwgc_finalizers_due);
}

void GC_finalize_all(void)
{
    do
        geomem_gc(NULL, GEOMEM_OLD);
    while (GC_invoke_finalizers() > 0);
}

/* ---- registration ---- */

static void finalizer_set(void *block, GC_finalization_proc proc, void *data,
    enum geomem_finalizer_order order, GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    geomem_finalizer *old_proc = NULL;
    void *old_data = NULL;
    /* What is no collected block has no finalizer, says bdwgc's contract, and had none: -EINVAL. */
    if (geomem_finalizer_set(block, proc, data, order, &old_proc, &old_data) == -ENOMEM) {
        gm_bdwgc_out_of_memory(sizeof(void *) * 4);
        return;
    }
    if (ret_old_proc)
        *ret_old_proc = old_proc;
    if (ret_old_data)
        *ret_old_data = old_data;
}

void GC_register_finalizer(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    finalizer_set(block, proc, data, GEOMEM_FINALIZE_TOPOLOGICAL, ret_old_proc, ret_old_data);
}

void GC_register_finalizer_ignore_self(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    finalizer_set(block, proc, data, GEOMEM_FINALIZE_TOPOLOGICAL, ret_old_proc, ret_old_data);
}

void GC_register_finalizer_no_order(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    finalizer_set(block, proc, data, GEOMEM_FINALIZE_UNORDERED, ret_old_proc, ret_old_data);
}

/* Not before the block is out of reach of unordered finalizers: topological ones are looked at after those. */
void GC_register_finalizer_unreachable(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    finalizer_set(block, proc, data, GEOMEM_FINALIZE_TOPOLOGICAL, ret_old_proc, ret_old_data);
}

void GC_debug_register_finalizer(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    GC_register_finalizer(block, proc, data, ret_old_proc, ret_old_data);
}

void GC_debug_register_finalizer_ignore_self(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    GC_register_finalizer_ignore_self(block, proc, data, ret_old_proc, ret_old_data);
}

void GC_debug_register_finalizer_no_order(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    GC_register_finalizer_no_order(block, proc, data, ret_old_proc, ret_old_data);
}

void GC_debug_register_finalizer_unreachable(void *block, GC_finalization_proc proc, void *data,
    GC_finalization_proc *ret_old_proc, void **ret_old_data)
{
    GC_register_finalizer_unreachable(block, proc, data, ret_old_proc, ret_old_data);
}

/* ---- disappearing links ---- */

static int link_set(void **link, const void *block, int survives_finalizer)
{
    int was_there = geomem_weak_unlink(link) == 0;
    int failed = geomem_weak_link(link, (void *)(uintptr_t)block, survives_finalizer);
    if (failed == -ENOMEM) {
        gm_bdwgc_out_of_memory(sizeof(void *) * 4);
        return GC_NO_MEMORY;
    }
    return was_there ? GC_DUPLICATE : GC_SUCCESS;
}

int GC_general_register_disappearing_link(void **link, const void *block)
{
    return link_set(link, block, 0);
}

int GC_register_disappearing_link(void **link)
{
    void *base = GC_base(link);
    return base ? link_set(link, base, 0) : GC_UNIMPLEMENTED;
}

static int link_move(void **link, void **new_link)
{
    switch (geomem_weak_move(link, new_link)) {
    case 0:
        return GC_SUCCESS;
    case -EEXIST:
        return GC_DUPLICATE;
    default:
        return GC_NOT_FOUND;
    }
}

int GC_move_disappearing_link(void **link, void **new_link)
{
    return link_move(link, new_link);
}

int GC_move_long_link(void **link, void **new_link)
{
    return link_move(link, new_link);
}

int GC_unregister_disappearing_link(void **link)
{
    return geomem_weak_unlink(link) == 0;
}

int GC_register_long_link(void **link, const void *block)
{
    return link_set(link, block, 1);
}

int GC_unregister_long_link(void **link)
{
    return geomem_weak_unlink(link) == 0;
}

/* ---- settings ---- */

void GC_set_finalize_on_demand(int value)
{
    GC_finalize_on_demand = value;
}

int GC_get_finalize_on_demand(void)
{
    return GC_finalize_on_demand;
}

void GC_set_java_finalization(int value)
{
    GC_java_finalization = value;
}

int GC_get_java_finalization(void)
{
    return GC_java_finalization;
}

void GC_set_finalizer_notifier(GC_finalizer_notifier_proc proc)
{
    GC_finalizer_notifier = proc;
}

GC_finalizer_notifier_proc GC_get_finalizer_notifier(void)
{
    return GC_finalizer_notifier;
}
