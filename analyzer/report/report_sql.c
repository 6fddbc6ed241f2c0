/* report_sql.c - rows of a user's query as an aligned table, CSV or JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/names.h"
#include "analyzer/core/sql.h"
#include "analyzer/report/report.h"

#define SQL_TABLE_ROWS 1000  /* rows that are looked at for the widths of columns */
#define SQL_CELL_COLUMNS 100 /* a column of the table gets no wider */

struct sql_table {
    struct report *report;
    size_t columns, rows;
    char **names;
    char **cells; /* of the first SQL_TABLE_ROWS rows */
    bool *numeric;
    size_t *widths;
    bool printing;
};

static char *value_text(const struct gm_value *v)
{
    char number[40];
    switch (v->type) {
    case GM_VALUE_NULL:
        return gm_name_copy("NULL", 4);
    case GM_VALUE_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, v->integer);
        return gm_name_copy(number, strlen(number));
    case GM_VALUE_REAL:
        snprintf(number, sizeof number, "%.10g", v->real);
        return gm_name_copy(number, strlen(number));
    case GM_VALUE_TEXT:
        return gm_name_copy(v->text, v->bytes);
    case GM_VALUE_BLOB:
        break;
    }
    snprintf(number, sizeof number, "[%zu bytes]", v->bytes);
    return gm_name_copy(number, strlen(number));
}

/* ---- table
 * ----------------------------------------------------------------------------------------- */

static int table_head(void *data, const char *const *names, size_t n)
{
    struct sql_table *t = data;
    t->columns = n;
    t->names = calloc(n, sizeof *t->names);
    t->widths = calloc(n, sizeof *t->widths);
    t->numeric = calloc(n, sizeof *t->numeric);
    t->cells = calloc(n * SQL_TABLE_ROWS, sizeof *t->cells);
    if (!t->names || !t->widths || !t->numeric || !t->cells)
        return -1;
    for (size_t i = 0; i < n; i++) {
        t->names[i] = gm_name_copy(names[i], strlen(names[i]));
        if (!t->names[i])
            return -1;
        t->widths[i] = gm_name_width(t->names[i]);
        t->numeric[i] = true;
    }
    return 0;
}

static void table_cell(struct sql_table *t, size_t column, const char *text)
{
    struct out *o = &t->report->out;
    size_t width = gm_name_width(text);
    bool last = column + 1 == t->columns;
    if (t->numeric[column]) {
        for (; width < t->widths[column]; width++)
            out_printf(o, " ");
        out_printf(o, "%s", text);
    } else if (last) {
        out_printf(o, "%s", text);
    } else {
        out_padded(o, text, t->widths[column]);
    }
    out_printf(o, "%s", last ? "\n" : "  ");
}

static void table_print_head(struct sql_table *t)
{
    for (size_t i = 0; i < t->columns; i++)
        table_cell(t, i, t->names[i]);
    size_t rows = t->rows < SQL_TABLE_ROWS ? t->rows : SQL_TABLE_ROWS;
    for (size_t i = 0; i < rows * t->columns; i++)
        table_cell(t, i % t->columns, t->cells[i]);
    t->printing = true;
}

static int table_row(void *data, const struct gm_value *values, size_t n)
{
    struct sql_table *t = data;
    if (t->rows == SQL_TABLE_ROWS && !t->printing)
        table_print_head(t);
    for (size_t i = 0; i < n; i++) {
        char *text = value_text(&values[i]);
        if (!text)
            return -1;
        if (t->printing) {
            table_cell(t, i, text);
            free(text);
            continue;
        }
        size_t width = gm_name_width(text);
        t->cells[t->rows * n + i] = text;
        if (values[i].type == GM_VALUE_TEXT || values[i].type == GM_VALUE_BLOB)
            t->numeric[i] = false;
        if (width > t->widths[i])
            t->widths[i] = width < SQL_CELL_COLUMNS ? width : SQL_CELL_COLUMNS;
    }
    t->rows++;
    return 0;
}

static void table_done(struct sql_table *t)
{
    for (size_t i = 0; t->names && i < t->columns; i++)
        free(t->names[i]);
    for (size_t i = 0; t->cells && i < t->columns * SQL_TABLE_ROWS; i++)
        free(t->cells[i]);
    free(t->names);
    free(t->cells);
    free(t->numeric);
    free(t->widths);
}

/* ---- CSV (RFC 4180)
 * -------------------------------------------------------------------------------- */

static void csv_field(FILE *file, const char *text, size_t bytes, bool last)
{
    bool quote = false;
    for (size_t i = 0; i < bytes; i++)
        quote |= strchr("\",\r\n", text[i]) != NULL;
    if (quote)
        putc('"', file);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            putc('"', file);
        putc(text[i], file);
    }
    if (quote)
        putc('"', file);
    fputs(last ? "\r\n" : ",", file);
}

static int csv_head(void *data, const char *const *names, size_t n)
{
    struct sql_table *t = data;
    for (size_t i = 0; i < n; i++)
        csv_field(t->report->out.file, names[i], strlen(names[i]), i + 1 == n);
    return 0;
}

static int csv_row(void *data, const struct gm_value *values, size_t n)
{
    struct sql_table *t = data;
    for (size_t i = 0; i < n; i++) {
        char *text = values[i].type == GM_VALUE_NULL ? gm_name_copy("", 0) : value_text(&values[i]);
        if (!text)
            return -1;
        csv_field(t->report->out.file, text, strlen(text), i + 1 == n);
        free(text);
    }
    return 0;
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------ */

static int json_head(void *data, const char *const *names, size_t n)
{
    struct sql_table *t = data;
    struct json *j = &t->report->json;
    json_put_object(j, NULL, false);
    json_put_text(j, "schema", "geomem.sql/1");
    json_put_array(j, "columns", true);
    for (size_t i = 0; i < n; i++) {
        char *name = gm_name_copy(names[i], strlen(names[i]));
        json_put_text(j, NULL, name);
        free(name);
    }
    json_put_close(j);
    json_put_array(j, "rows", false);
    return 0;
}

static int json_row(void *data, const struct gm_value *values, size_t n)
{
    struct sql_table *t = data;
    struct json *j = &t->report->json;
    json_put_array(j, NULL, true);
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        switch (values[i].type) {
        case GM_VALUE_NULL:
            json_put_null(j, NULL);
            break;
        case GM_VALUE_INTEGER:
            json_put_integer(j, NULL, values[i].integer);
            break;
        case GM_VALUE_REAL:
            json_put_real(j, NULL, values[i].real);
            break;
        case GM_VALUE_TEXT:
        case GM_VALUE_BLOB:
            text = value_text(&values[i]);
            json_put_text(j, NULL, text);
            free(text);
            break;
        }
    }
    json_put_close(j);
    return 0;
}

int report_sql(struct report *report)
{
    struct sql_table t = {.report = report};
    struct gm_sql_sink sink = {table_head, table_row, &t};
    if (report->options->csv)
        sink = (struct gm_sql_sink){csv_head, csv_row, &t};
    if (report->options->json)
        sink = (struct gm_sql_sink){json_head, json_row, &t};
    int e = gm_sql_run(report->recording, report->options->query, &sink);
    if (e == 0 && report->options->json) {
        json_put_close(&report->json);
        json_put_close(&report->json);
        json_end(&report->json);
    } else if (e == 0 && !report->options->csv && !t.printing) {
        table_print_head(&t);
    }
    table_done(&t);
    if (e == -EINVAL)
        return report_fail(REPORT_USAGE, "%s", gm_recording_message(report->recording));
    return e;
}
