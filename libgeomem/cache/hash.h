/* hash.h - 64 well mixed bits of a key.
 *
 * Two words at a time are multiplied to 128 bits, and the halves folded by exclusive or: the step of wyhash (Wang Yi, public
 * domain), described in docs/references.md under "Caches". With a seed nobody knows, keys that collide cannot be chosen.
 */
#ifndef GM_CACHE_HASH_H
#define GM_CACHE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Odd, half of their bits set: from the binary expansions of e, pi, the square roots of 2 and 3. */
#define GM_HASH_E 0xadf85458a2bb4a9bu
#define GM_HASH_PI 0x243f6a8885a308d3u
#define GM_HASH_ROOT2 0x6a09e667f3bcc909u
#define GM_HASH_ROOT3 0xbb67ae8584caa73bu

static inline uint64_t gm_hash_fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
static inline uint64_t gm_hash_word(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
static inline uint64_t gm_hash_half(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t gm_hash(uint64_t seed, const void *key, size_t bytes)
{
    const unsigned char *at = key;
    uint64_t a, b, state = seed ^ GM_HASH_E;
    if (bytes == 8)
        return gm_hash_fold(
            gm_hash_fold(gm_hash_word(at) ^ GM_HASH_ROOT2, state) ^ 8, GM_HASH_ROOT3 ^ state);
    for (size_t left = bytes; left > 16; left -= 16, at += 16)
        state = gm_hash_fold(gm_hash_word(at) ^ GM_HASH_PI, gm_hash_word(at + 8) ^ state);
    const unsigned char *end = (const unsigned char *)key + bytes;
    if (bytes >= 8) {
        a = gm_hash_word(bytes > 16 ? end - 16 : at);
        b = gm_hash_word(end - 8);
    } else if (bytes >= 4) {
        a = gm_hash_half(at);
        b = gm_hash_half(end - 4);
    } else {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[bytes / 2] << 8 | end[-1];
        b = 0;
    }
    return gm_hash_fold(gm_hash_fold(a ^ GM_HASH_ROOT2, b ^ state) ^ bytes, GM_HASH_ROOT3 ^ state);
}

/* Mixes once more: for a use of the hash that is to be independent of others. */
static inline uint64_t gm_hash_again(uint64_t hash)
{
    return gm_hash_fold(hash ^ GM_HASH_PI, GM_HASH_ROOT2);
}

#endif
