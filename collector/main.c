/* main.c - geomem-record: the command line and what it leads to. */
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include <sqlite3.h>
#include <zstd.h>

#include "collector/options.h"
#include "collector/record.h"
#include "collector/say.h"
#include "collector/symbolize.h"
#include "schemas/db.h"

static int help_print(void)
{
    char text[8192];
    gm_options_help(text, sizeof text);
    fputs(text, stdout);
    return 0;
}

static int version_print(void)
{
    printf("geomem-record (geomem) " GEOMEM_VERSION
           ", recordings of schema %d\nSQLite %s\nzstd %s\nlibdw " GM_LIBDW_VERSION "\n",
        GM_DB_VERSION, sqlite3_libversion(), ZSTD_versionString());
    return 0;
}

static int migrate(const struct gm_record_options *o)
{
    char message[1024];
    struct stat from, to;
    bool same = stat(o->subject, &from) == 0 && stat(o->output, &to) == 0 &&
                from.st_dev == to.st_dev && from.st_ino == to.st_ino;
    if (o->force && same) {
        gm_say("--migrate never works in place; name another file with -o");
        return GM_EXIT_USAGE;
    }
    if (o->force)
        gm_db_remove(o->output);
    if (gm_db_migrate_copy(o->subject, o->output, message, sizeof message) != GM_DB_OK) {
        gm_say("%s", message);
        return GM_EXIT_FILE;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct gm_record_options options;
    char message[512];
    if (gm_options_parse(argc, argv, &options, message, sizeof message) < 0) {
        gm_say("%s", message);
        return GM_EXIT_USAGE;
    }
    switch (options.mode) {
    case GM_MODE_HELP:
        return help_print();
    case GM_MODE_VERSION:
        return version_print();
    case GM_MODE_SYMBOLIZE:
        return gm_symbolize(&options);
    case GM_MODE_MIGRATE:
        return migrate(&options);
    case GM_MODE_RECORD:
        break;
    }
    return gm_record(&options);
}
