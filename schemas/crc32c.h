/* crc32c.h - CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), as iSCSI, ext4 and others use it. */
#ifndef GM_SCHEMAS_CRC32C_H
#define GM_SCHEMAS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is the checksum of, followed by `bytes` bytes; begin with 0. Thread-safe. */
uint32_t gm_crc32c(uint32_t crc, const void *data, size_t bytes);

#endif
