/* early_late.c - allocates where a program hardly has begun or is nearly gone. Each place keeps a block of
 * its own size: preinit 5001, library constructor 5002 (early_library.c), constructor 101 5003, constructor
 * 5004, main 5005, thread key destructor 5006, atexit 5007, destructor 5008, library destructor 5009. */
#include <pthread.h>

#include "target.h"

static void *kept[16];
static pthread_key_t key;

static void place_preinit(void)
{
    kept[0] = malloc(5001);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(void) = place_preinit;

__attribute__((constructor(101))) static void place_constructor_101(void)
{
    kept[1] = malloc(5003);
}
__attribute__((constructor)) static void place_constructor(void)
{
    kept[2] = malloc(5004);
}
__attribute__((destructor)) static void place_destructor(void)
{
    kept[3] = malloc(5008);
}
static void place_atexit(void)
{
    kept[4] = malloc(5007);
}

/* Sets itself again until the last round libc grants, so that it runs after other destructors. */
static void place_key_destructor(void *value)
{
    uintptr_t round = (uintptr_t)value;
    free(malloc(60));
    if (round < 4)
        pthread_setspecific(key, (void *)(round + 1));
    else
        kept[5] = malloc(5006);
}

static void *thread_run(void *unused)
{
    pthread_setspecific(key, (void *)1);
    return unused;
}

int early_library_used(void);

int main(void)
{
    pthread_t id;
    REQUIRE(early_library_used() == 1);
    REQUIRE(pthread_key_create(&key, place_key_destructor) == 0);
    REQUIRE(pthread_create(&id, NULL, thread_run, NULL) == 0);
    pthread_join(id, NULL);
    kept[6] = malloc(5005);
    return atexit(place_atexit);
}
