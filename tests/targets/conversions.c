/* conversions.c ROUNDS - has libc load and unload conversion.c's conversions a and b in turn, by iconv_open and
 * iconv_close: the unloading passes no function that a program could see. libc unloads a conversion when three
 * others have been closed after it; that is what c is for. Prints how often one was mapped where the other had been. */
#include <iconv.h>
#include <link.h>

#include "target.h"

struct place {
    const char *name;
    uintptr_t base;
};

static int place_look(struct dl_phdr_info *info, size_t bytes, void *place)
{
    struct place *p = place;
    (void)bytes;
    if (strstr(info->dlpi_name, p->name))
        p->base = info->dlpi_addr;
    return 0;
}

static NOINLINE uintptr_t conversion_use(const char *charset, const char *object)
{
    struct place place = {object, 0};
    iconv_t conversion = iconv_open(charset, "UTF-8");
    REQUIRE(conversion != (iconv_t)-1);
    dl_iterate_phdr(place_look, &place);
    REQUIRE(place.base);
    REQUIRE(iconv_close(conversion) == 0);
    return place.base;
}

static void conversion_outlive(void)
{
    for (int i = 0; i < 3; i++)
        conversion_use("GEOMEM-C", "conversion_c");
}

int main(int argc, char **argv)
{
    int same_place = 0;
    REQUIRE(argc == 2);
    uintptr_t last = 0;
    for (int i = 0; i < atoi(argv[1]); i++) {
        uintptr_t a = conversion_use("GEOMEM-A", "conversion_a");
        conversion_outlive();
        uintptr_t b = conversion_use("GEOMEM-B", "conversion_b");
        conversion_outlive();
        same_place += (a == last) + (a == b);
        last = b;
    }
    printf("%d\n", same_place);
    return 0;
}
