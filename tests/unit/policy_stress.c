/* policy_stress.c - threads that hit while one with the lock inserts and evicts, and others maintain: for ThreadSanitizer, and that what
 * the lock guards stays in order.
 *
 *     policy_stress [KIND [ROUNDS]]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/policy.h"

enum { SHARDS = 2, THREADS = 4, SLOTS = 2000, KEYS = 6000 };

struct shard {
    pthread_mutex_t lock;
    struct gm_policy *policy;
    _Atomic uint64_t hash_of[SLOTS]; /* 0: free */
    uint32_t in;
};

static struct shard shards[SHARDS];
static uint64_t seed;
static long rounds = 60000;

static void settle_if(struct shard *shard, bool due)
{
    if (!due)
        return;
    gm_policy_maintain(shard->policy);
    if (pthread_mutex_trylock(&shard->lock) == 0) {
        gm_policy_settle(shard->policy);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* With the lock. */
static void make_room(struct shard *shard)
{
    while (shard->in >= SLOTS) {
        uint32_t slot = gm_policy_victim(shard->policy, NULL, NULL);
        gm_policy_evict(shard->policy, slot);
        atomic_store(&shard->hash_of[slot], 0);
        shard->in--;
    }
}

static void store(struct shard *shard, uint64_t hash, uint32_t stripe)
{
    pthread_mutex_lock(&shard->lock);
    make_room(shard);
    uint32_t slot = 0;
    while (atomic_load(&shard->hash_of[slot]) != 0)
        slot++;
    bool due = gm_policy_insert(shard->policy, slot, hash, 1, 0, stripe);
    atomic_store(&shard->hash_of[slot], hash);
    shard->in++;
    pthread_mutex_unlock(&shard->lock);
    settle_if(shard, due);
}

static void *use(void *arg)
{
    uint32_t stripe = (uint32_t)(uintptr_t)arg;
    uint64_t random = gm_policy_random_seed(seed + stripe);
    for (long i = 0; i < rounds; i++) {
        struct shard *shard = &shards[gm_policy_random(&random) % SHARDS];
        uint32_t slot = (uint32_t)(gm_policy_random(&random) % SLOTS);
        uint64_t hash = atomic_load(&shard->hash_of[slot]);
        if (i % 64 && hash)
            settle_if(shard, gm_policy_hit(shard->policy, slot, hash, stripe));
        else
            store(shard, gm_policy_mix(1 + gm_policy_random(&random) % KEYS), stripe);
    }
    return NULL;
}

static int shards_make(enum gm_policy_kind kind)
{
    for (int i = 0; i < SHARDS; i++) {
        struct gm_policy_config config = {.kind = kind,
            .capacity = SLOTS,
            .slots = SLOTS,
            .stripes = THREADS / 2,
            .seed = seed,
            .first = i ? shards[0].policy : NULL,
            .total = (uint64_t)SLOTS * SHARDS};
        pthread_mutex_init(&shards[i].lock, NULL);
        if (gm_policy_create(&config, &shards[i].policy) < 0)
            return -1;
    }
    return 0;
}

static int shards_check(void)
{
    int wrong = 0;
    for (int i = SHARDS - 1; i >= 0; i--) {
        const char *what = gm_policy_check(shards[i].policy);
        if (what || gm_policy_entries(shards[i].policy) != shards[i].in) {
            fprintf(stderr, "shard %d: %s\n", i, what ? what : "entries miscounted");
            wrong = 1;
        }
        gm_policy_free(shards[i].policy);
    }
    return wrong;
}

int main(int count, char **arguments)
{
    int kind = count > 1 ? atoi(arguments[1]) : GM_POLICY_ADAPTIVE;
    rounds = count > 2 ? atol(arguments[2]) : rounds;
    seed = (uint64_t)time(NULL);
    fprintf(stderr, "kind %d, seed %llu\n", kind, (unsigned long long)seed);
    if (shards_make((enum gm_policy_kind)kind) < 0)
        return 1;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, use, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return shards_check();
}
