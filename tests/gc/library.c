/* library.c - a module to be loaded while threads run: one global word, and one in each thread. */
#include <stdint.h>

__attribute__((visibility("default"))) uint64_t word_of_library;
static __thread uint64_t word __attribute__((tls_model("global-dynamic")));
static __thread char padding[8192] __attribute__((tls_model("global-dynamic")));

__attribute__((visibility("default"))) uint64_t *word_of_thread(void);
uint64_t *word_of_thread(void)
{
    padding[100] = 1;
    return &word;
}
