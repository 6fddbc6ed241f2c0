/* dl_loop.c PLUGIN_A PLUGIN_B LOOPS - loads and unloads two plugins in turn. Each keeps one block of its own
 * size per load (6001 and 6002) and is likely to be mapped where the other was. */
#include <dlfcn.h>

#include "target.h"

static NOINLINE void plugin_load(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW);
    if (!plugin)
        fprintf(stderr, "%s\n", dlerror());
    REQUIRE(plugin);
    void (*run)(void) = (void (*)(void))dlsym(plugin, "plugin_run");
    REQUIRE(run);
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
    return 0;
}
