/* say.c - see say.h. The figures read like those of the analyzer, which the recorder cannot link. */
#include "collector/say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "schemas/text.h"

#define WIPE "\r\033[K"

static bool progress_shown;

static void line_write(const char *head, const char *tail, const char *format, va_list args)
{
    char line[4096];
    size_t head_bytes = (size_t)snprintf(
        line, sizeof line, "%s%sgeomem-record: ", progress_shown ? WIPE : "", head);
    size_t room = sizeof line - head_bytes - strlen(tail);
    int n = vsnprintf(line + head_bytes, room, format, args);
    size_t used = head_bytes + (n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
    strcpy(line + used, tail);
    /* Nobody can be told that standard error does not work. */
    if (write(STDERR_FILENO, line, used + strlen(tail)) < 0)
        return;
}

void gm_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_write("", "\n", format, args);
    va_end(args);
    progress_shown = false;
}

void gm_say_progress(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_write("", "", format, args);
    va_end(args);
    progress_shown = true;
}

void gm_say_progress_end(void)
{
    if (progress_shown && write(STDERR_FILENO, WIPE, strlen(WIPE)) < 0)
        return;
    progress_shown = false;
}

const char *gm_say_bytes(uint64_t bytes, char out[static GM_SAY_FIGURE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit < 6) {
        value /= 1000;
        unit++;
    }
    snprintf(out, GM_SAY_FIGURE, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *gm_say_count(uint64_t count, char out[static GM_SAY_FIGURE])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

const char *gm_say_file(const char *name, char *out, size_t room)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:=@%";
    if (*name && name[strspn(name, plain)] == 0)
        return gm_text_clean(name, out, room);
    out[0] = '\'';
    size_t n = 1 + gm_text_clean_bytes(name, strlen(name), out + 1, room - 2);
    out[n] = '\'';
    out[n + 1] = 0;
    return out;
}
