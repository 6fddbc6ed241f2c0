/* crc32c.c - see crc32c.h. The instruction of SSE 4.2 where the processor has it, else a table of 16 entries: such
 * processors are too old to be worth more. */
#include "schemas/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(
    uint32_t crc, const uint8_t *p, size_t bytes)
{
    uint64_t wide = crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    while (bytes--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static uint32_t nibble(uint32_t value)
{
    for (int bit = 0; bit < 4; bit++)
        value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
    return value;
}

static uint32_t crc_by_table(uint32_t crc, const uint8_t *p, size_t bytes)
{
    uint32_t table[16];
    for (uint32_t i = 0; i < 16; i++)
        table[i] = nibble(i);
    while (bytes--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

uint32_t gm_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    crc = ~crc;
    crc = __builtin_cpu_supports("sse4.2") ? crc_by_instruction(crc, data, bytes)
                                           : crc_by_table(crc, data, bytes);
    return ~crc;
}
