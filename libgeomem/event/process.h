/* process.h - this process image's tie to the recorder.
 *
 *   NEW --first event--> ATTACHING --handshake--> ON --stop--> OFF
 *    ^                       '--no recorder, refused--> OFF
 *    '-- a forked child finds its page zeroed
 *
 * struct gm_process_data stands on a page that the kernel gives a forked child zeroed (MADV_WIPEONFORK): without a
 * handler that could be forgotten or a getpid per event, the child's first event sees NEW and asks for a
 * session of its own. struct gm_image keeps what the child needs to know for that.
 */
#ifndef GM_EVENT_PROCESS_H
#define GM_EVENT_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schemas/wire.h"

enum gm_process_state { GM_PROCESS_NEW = 0, GM_PROCESS_ATTACHING, GM_PROCESS_ON, GM_PROCESS_OFF };

struct gm_process_data {
    _Atomic uint32_t state; /* enum gm_process_state; ON is stored with release after all else */
    uint32_t sampling;      /* not 0: sample.h decides what is recorded */
    /* What the recorder said once, copied and checked; constant while ON. */
    uint32_t clock, flags, ring_count, ring_words, depth_leaf, depth_root, full_wait_ms;
    bool folds; /* short-lived blocks take one record: see nursery.h */
    bool
        quick; /* nothing stands against quick.h: neither sampling nor another walk than the memo */
    _Atomic uint32_t threads; /* thread states bound to the session so far */
    /* Events have come from more than one thread, or from a handler within a hook: stamps must order them. */
    _Atomic bool precise;
    uint64_t ticks_per_ms; /* never 0 */
    uint64_t session_id;
    uint64_t sample_seed;
    struct gm_session *session;
    /* One more than the heartbeat at which the recorder was found not to move; 0: it moves. While it stays there
     * nobody waits for it, and events are counted as lost at once. */
    _Atomic uint64_t stalled_after;
};
extern union gm_process_page {
    struct gm_process_data p;
    char page[4096];
} gm_process_page;
#define gm_process (gm_process_page.p)

/* Survives fork. */
struct gm_image {
    char socket_path[108]; /* of sockaddr_un */
    char exe[4096];        /* path of the program */
    int32_t pid;
    bool follow;         /* children are recorded too */
    bool unrecorded;     /* for good: no session in the environment, or in secure mode */
    uint64_t session_id; /* of the last session, 0 before the first */
    struct gm_session *session;
    uint64_t session_bytes;
    _Atomic uint32_t epoch; /* objects unloaded so far */
    _Atomic bool stops;     /* a collector of the program may stop its threads by signals */
};
extern struct gm_image gm_image;

/* True when events are to be recorded. Attaches at the first call of an image. Async-signal-safe. */
bool gm_process_attach(void);
static inline bool gm_process_on(void)
{
    /* acquire: pairs with the release in gm_process_attach */
    uint32_t state = atomic_load_explicit(&gm_process.state, memory_order_acquire);
    if (__builtin_expect(state == GM_PROCESS_ON, 1))
        return true;
    return state == GM_PROCESS_NEW && gm_process_attach();
}

/* Takes note of the session's socket in an environment block of `bytes` bytes. */
void gm_process_read_environment(const char *block, uint64_t bytes);

/* Records how the image is about to end; a child of vfork, which runs in its parent's memory, is passed over.
 * Returns false there, or when nothing is recorded. Async-signal-safe. */
bool gm_process_note_end(enum gm_end_kind kind, int value);

/* Records no more in this image. */
void gm_process_stop(void);

#endif
