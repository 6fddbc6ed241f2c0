/* close_fds.c FILE - closes descriptors 3..1023, as daemons do, takes the numbers for a file of its own,
 * goes on allocating, and checks that nobody else wrote into it. Prints how many descriptors it had open
 * at the start, which must be the same recorded or not. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "target.h"

static int descriptors_open(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    REQUIRE(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 3; /* ., .. and the folder itself */
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    free(malloc(10));
    printf("open %d\n", descriptors_open());
    fflush(stdout);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    char expected[1000], found[sizeof expected + 1];
    memset(expected, 'e', sizeof expected);
    int first = -1;
    for (int i = 0; i < 50; i++) {
        int fd = open(argv[1], O_RDWR | O_CREAT | O_APPEND, 0600);
        REQUIRE(fd == 3 + i);
        first = first < 0 ? fd : first;
    }
    for (int i = 0; i < 20000; i++)
        free(malloc((size_t)(i % 700 + 1)));
    REQUIRE(write(first, expected, sizeof expected) == (ssize_t)sizeof expected);
    for (int i = 0; i < 20000; i++)
        free(malloc((size_t)(i % 700 + 1)));
    REQUIRE(pread(first, found, sizeof found, 0) == (ssize_t)sizeof expected);
    REQUIRE(!memcmp(expected, found, sizeof expected));

    /* With the standard descriptors gone as well, and then none to be had at all. */
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    for (int i = 0; i < 20000; i++)
        free(malloc((size_t)(i % 700 + 1)));
    _exit(open(argv[1], O_RDONLY) == 0 ? 0 : 97);
}
