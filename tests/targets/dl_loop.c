/* dl_loop.c PLUGIN_A PLUGIN_B LOOPS - loads and unloads two plugins in turn. Each keeps one block of its own
 * size per load (6001 and 6002) and is likely to be mapped where the other was. */
#include <dlfcn.h>

#include "target.h"

static void *last_place;
static int same_place;

static NOINLINE void plugin_load(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW);
    if (!plugin)
        fprintf(stderr, "%s\n", dlerror());
    REQUIRE(plugin);
    void (*run)(void) = (void (*)(void))dlsym(plugin, "plugin_run");
    REQUIRE(run);
    Dl_info info;
    REQUIRE(dladdr(dlsym(plugin, "plugin_run"), &info));
    same_place += info.dli_fbase == last_place;
    last_place = info.dli_fbase;
    run();
    dlclose(plugin);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 4);
    for (int i = 0; i < atoi(argv[3]); i++) {
        plugin_load(argv[1]);
        plugin_load(argv[2]);
    }
    printf("%d\n", same_place);
    return 0;
}
