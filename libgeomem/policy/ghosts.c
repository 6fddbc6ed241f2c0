/* ghosts.c - see ghosts.h. */
#include "libgeomem/policy/ghosts.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/policy/kind.h"

#define WAYS 8u
/* Steps of time in a ghost's life; the 16-bit clock turns over after 64 lives. */
#define STEPS 1024u
#define SETS_FIRST 512u

static uint32_t sets_for(uint32_t entries)
{
    /* A quarter more places than ghosts, for sets that get more than their share. */
    return (uint32_t)(((uint64_t)entries * 5 / 4) / WAYS + 1);
}

int gm_ghosts_init(struct gm_ghosts *ghosts, uint32_t entries)
{
    uint32_t first = sets_for(entries);
    while (first > SETS_FIRST)
        first = (first + 1) / 2;
    ghosts->sets = first;
    ghosts->sets_most = first;
    while (ghosts->sets_most < sets_for(entries))
        ghosts->sets_most *= 2;
    ghosts->bytes = (size_t)ghosts->sets_most * WAYS * sizeof(struct gm_ghost);
    ghosts->ghosts = gm_policy_memory(ghosts->bytes);
    ghosts->life = 1;
    return ghosts->ghosts ? 0 : -ENOMEM;
}

void gm_ghosts_done(struct gm_ghosts *ghosts)
{
    gm_policy_memory_free(ghosts->ghosts, ghosts->bytes);
    ghosts->ghosts = NULL;
}

void gm_ghosts_clear(struct gm_ghosts *ghosts)
{
    memset(ghosts->ghosts, 0, (size_t)ghosts->sets * WAYS * sizeof(struct gm_ghost));
}

/* Each set becomes two of the same content; a ghost whose key belongs to the other is never found, and grows old. */
static void sets_double(struct gm_ghosts *ghosts)
{
    size_t set_bytes = WAYS * sizeof(struct gm_ghost);
    for (size_t set = ghosts->sets; set-- > 0;) {
        struct gm_ghost copy[WAYS];
        memcpy(copy, &ghosts->ghosts[set * WAYS], set_bytes);
        memcpy(&ghosts->ghosts[2 * set * WAYS], copy, set_bytes);
        memcpy(&ghosts->ghosts[(2 * set + 1) * WAYS], copy, set_bytes);
    }
    ghosts->sets *= 2;
}

void gm_ghosts_grow(struct gm_ghosts *ghosts, uint32_t entries)
{
    ghosts->life = entries ? entries : 1;
    while (ghosts->sets < sets_for(entries) && ghosts->sets * 2 <= ghosts->sets_most)
        sets_double(ghosts);
}

static struct gm_ghost *set_of(const struct gm_ghosts *ghosts, uint64_t hash)
{
    uint64_t mixed = hash * 0x9e3779b97f4a7c15u;
    return &ghosts->ghosts[(((mixed >> 32) * ghosts->sets) >> 32) * WAYS];
}

/* From bits that do not choose the set. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash * 0x9e3779b97f4a7c15u >> 8);
    return print ? print : 1;
}

static uint16_t ghost_age(const struct gm_ghosts *ghosts, const struct gm_ghost *ghost)
{
    return ghost->print ? (uint16_t)(ghosts->now - ghost->when) : UINT16_MAX;
}

static void clock_tick(struct gm_ghosts *ghosts)
{
    ghosts->part += STEPS;
    if (ghosts->part < ghosts->life)
        return;
    ghosts->now += (uint16_t)(ghosts->part / ghosts->life);
    ghosts->part %= ghosts->life;
}

void gm_ghosts_put(struct gm_ghosts *ghosts, uint64_t hash)
{
    struct gm_ghost *set = set_of(ghosts, hash);
    uint16_t print = print_of(hash);
    struct gm_ghost *to = &set[0];
    for (unsigned way = 0; way < WAYS; way++) {
        if (set[way].print == print) {
            to = &set[way];
            break;
        }
        if (ghost_age(ghosts, &set[way]) > ghost_age(ghosts, to))
            to = &set[way];
    }
    clock_tick(ghosts);
    *to = (struct gm_ghost){.print = print, .when = ghosts->now};
}

bool gm_ghosts_take(struct gm_ghosts *ghosts, uint64_t hash)
{
    struct gm_ghost *set = set_of(ghosts, hash);
    uint16_t print = print_of(hash);
    for (unsigned way = 0; way < WAYS; way++) {
        if (set[way].print != print)
            continue;
        bool lives = ghost_age(ghosts, &set[way]) < STEPS;
        set[way].print = 0;
        return lives;
    }
    return false;
}
