/* simulate.h - a cache of nothing but hashes under any policy: what a trace of uses would hit. One thread. */
#ifndef GM_POLICY_SIMULATE_H
#define GM_POLICY_SIMULATE_H

#include "libgeomem/policy/policy.h"

struct gm_simulation;

/* `config` as for gm_policy_create. 0, -EINVAL or -ENOMEM. Free with gm_simulation_free, which takes NULL. */
int gm_simulation_create(
    const struct gm_policy_config *config, struct gm_simulation **ret_simulation);
void gm_simulation_free(struct gm_simulation *simulation);
/* A use of a key: whether it was in. It is afterwards, unless `charge`, in the capacity's unit, is more than that. */
bool gm_simulate_use(
    struct gm_simulation *simulation, uint64_t hash, uint64_t charge, uint64_t cost);
/* The program took it out. */
void gm_simulate_remove(struct gm_simulation *simulation, uint64_t hash);
/* Takes out all for which keeps(hash, arg) is false. */
void gm_simulate_keep(
    struct gm_simulation *simulation, bool (*keeps)(uint64_t hash, void *arg), void *arg);
void gm_simulate_resize(struct gm_simulation *simulation, uint64_t capacity);
struct gm_policy *gm_simulation_policy(struct gm_simulation *simulation);

#endif
