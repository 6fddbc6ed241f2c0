/* naming.c - see naming.h. */
#include "libgeomem/event/naming.h"

#include <stddef.h>

#include "libgeomem/event/module.h"
#include "libgeomem/event/process.h"

static uint64_t name_pc(const struct gm_naming *name, uint32_t i)
{
    return name->frame_pc[(ptrdiff_t)i * name->step];
}

static uint64_t name_hash(const struct gm_naming *name, uint32_t i)
{
    return i < name->count ? name->frame_hash[(ptrdiff_t)i * name->step] : GM_STACK_ROOT;
}

/* Captures without the memo. */
static void stack_name_plain(
    struct gm_scope *scope, const struct gm_context *context, struct gm_naming *name)
{
    struct gm_thread *t = scope->thread;
    struct gm_capture *c = &t->capture[scope->level];
    uint64_t *hash = t->hash[scope->level], h = GM_STACK_ROOT;
    if (scope->level == 0)
        gm_unwind_capture(&t->unwind, context, c);
    else
        gm_walk_cfi(&t->unwind, context, c); /* the other ways are not re-entrant */
    if (c->cut)
        atomic_fetch_add_explicit(&scope->session->cut_stacks, 1, memory_order_relaxed);
    for (uint32_t i = c->count; i-- > 0;)
        hash[i] = h = gm_stack_hash(h, c->pc[i]);
    *name = (struct gm_naming){
        .hash = h, .frame_pc = c->pc, .frame_hash = hash, .step = 1, .count = c->count};
}

void gm_naming_from_memo(const struct gm_memo *m, struct gm_naming *name)
{
    const struct gm_memo_frame *leaf = &m->frame[m->count];
    *name = (struct gm_naming){.hash = leaf->hash,
        .frame_pc = &leaf->pc,
        .frame_hash = &leaf->hash,
        .step = -(ptrdiff_t)(sizeof *leaf / sizeof leaf->pc),
        .count = m->count};
}

static bool stack_name_memo(
    struct gm_scope *scope, const struct gm_context *context, struct gm_naming *name)
{
    struct gm_memo *m = &scope->thread->memo;
    if (scope->level > 0 || !gm_unwind_is_cfi())
        return false;
    uint64_t found = gm_memo_find(m, context);
    if (found && gm_seen_holds(scope->thread->seen[0], found) &&
        !(gm_process.flags & GM_SESSION_VERIFY)) {
        *name = (struct gm_naming){.hash = found};
        return true;
    }
    if (!gm_memo_capture(
            m, &scope->thread->unwind, context, gm_process.depth_leaf + gm_process.depth_root))
        return false;
    gm_naming_from_memo(m, name);
    name->found = found;
    return true;
}

/* --verify: the memo's two answers against the plain walk, and that against the oracle. */
static void name_verify(
    struct gm_scope *scope, const struct gm_context *context, const struct gm_naming *name)
{
    struct gm_session *s = scope->session;
    struct gm_naming plain;
    uint32_t index = 0;
    uintptr_t oracle_pc = 0;
    if (!gm_unwind_has_oracle())
        return; /* before libc is up, or where there is no libunwind */
    stack_name_plain(scope, context, &plain);
    bool same = plain.hash == name->hash && plain.count == name->count &&
                (name->found == 0 || name->found == name->hash) &&
                gm_unwind_verify(&scope->thread->unwind, context, &scope->thread->capture[0],
                    &index, &oracle_pc);
    atomic_fetch_add_explicit(&s->verify_captures, 1, memory_order_relaxed);
    if (!same)
        atomic_fetch_add_explicit(&s->verify_differences, 1, memory_order_relaxed);
}

static void stack_name(
    struct gm_scope *scope, const struct gm_context *context, struct gm_naming *name)
{
    if (__builtin_expect(gm_unwind_load_due(), 0) && scope->level == 0) {
        gm_thread_own_work(true);
        gm_unwind_load();
        gm_thread_own_work(false);
    }
    if (!stack_name_memo(scope, context, name))
        stack_name_plain(scope, context, name);
    if (__builtin_expect(gm_process.flags & GM_SESSION_VERIFY, 0) && scope->level == 0)
        name_verify(scope, context, name);
}

static bool modules_announce(struct gm_scope *scope, const struct gm_naming *name)
{
    for (uint32_t i = name->fresh; i-- > 0;) {
        uintptr_t pc = name_pc(name, i) & GM_PC_MASK;
        if (pc && !gm_module_announce(scope, pc - 1))
            return false;
    }
    return true;
}

void gm_naming_put(struct gm_scope *scope, const struct gm_naming *name)
{
    uint64_t *seen = scope->thread->seen[scope->level];
    for (uint32_t i = name->fresh; i-- > 0;) {
        uint64_t hash = name_hash(name, i);
        gm_producer_put(scope->producer, gm_rec_word0(GM_EV_STACK, 4, 0));
        gm_producer_put(scope->producer, hash);
        gm_producer_put(scope->producer, name_hash(name, i + 1));
        gm_producer_put(scope->producer, name_pc(name, i));
        gm_seen_note(seen, hash);
    }
}

bool gm_naming_prepare(struct gm_scope *scope, uint32_t words, struct gm_naming *name)
{
    const uint64_t *seen = scope->thread->seen[scope->level];
    while (name->fresh < name->count && !gm_seen_holds(seen, name_hash(name, name->fresh)))
        name->fresh++;
    if (name->fresh && !modules_announce(scope, name))
        return false;
    return gm_scope_reserve(scope, name->fresh * 4 + words);
}

bool gm_naming_capture(struct gm_scope *scope, const struct gm_context *context, uint32_t words,
    struct gm_naming *name)
{
    stack_name(scope, context, name);
    return gm_naming_prepare(scope, words, name);
}
