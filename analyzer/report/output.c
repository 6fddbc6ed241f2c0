/* output.c - see output.h. */
#include "analyzer/report/output.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/core/names.h"

static bool env_is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool color_is_wanted(enum out_color color)
{
    const char *term = getenv("TERM");
    if (color != OUT_COLOR_AUTO)
        return color == OUT_COLOR_ALWAYS;
    if (env_is_set("NO_COLOR"))
        return false;
    if (env_is_set("CLICOLOR_FORCE") && strcmp(getenv("CLICOLOR_FORCE"), "0") != 0)
        return true;
    return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* Starts the pager and gives back the stream to write to; NULL if there is none to start. */
static FILE *pager_start(int *ret_pid)
{
    const char *command = env_is_set("GEOMEM_PAGER") ? getenv("GEOMEM_PAGER")
                          : env_is_set("PAGER")      ? getenv("PAGER")
                                                     : "less";
    int ends[2];
    if (strcmp(command, "cat") == 0 || pipe(ends) < 0)
        return NULL;
    int pid = fork();
    if (pid == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("LESS", "FRX", 0);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    FILE *file = pid > 0 ? fdopen(ends[1], "w") : NULL;
    if (!file)
        close(ends[1]);
    *ret_pid = pid > 0 ? pid : 0;
    return file;
}

void out_open(struct out *out, enum out_color color, bool ascii, bool page)
{
    const char *term = getenv("TERM");
    bool smart = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
    setlocale(LC_CTYPE, "");
    *out = (struct out){.file = stdout, .ascii = ascii};
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        out->ascii = true;
        setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of characters */
    }
    out->color = color_is_wanted(color);
    FILE *pager = page && smart ? pager_start(&out->pager_pid) : NULL;
    if (pager) {
        signal(SIGPIPE, SIG_IGN); /* a pager that was left is no error */
        out->file = pager;
    }
}

int out_close(struct out *out)
{
    bool failed = ferror(out->file) != 0;
    int error = 0;
    errno = 0;
    if (out->file == stdout ? fflush(stdout) : fclose(out->file))
        failed = true;
    if (failed)
        error = errno ? errno : EIO;
    if (out->pager_pid) {
        int status;
        while (waitpid(out->pager_pid, &status, 0) < 0 && errno == EINTR)
            ;
        error = 0;
    }
    return -error;
}

static void out_write_utf8(struct out *out, const char *text)
{
    for (; *text; text++)
        if (*text == OUT_ABOUT)
            fputs("\u2248", out->file);
        else if (*text == OUT_PLUS_MINUS)
            fputs("\u00b1", out->file);
        else
            putc(*text, out->file);
}

/* Writes UTF-8, or what stands for it in ASCII. */
static void out_write(struct out *out, const char *text)
{
    static const struct {
        const char *utf8, *ascii;
    } map[] = {{"\u00b7", "-"}, {"\u2026", "..."}, {"\u2588", "#"}, {"\u2587", "#"},
        {"\u2586", "#"}, {"\u2585", "+"}, {"\u2584", "+"}, {"\u2583", "-"}, {"\u2582", "-"},
        {"\u2581", "."}, {"\u2589", "#"}, {"\u258a", "#"}, {"\u258b", "#"}, {"\u258c", "="},
        {"\u258d", "="}, {"\u258e", "-"}, {"\u258f", "-"}, {"\u2502", "|"}, {"\u251c", "|"},
        {"\u2514", "`"}, {"\u2500", "-"}};
    if (!out->ascii) {
        out_write_utf8(out, text);
        return;
    }
    for (const char *p = text; *p;) {
        size_t length = (*p & 0x80) == 0      ? 1
                        : (*p & 0xe0) == 0xc0 ? 2
                        : (*p & 0xf0) == 0xe0 ? 3
                                              : 4;
        const char *ascii = "?";
        for (size_t i = 0; length > 1 && i < sizeof map / sizeof *map; i++)
            if (strncmp(p, map[i].utf8, length) == 0)
                ascii = map[i].ascii;
        if (*p == OUT_PLUS_MINUS)
            fputs("+-", out->file);
        else if (length == 1)
            putc(*p == OUT_ABOUT ? '~' : *p, out->file);
        else
            fputs(ascii, out->file);
        while (length-- && *p)
            p++;
    }
}

static void out_vprintf(struct out *out, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        return;
    out_write(out, text);
    free(text);
}

void out_printf(struct out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    out_vprintf(out, format, args);
    va_end(args);
}

void out_styled(struct out *out, enum out_style style, const char *format, ...)
{
    static const char *const codes[] = {
        [OUT_PLAIN] = "", [OUT_BOLD] = "\033[1m", [OUT_DIM] = "\033[2m", [OUT_WARN] = "\033[1;33m"};
    size_t length = strlen(format);
    bool newline = length && format[length - 1] == '\n';
    char *line = strndup(format, newline ? length - 1 : length);
    va_list args;
    if (!line)
        return;
    if (out->color && style != OUT_PLAIN)
        fputs(codes[style], out->file);
    va_start(args, format);
    out_vprintf(out, line, args);
    va_end(args);
    if (out->color && style != OUT_PLAIN)
        fputs("\033[0m", out->file);
    if (newline)
        putc('\n', out->file);
    free(line);
}

void out_cut(struct out *out, const char *text, size_t columns)
{
    if (gm_name_width(text) <= columns) {
        out_write(out, text);
        return;
    }
    if (columns == 0)
        return;
    char *prefix = strndup(text, gm_name_prefix(text, columns - 1));
    if (prefix)
        out_write(out, prefix);
    putc('~', out->file);
    free(prefix);
}

void out_padded(struct out *out, const char *text, size_t columns)
{
    size_t width = gm_name_width(text);
    out_cut(out, text, columns);
    for (; width < columns; width++)
        putc(' ', out->file);
}

void out_bar(struct out *out, double value, double most, size_t columns)
{
    static const char *const part[] = {
        "", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
    double share = most > 0 && value > 0 ? value / most : 0;
    size_t eighths = (size_t)((share > 1 ? 1 : share) * (double)columns * 8 + 0.5);
    if (eighths == 0 && value > 0)
        eighths = 1;
    for (size_t i = 0; i < eighths / 8; i++)
        out_write(out, "\u2588");
    out_write(out, part[eighths % 8]);
}

void out_block(struct out *out, int eighths)
{
    static const char *const block[] = {
        " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
    out_write(out, block[eighths < 0 ? 0 : eighths > 8 ? 8 : eighths]);
}
