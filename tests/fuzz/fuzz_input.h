/* fuzz_input.h - for fuzzers that also run by themselves: one input out of a file, as libFuzzer would give it. */
#ifndef GM_TESTS_FUZZ_INPUT_H
#define GM_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns 0, or 1 for a file that cannot be opened. Reads at most 1 MiB. */
static inline int fuzz_input_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    return 0;
}

#endif
