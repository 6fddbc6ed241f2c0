/* chooser.h - which rule and window a cache should have: by simulating nine in small.
 *
 *     uses of sampled keys ──▶ lossy rings (uses.h) ──▶ 9 shadows of up to 1,024 entries ──▶ scores ──▶ the choice
 *
 * One for all shards of a cache. Keys are sampled by hash, so that a key's uses are all in or all out; the shadows have the
 * sample's part of the capacity (miniature simulation). At the end of an epoch a candidate that clearly leads the
 * present choice takes its place, and what was scored so far fades a little. The last candidate weighs charges and costs, and takes
 * part only where those differ.
 */
#ifndef GM_POLICY_CHOOSER_H
#define GM_POLICY_CHOOSER_H

#include "libgeomem/policy/shadow.h"
#include "libgeomem/policy/uses.h"

#define GM_CANDIDATES 9u

struct gm_candidate {
    enum gm_rule rule;
    unsigned window_permille;
    const char *name;
};
extern const struct gm_candidate gm_candidates[GM_CANDIDATES];

struct gm_chooser {
    _Atomic uint64_t threshold; /* a key is in the sample if its mixed hash is not above */
    _Atomic uint32_t choice;    /* of gm_candidates */
    _Atomic uint32_t switches;
    _Atomic uint32_t age; /* raised when sketches are to be halved */
    struct gm_uses uses;

    /* The rest belongs to whoever holds `busy`. */
    atomic_flag busy;
    struct gm_shadow shadows[GM_CANDIDATES];
    struct gm_sketch sketch;
    unsigned candidates;          /* that take part */
    bool informed;                /* an epoch has ended */
    double scores[GM_CANDIDATES]; /* what each shadow hit */
    double disagreed
        [GM_CANDIDATES]; /* what either it or the present choice's hit, squared use by use */
    double most;         /* the score of a shadow that always hits */
    double counted;      /* uses; these four fade from epoch to epoch */
    float weight_least, weight_most; /* seen of charges, or of cost by charge */
    enum gm_policy_goal goal;
    uint32_t slots;     /* of each shadow */
    uint64_t total;     /* capacity of all shards */
    double mean_charge; /* of an entry, as known */
    double entries;     /* a full shadow has, as known */
    double seen;        /* uses of sampled keys since the epoch began */
    double epoch_uses;  /* it ends after */
    double epoch_next;  /* the one after would */
    double sketch_uses; /* since sketches were last halved */
};

/* 0 or -ENOMEM; after either, gm_chooser_done. The struct is zeroed before. `config` is filled in. */
int gm_chooser_init(struct gm_chooser *chooser, const struct gm_policy_config *config);
void gm_chooser_done(struct gm_chooser *chooser);
/* Shards have another capacity now. Waits for a running gm_chooser_learn. One thread at a time. */
void gm_chooser_resize(struct gm_chooser *chooser, uint64_t total);

/* A use, on any thread. True: gm_chooser_learn is due. */
bool gm_chooser_note(
    struct gm_chooser *chooser, uint64_t hash, uint32_t charge, uint16_t cost, uint32_t stripe);
/* Simulates what was noted. One thread at a time, others return at once. */
void gm_chooser_learn(struct gm_chooser *chooser);
/* Waits for a running gm_chooser_learn; none runs until gm_chooser_resume. */
void gm_chooser_pause(struct gm_chooser *chooser);
void gm_chooser_resume(struct gm_chooser *chooser);

#endif
