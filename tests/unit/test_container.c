/* The limits of control groups, as both versions tell them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgeomem/base/container.h"

static char folder[64];

/* The file's folders are made, too. */
static void file_write(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void folder_make(void)
{
    strcpy(folder, "/tmp/geomem-container-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static void folder_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert(system(command) == 0);
}

static int look(struct gm_container_room *ret_room)
{
    char groups[128], mount[128];
    struct gm_container container;
    snprintf(groups, sizeof groups, "%s/groups", folder);
    snprintf(mount, sizeof mount, "%s/mount", folder);
    int err = gm_container_find(groups, mount, &container);
    return err < 0 ? err : gm_container_look(&container, ret_room);
}

TestSuite(container, .init = folder_make, .fini = folder_remove);

Test(container, none_without_a_group)
{
    struct gm_container_room room;
    cr_assert_eq(look(&room), -ENOENT);
    file_write("groups", "1:cpu:/a\n");
    cr_assert_eq(look(&room), -ENOENT);
    file_write("groups", "");
    cr_assert_eq(look(&room), -ENOENT);
    file_write("groups", "nonsense\n0:\n::\n");
    cr_assert_eq(look(&room), -ENOENT);
}

Test(container, the_lesser_of_max_and_high_and_what_can_be_dropped_is_not_used)
{
    struct gm_container_room room;
    file_write("groups", "0::/a/b\n");
    file_write("mount/a/b/memory.max", "1000000\n");
    file_write("mount/a/b/memory.high", "max\n");
    file_write("mount/a/b/memory.current", "600000\n");
    file_write("mount/a/b/memory.stat", "anon 1\ninactive_file 100000\nactive_file 5\n");
    cr_assert_eq(look(&room), 0);
    cr_assert_eq(room.limit_bytes, 1000000);
    cr_assert_eq(room.used_bytes, 500000);
    cr_assert_eq(room.stalled_us, 0);
    file_write("mount/a/b/memory.high", "800000\n");
    file_write(
        "mount/a/b/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull "
                                     "avg10=0.00 avg60=0 avg300=0 total=5\n");
    cr_assert_eq(look(&room), 0);
    cr_assert_eq(room.limit_bytes, 800000);
    cr_assert_eq(room.stalled_us, 1234);
}

Test(container, no_limit_is_none)
{
    struct gm_container_room room;
    file_write("groups", "0::/\n");
    file_write("mount/memory.current", "600000\n");
    cr_assert_eq(look(&room), -ENOENT);
    file_write("mount/memory.max", "max\n");
    cr_assert_eq(look(&room), -ENOENT);
}

Test(container, the_tightest_of_the_groups_above_binds)
{
    struct gm_container_room room;
    file_write("groups", "0::/a/b/c\n");
    file_write("mount/a/b/c/memory.max", "1000\n");
    file_write("mount/a/b/c/memory.current", "100\n");
    file_write("mount/a/b/memory.max", "max\n");
    file_write("mount/a/b/memory.current", "5000\n");
    file_write("mount/a/memory.max", "9000\n");
    file_write("mount/a/memory.current", "8500\n");
    cr_assert_eq(look(&room), 0);
    cr_assert_eq(room.limit_bytes, 9000);
    cr_assert_eq(room.used_bytes, 8500);
}

Test(container, a_group_that_sees_itself_as_the_root)
{
    struct gm_container_room room;
    file_write("groups", "0::/of/the/host\n");
    file_write("mount/memory.max", "7000\n");
    file_write("mount/memory.current", "10\n");
    cr_assert_eq(look(&room), 0);
    cr_assert_eq(room.limit_bytes, 7000);
}

Test(container, version_one)
{
    struct gm_container_room room;
    file_write("groups", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/jobs/1\n0::/\n");
    file_write("mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
    file_write("mount/memory/memory.usage_in_bytes", "123\n");
    file_write("mount/memory/jobs/1/memory.limit_in_bytes", "9223372036854771712\n");
    file_write("mount/memory/jobs/1/memory.usage_in_bytes", "77\n");
    cr_assert_eq(look(&room), -ENOENT);
    file_write("mount/memory/jobs/memory.limit_in_bytes", "50000\n");
    file_write("mount/memory/jobs/memory.usage_in_bytes", "20000\n");
    file_write("mount/memory/jobs/memory.stat", "inactive_file 1\ntotal_inactive_file 5000\n");
    cr_assert_eq(look(&room), 0);
    cr_assert_eq(room.limit_bytes, 50000);
    cr_assert_eq(room.used_bytes, 15000);
}
