/* thread.h - what a thread of the target keeps for recording, and how it gets at a ring.
 *
 * A thread's state (caches of the walk, names already sent, capture buffers) is private memory taken from a
 * pool at its first event and given back when it ends; with it goes a ring of the session, as long as there
 * are free ones. Threads without a ring of their own take turns on the session's overflow ring.
 *
 * A hook that interrupts a hook of the same thread (a signal handler that allocates) is "nested": it uses
 * its own capture buffer and the session's nested ring, and touches nothing half-written.
 */
#ifndef GM_EVENT_THREAD_H
#define GM_EVENT_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/base/clock.h"
#include "libgeomem/event/nursery.h"
#include "libgeomem/ring/ring.h"
#include "libgeomem/unwind/memo.h"
#include "libgeomem/unwind/unwind.h"

/* Names of stacks known to be sent: pairs of places, 256 KiB. Measured with bench/pair's tree, 16,382 names: half of it
 * sends three of five names again, twice gains less than its cache misses cost. */
#define GM_SEEN 32768
#define GM_ANNOUNCED 256 /* modules known to be sent, by start address */
#define GM_NO_RING UINT32_MAX

struct gm_thread {
    struct gm_producer producer; /* of the own ring */
    uint32_t ring;               /* index of the own ring, or GM_NO_RING */
    int32_t tid;
    uint64_t session_id;     /* which the above belong to */
    uint64_t own_session_id; /* the same while the thread has a ring of its own, else 0 */
    uint32_t epoch[2];       /* gm_image.epoch at which the caches were last emptied, by level */
    uint32_t overflow_uses;
    bool overrun;              /* waited in vain: no waiting until the ring is half empty */
    bool started;              /* a THREAD_START was sent */
    uint64_t last_stamp;       /* of the own ring */
    uint32_t coarse_stamps;    /* taken from the recorder\'s clock */
    struct gm_nursery nursery; /* of the own ring */
    /* What was sent, by level: a nested hook cannot tell what the one it interrupted has published. */
    uint64_t seen[2][GM_SEEN];
    uint64_t announced[2][GM_ANNOUNCED];
    struct gm_unwind unwind;
    struct gm_memo memo;
    struct gm_capture capture[2]; /* [1]: for a nested hook */
    uint64_t hash[2][GM_CAPTURE_MAX + 1];
    uint64_t scratch[2][256]; /* for building a MODULE record */
};

/* What every thread has, whether it records or not. */
struct gm_thread_local {
    struct gm_thread *state;
    /* Where the scopes of the hooks lie that were entered and not left; 0: none. One store enters a hook, so that a
     * handler finds either all of it or nothing. */
    _Atomic uintptr_t entered_at[2];
    uint8_t ending; /* rounds of key destructors seen */
    bool ended;     /* past its last destructor: a state is borrowed for each event */
    bool own_work;  /* what is allocated now, within a hook, is ours, not the program's */
};
extern __thread struct gm_thread_local gm_tls
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

#define GM_COARSE_STAMPS \
    16u /* of these one is exact: reading the clock costs as much as the rest of an event */

/* The recorder's last reading of the clock, or ours of a few events ago: the later one. For the thread's own ring. */
static inline uint64_t gm_thread_stamp_coarse(struct gm_thread *t, const struct gm_session *session)
{
    uint64_t now;
    if (++t->coarse_stamps % GM_COARSE_STAMPS == 0)
        now = gm_clock_before(session->clock);
    else /* relaxed: only ever compared */
        now = atomic_load_explicit(&session->clock_now, memory_order_relaxed);
    now &= GM_STAMP_MASK;
    if ((int64_t)((now - t->last_stamp) << (64 - GM_STAMP_BITS)) > 0)
        t->last_stamp = now;
    return t->last_stamp;
}

static inline bool gm_seen_holds(const uint64_t *seen, uint64_t hash)
{
    const uint64_t *pair = &seen[hash & (GM_SEEN - 2)];
    return pair[0] == hash || pair[1] == hash;
}
/* The pair's first becomes its second. */
static inline void gm_seen_note(uint64_t *seen, uint64_t hash)
{
    uint64_t *pair = &seen[hash & (GM_SEEN - 2)];
    pair[1] = pair[0];
    pair[0] = hash;
}

/* One hook's access to recording, from gm_scope_enter to gm_scope_leave. */
struct gm_scope {
    struct gm_session *session; /* stays mapped until leave, whatever a handler does */
    struct gm_thread *thread;
    unsigned level; /* 0, or 1 for a nested hook */
    bool shared;    /* producer is one of the shared rings, and its lock word is held by us */
    bool masked;    /* signals are blocked until leave; `signals`: those that were before */
    uint64_t signals;
    struct gm_producer *producer;
    struct gm_producer shared_producer;
};

/* False when this event cannot be recorded (counted as lost). On true, gm_scope_leave must follow. */
bool gm_scope_enter(struct gm_scope *scope);
void gm_scope_leave(struct gm_scope *scope);
/* The same for a thread that has a ring of its own and has entered the hook already: see quick.h. */
void gm_scope_resume(struct gm_scope *scope);

/* Marks the scope's ring as busy (see "Order" in wire.h), and back. Calls may span the real allocator. */
void gm_scope_busy(struct gm_scope *scope);
void gm_scope_idle(struct gm_scope *scope);

/* Takes the lock of a shared ring, kept until gm_scope_leave: stamps taken from here on are in the order of the
 * ring. Waits within a bound. False: the event is lost (counted here). Own rings need none.
 * Where a collector may stop threads by a signal (gm_image.stops), signals wait until leave: a thread that is stopped
 * holds no ring that the collecting one may need. */
bool gm_scope_lock(struct gm_scope *scope);

/* Makes room for `words` words on the scope's ring, locked first if need be; waits for the recorder within a
 * bound. False: the event is lost (counted here). After true, gm_scope_publish must follow. */
bool gm_scope_reserve(struct gm_scope *scope, uint32_t words);
void gm_scope_publish(struct gm_scope *scope);

/* A stamp for what is about to happen, or (after) has just happened, in the order of the scope's ring; a record
 * gets it between gm_scope_busy and gm_scope_idle. */
uint64_t gm_scope_stamp_before(struct gm_scope *scope);
uint64_t gm_scope_stamp_after(struct gm_scope *scope);
/* A stamp of now also where the others may be those of a moment ago: for what is told of times. */
uint64_t gm_scope_stamp_exact(struct gm_scope *scope);

/* The scope's side of nursery.h; a shared ring has no nursery.
 * Where the record of a live block lies, or GM_NURSERY_NONE: then gm_scope_freed_elsewhere must be called before the
 * allocator gets the block, with the stamp of the free. */
uint64_t gm_scope_find(const struct gm_scope *scope, uint64_t address);
void gm_scope_freed_elsewhere(const struct gm_scope *scope, uint64_t address, uint64_t stamp);
/* False: a record of the free is due. `how`: as in gm_death_pack. */
bool gm_scope_fold(struct gm_scope *scope, uint64_t position, uint64_t how);
/* The block's record was published, at this position of the scope's ring. */
void gm_scope_enter_nursery(const struct gm_scope *scope, uint64_t address, uint64_t position);

/* True when the calling thread is inside no hook. */
bool gm_thread_outside_hooks(void);

/* While on, the calling thread's allocations are taken for ours and not recorded. */
void gm_thread_own_work(bool on);

/* Called once, from the constructor: ends a thread's state when the thread ends. */
void gm_thread_watch_ends(void);

#endif
