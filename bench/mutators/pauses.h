/* pauses.h - a list of pauses in memory that no collector scans. One writer at a time. */
#ifndef MUTATOR_PAUSES_H
#define MUTATOR_PAUSES_H

#include <stddef.h>
#include <stdint.h>

int pauses_open(void); /* 0 or a negative errno */
void pauses_add(uint64_t pause_ns);
size_t pauses_all(const uint64_t **ret_pauses_ns);
uint64_t now_ns(void);

#endif
