/* recording_make.h - a recording written by SQL, for tests of the analyzer's core. */
#ifndef GM_TESTS_RECORDING_MAKE_H
#define GM_TESTS_RECORDING_MAKE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <sqlite3.h>

#include "analyzer/core/recording.h"
#include "schemas/db.h"

static char made_folder[64], made_path[96];
static sqlite3 *made; /* the writer's connection */

/* The formats of sqlite3_mprintf. */
static void made_run(const char *format, ...)
{
    va_list args;
    char *error = NULL;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    cr_assert_eq(sqlite3_exec(made, sql, NULL, NULL, &error), SQLITE_OK, "%s: %s", sql, error);
    sqlite3_free(sql);
}

/* An empty recording with row run and the processes 1 and 2. */
static void made_begin(void)
{
    char message[512] = "";
    strcpy(made_folder, "/tmp/geomem-test-XXXXXX");
    cr_assert_not_null(mkdtemp(made_folder));
    snprintf(made_path, sizeof made_path, "%s/made.geomem", made_folder);
    cr_assert_eq(gm_db_create(made_path, &made, message, sizeof message), GM_DB_OK, "%s", message);
    made_run("INSERT INTO run (run_id, geomem_version, program, command, cwd, host, kernel, cpus, "
             "page_bytes,"
             " boot_id, recorder_pid, recorder_start_ticks, start_utc_ns, options, g1_age_bytes, "
             "g2_age_bytes,"
             " g3_age_bytes, state, duration_ns) VALUES (1, '0', 'p', '[\"p\"]', '/', 'h', 'k', 1, "
             "4096, '', 0, 0,"
             " 0, '{}', 65536, 1048576, 16777216, 'recording', 1000)");
    made_run("INSERT INTO process (process_id, pid, origin, exe, command, start_ns) VALUES"
             " (1, 10, 'root', '/p', '[\"p\"]', 0), (2, 20, 'fork', '/p', '[\"p\"]', 0)");
}

static void made_end(void)
{
    char command[128];
    gm_db_close(made);
    snprintf(command, sizeof command, "rm -rf %s", made_folder);
    cr_assert_eq(system(command), 0);
}

static struct gm_recording *made_open(void)
{
    struct gm_recording *recording = NULL;
    char message[512] = "";
    cr_assert_eq(
        gm_recording_open(made_path, &recording, message, sizeof message), 0, "%s", message);
    return recording;
}

#endif
