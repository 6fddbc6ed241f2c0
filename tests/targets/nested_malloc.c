/* nested_malloc.c - a realloc that calls the public malloc, as simple allocators do: preloaded behind the recorder's
 * library, its malloc is a call of the program's inside an open reallocation. Built on safe_malloc.c. */
#include "safe_malloc.c"

void *realloc(void *old, size_t bytes)
{
    void *block = malloc(bytes);
    if (old && block) {
        size_t old_bytes = *(size_t *)(void *)((char *)old - 16);
        memcpy(block, old, old_bytes < bytes ? old_bytes : bytes);
    }
    return block;
}
