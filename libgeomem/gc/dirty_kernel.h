/* dirty_kernel.h - what gc/dirty_uffd.c needs of the kernel and the headers of older systems lack.
 *
 * Numbers and layouts are those of the kernel's include/uapi/linux/userfaultfd.h (Linux 6.7) and
 * include/uapi/linux/fs.h (Linux 6.7); they are part of its ABI and do not change. Names of our own, so that newer
 * headers do not collide.
 */
#ifndef GM_GC_DIRTY_KERNEL_H
#define GM_GC_DIRTY_KERNEL_H

#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define GM_UFFD_USER_MODE_ONLY 1u
/* Pages that do not exist yet can be write-protected too. */
#define GM_UFFD_FEATURE_WP_UNPOPULATED ((uint64_t)1 << 13)
/* A write to a protected page takes the protection away, and nobody is told. */
#define GM_UFFD_FEATURE_WP_ASYNC ((uint64_t)1 << 15)
/* Makes a userfaultfd of the file /dev/userfaultfd. */
#define GM_USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)

struct gm_page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};
struct gm_pagemap_scan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end; /* out: where it stopped */
    uint64_t regions;  /* struct gm_page_region * */
    uint64_t region_count;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};
#define GM_PAGEMAP_SCAN _IOWR('f', 16, struct gm_pagemap_scan)
/* Protect the pages that are reported, in the same step. */
#define GM_PAGEMAP_SCAN_PROTECT ((uint64_t)1 << 0)
/* Fail with EPERM at memory that is not under asynchronous write-protection. */
#define GM_PAGEMAP_SCAN_CHECK ((uint64_t)1 << 1)
#define GM_PAGE_IS_WRITTEN ((uint64_t)1 << 1)

#endif
