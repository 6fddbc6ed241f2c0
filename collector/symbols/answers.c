/* answers.c - what workers say and how they end: see queues.h and protocol.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "collector/symbols/queues.h"

/* Workers that may die without having begun with a module before we stop starting new ones. */
#define MAX_IDLE_DEATHS 8

static void frame_answer(struct gm_symbols *s, const struct gm_symbols_handler *handler,
    uint32_t frame_id, const struct gm_symbols_line *lines, size_t count)
{
    s->pending--;
    s->answered++;
    handler->frame(handler->context, frame_id, lines, count);
}

static void source_tell(struct gm_symbols *s, const struct gm_symbols_handler *handler,
    uint32_t module_id, enum gm_symbols_source source)
{
    struct module *module = s->modules[module_id];
    if (module->source == (int)source)
        return;
    module->source = (int)source;
    handler->module(handler->context, module_id, source);
}

/* The end of a module that killed its worker: everything asked of it stays without a name. */
void gm_symbols_give_up(
    struct gm_symbols *s, const struct gm_symbols_handler *handler, uint32_t module_id)
{
    struct module *module = s->modules[module_id];
    source_tell(s, handler, module_id, GM_SYMBOLS_NONE);
    while (module->first < module->end)
        frame_answer(s, handler, module->queue[module->first++].frame_id, NULL, 0);
}

static void slot_release(struct gm_symbols *s, struct slot *slot)
{
    if (slot->module_id)
        s->modules[slot->module_id]->busy = false;
    slot->module_id = 0;
    slot->begun = false;
    slot->batch_count = slot->batch_left = 0;
}

static int message_source(struct gm_symbols *s, struct slot *slot,
    const struct gm_symbols_handler *handler, struct gm_symmsg_reader *reader)
{
    uint32_t source = gm_symmsg_get_u32(reader);
    if (!gm_symmsg_complete(reader) || source > GM_SYMBOLS_DEBUG)
        return -EBADMSG;
    source_tell(s, handler, slot->module_id, (enum gm_symbols_source)source);
    return 0;
}

static int message_frame(struct gm_symbols *s, struct slot *slot,
    const struct gm_symbols_handler *handler, struct gm_symmsg_reader *reader)
{
    struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES];
    uint32_t index = gm_symmsg_get_u32(reader), count = gm_symmsg_get_u32(reader);
    if (index >= slot->batch_count || slot->answered[index] || count > GM_SYMBOLS_MAX_LINES)
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++) {
        lines[i].line = gm_symmsg_get_u32(reader);
        lines[i].function = gm_symmsg_get_text(reader, GM_SYMBOLS_MAX_NAME);
        lines[i].file = gm_symmsg_get_text(reader, GM_SYMBOLS_MAX_NAME);
        if (!*lines[i].function)
            lines[i].function = NULL;
        if (!*lines[i].file)
            lines[i].file = NULL;
    }
    if (!gm_symmsg_complete(reader))
        return -EBADMSG;
    slot->answered[index] = true;
    frame_answer(s, handler, slot->batch[index].frame_id, lines, count);
    if (--slot->batch_left == 0)
        slot_release(s, slot);
    return 0;
}

static int message_take(struct gm_symbols *s, struct slot *slot,
    const struct gm_symbols_handler *handler, uint32_t kind, struct gm_symmsg_reader *reader)
{
    if (!slot->greeted) {
        bool hello = kind == GM_SYMMSG_HELLO && gm_symmsg_get_u32(reader) == GM_SYMMSG_VERSION;
        slot->greeted = hello && gm_symmsg_complete(reader);
        return slot->greeted ? 0 : -EBADMSG;
    }
    if (kind == GM_SYMMSG_BEGIN && slot->module_id && gm_symmsg_complete(reader)) {
        slot->begun = true;
        return 0;
    }
    if (!slot->begun)
        return -EBADMSG;
    if (kind == GM_SYMMSG_SOURCE)
        return message_source(s, slot, handler, reader);
    if (kind == GM_SYMMSG_FRAME)
        return message_frame(s, slot, handler, reader);
    return -EBADMSG;
}

static int slot_collect(
    struct gm_symbols *s, struct slot *slot, const struct gm_symbols_handler *handler)
{
    uint32_t kind;
    struct gm_symmsg_reader reader;
    int received = gm_symworker_receive(&slot->process), r;
    while ((r = gm_symmsg_next(&slot->process.in, &kind, &reader)) > 0) {
        r = message_take(s, slot, handler, kind, &reader);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : received;
}

void gm_symbols_fail(struct gm_symbols *s, int error, const char *what)
{
    s->failed = error;
    snprintf(s->message, sizeof s->message, "no symbols: %s %s", s->worker_path, what);
}

/* Takes unanswered work back from a worker that did nothing wrong. */
void gm_symbols_recall(struct gm_symbols *s, struct slot *slot)
{
    for (size_t i = 0; i < slot->batch_count; i++) {
        const struct request *q = &slot->batch[i];
        s->pending -= !slot->answered[i];
        if (!slot->answered[i] &&
            gm_symbols_request(s, q->frame_id, slot->module_id, q->address, q->exact_pc) < 0)
            gm_symbols_fail(s, -ENOMEM, "lost work: out of memory");
    }
    slot_release(s, slot);
}

/* The module a worker was reading when it died is not tried again. */
static void slot_blame(
    struct gm_symbols *s, struct slot *slot, int status, const struct gm_symbols_handler *handler)
{
    uint32_t module_id = slot->module_id;
    bool killed = WIFSIGNALED(status);
    s->modules[module_id]->dead = true;
    snprintf(s->message, sizeof s->message, "no symbols for %s: reading it ended with %s %d",
        s->modules[module_id]->path, killed ? "signal" : "status",
        killed ? WTERMSIG(status) : WEXITSTATUS(status));
    for (size_t i = 0; i < slot->batch_count; i++)
        if (!slot->answered[i])
            frame_answer(s, handler, slot->batch[i].frame_id, NULL, 0);
    slot_release(s, slot);
    gm_symbols_give_up(s, handler, module_id);
}

static void slot_bury(
    struct gm_symbols *s, struct slot *slot, const struct gm_symbols_handler *handler)
{
    int status = gm_symworker_stop(&slot->process);
    s->buried = true;
    if (slot->begun) {
        slot_blame(s, slot, status, handler);
        return;
    }
    /* It died before it took up its work, if it had any. */
    gm_symbols_recall(s, slot);
    if (!slot->greeted) {
        char what[64];
        snprintf(what, sizeof what, "ended at its start (wait status 0x%x)", (unsigned)status);
        gm_symbols_fail(s, -EIO, what);
    } else if (++s->idle_deaths > MAX_IDLE_DEATHS) {
        gm_symbols_fail(s, -EIO, "keeps ending without work");
    }
}

/* Sends and receives with every worker. */
void gm_symbols_serve(struct gm_symbols *s, const struct gm_symbols_handler *handler)
{
    for (unsigned i = 0; i < s->slot_count; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->process.pid)
            continue;
        /* What a worker said before it died still counts; so its death is told by receiving alone.
         */
        gm_symworker_send(&slot->process);
        if (slot_collect(s, slot, handler) < 0)
            slot_bury(s, slot, handler);
    }
}
