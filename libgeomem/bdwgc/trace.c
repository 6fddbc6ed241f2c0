/* trace.c - see trace.h. */
#include "libgeomem/bdwgc/trace.h"

#include "libgeomem/gc/world.h"

/* What a callback's pointers and ranges go to. One of the two is set. */
struct trace_sink {
    void (*keep)(void *pointer, void *arg);
    gm_roots_visitor *visit;
    void *arg;
};
static _Thread_local struct trace_sink trace_sink;

/* ---- mark procedures ---- */

struct trace_layout {
    struct geomem_layout layout;
    GC_mark_proc proc;
    GC_word environment;
};

/* The mark stack that a procedure sees is empty and stays so: what it pushes is taken over at once. */
static void trace_block(const struct geomem_layout *layout, void *block, size_t bytes,
    void (*keep)(void *pointer, void *arg), void *arg)
{
    static GC_word stack[8];
    const struct trace_layout *t = (const struct trace_layout *)layout;
    struct trace_sink outer = trace_sink;
    (void)bytes;
    trace_sink = (struct trace_sink){.keep = keep, .arg = arg};
    t->proc(block, (struct GC_ms_entry *)stack, (struct GC_ms_entry *)(stack + 8), t->environment);
    trace_sink = outer;
}

const struct geomem_layout *gm_bdwgc_trace_layout(GC_mark_proc proc, GC_word environment)
{
    struct trace_layout *t = proc ? geomem_calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->layout = (struct geomem_layout){.struct_bytes = sizeof t->layout, .trace = trace_block};
    t->proc = proc;
    t->environment = environment;
    return &t->layout;
}

struct GC_ms_entry *GC_mark_and_push(
    void *pointer, struct GC_ms_entry *top, struct GC_ms_entry *limit, void **source)
{
    (void)limit;
    (void)source;
    if (trace_sink.keep)
        trace_sink.keep(pointer, trace_sink.arg);
    else if (trace_sink.visit)
        trace_sink.visit(&pointer, sizeof pointer, trace_sink.arg);
    return top;
}

void GC_set_mark_bit(const void *block)
{
    GC_mark_and_push((void *)(uintptr_t)block, NULL, NULL, NULL);
}

/* Outside of a collection nothing is marked, and all there is counts as alive. */
int GC_is_marked(const void *block)
{
    return geomem_owns(block) != 0;
}

/* ---- roots that the client pushes ---- */

void GC_push_all(void *low, void *high)
{
    uintptr_t from = ((uintptr_t)low + 7) & ~(uintptr_t)7, to = (uintptr_t)high & ~(uintptr_t)7;
    if (to <= from)
        return;
    if (trace_sink.visit) {
        trace_sink.visit((const void *)from, to - from, trace_sink.arg);
        return;
    }
    for (; trace_sink.keep && from < to; from += 8)
        trace_sink.keep(*(void **)from, trace_sink.arg);
}

void GC_push_all_eager(void *low, void *high)
{
    GC_push_all(low, high);
}

void GC_push_conditional(void *low, void *high, int all)
{
    (void)all; /* what was written to is not known of memory that is not the heap's */
    GC_push_all(low, high);
}

void GC_push_finalizer_structures(void) {}

/* The default: nothing besides. */
static void push_nothing(void) {}
GM_BDWGC_API GC_push_other_roots_proc GC_push_other_roots = push_nothing;

static void roots_push(gm_roots_visitor *visit, void *arg)
{
    GC_push_other_roots_proc push = GC_push_other_roots;
    if (!push)
        return;
    struct trace_sink outer = trace_sink;
    trace_sink = (struct trace_sink){.visit = visit, .arg = arg};
    push();
    trace_sink = outer;
}

void gm_bdwgc_roots_start(void)
{
    gm_roots_callback(roots_push);
}

void GC_set_push_other_roots(GC_push_other_roots_proc proc)
{
    GC_push_other_roots = proc ? proc : push_nothing;
}

GC_push_other_roots_proc GC_get_push_other_roots(void)
{
    return GC_push_other_roots;
}

/* ---- ranges ---- */

void GC_add_roots(void *low, void *high)
{
    if ((uintptr_t)high > (uintptr_t)low &&
        geomem_add_roots(low, (size_t)((char *)high - (char *)low)) < 0)
        gm_bdwgc_out_of_memory(sizeof(void *) * 2);
}

void GC_remove_roots(void *low, void *high)
{
    if ((uintptr_t)high > (uintptr_t)low)
        geomem_remove_roots(low, (size_t)((char *)high - (char *)low));
}

void GC_clear_roots(void)
{
    geomem_remove_roots((void *)sizeof(void *), (size_t)PTRDIFF_MAX);
}

void GC_exclude_static_roots(void *low, void *high)
{
    if ((uintptr_t)high > (uintptr_t)low)
        geomem_exclude_roots(low, (size_t)((char *)high - (char *)low));
}

void GC_clear_exclusion_table(void) {}

/* All displacements are valid. */
void GC_register_displacement(size_t offset)
{
    (void)offset;
}

void GC_debug_register_displacement(size_t offset)
{
    (void)offset;
}
