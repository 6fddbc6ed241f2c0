/* figures.c - see figures.h. */
#include "analyzer/core/figures.h"

#include <math.h>
#include <stdio.h>

/* Divides by 1000 until three digits are left; returns how often. */
static size_t figure_scale(double *v)
{
    size_t u = 0;
    while (*v >= 999.5 && u < 6) {
        *v /= 1000;
        u++;
    }
    return u;
}

char *gm_figure_bytes(char out[static GM_FIGURE_BYTES], uint64_t bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        snprintf(out, GM_FIGURE_BYTES, "%u B", (unsigned)bytes);
        return out;
    }
    double v = (double)bytes;
    size_t u = figure_scale(&v);
    snprintf(out, GM_FIGURE_BYTES, v < 99.95 ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return out;
}

char *gm_figure_short(char out[static GM_FIGURE_BYTES], uint64_t count)
{
    static const char unit[] = " kMGTPE";
    if (count < 1000) {
        snprintf(out, GM_FIGURE_BYTES, "%u", (unsigned)count);
        return out;
    }
    double v = (double)count;
    size_t u = figure_scale(&v);
    snprintf(out, GM_FIGURE_BYTES, v < 99.95 ? "%.1f%c" : "%.0f%c", v, unit[u]);
    return out;
}

char *gm_figure_count(char out[static GM_FIGURE_BYTES], uint64_t count)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    size_t o = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = 0;
    return out;
}

char *gm_figure_change(char out[static GM_FIGURE_BYTES], double bytes)
{
    double size = fabs(bytes);
    if (!(size >= 0.5)) {
        snprintf(out, GM_FIGURE_BYTES, "0");
        return out;
    }
    char figure[GM_FIGURE_BYTES];
    gm_figure_bytes(figure, size < 1.8e19 ? (uint64_t)(size + 0.5) : UINT64_MAX);
    snprintf(out, GM_FIGURE_BYTES, "%c%.30s", bytes < 0 ? '-' : '+', figure);
    return out;
}

static void figure_seconds(char out[static GM_FIGURE_BYTES], int64_t seconds)
{
    long long s = (long long)seconds;
    if (s < 3600)
        snprintf(out, GM_FIGURE_BYTES, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, GM_FIGURE_BYTES, "%lldh%02lldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, GM_FIGURE_BYTES, "%lldd%02lldh", s / 86400, s / 3600 % 24);
}

char *gm_figure_time(char out[static GM_FIGURE_BYTES], int64_t time_ns)
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};
    if (time_ns <= 0) {
        snprintf(out, GM_FIGURE_BYTES, "0 s");
        return out;
    }
    if (time_ns >= 99950000000) {
        figure_seconds(out, time_ns / 1000000000);
        return out;
    }
    double v = (double)time_ns;
    size_t u = 0;
    while (v >= 999.5 && u < 3) {
        v /= 1000;
        u++;
    }
    snprintf(out, GM_FIGURE_BYTES,
        u == 0 || v >= 99.95 ? "%.0f %s"
        : v < 9.995          ? "%.2f %s"
                             : "%.1f %s",
        v, unit[u]);
    return out;
}

char *gm_figure_percent(char out[static GM_FIGURE_BYTES], double part, double whole)
{
    if (!(whole > 0)) {
        snprintf(out, GM_FIGURE_BYTES, "-");
        return out;
    }
    double p = 100 * part / whole;
    if (p > 0 && p < 0.05)
        snprintf(out, GM_FIGURE_BYTES, "<0.1%%");
    else if (part < whole && p >= 99.95)
        snprintf(out, GM_FIGURE_BYTES, ">99.9%%");
    else
        snprintf(out, GM_FIGURE_BYTES, p >= 99.95 ? "%.0f%%" : "%.1f%%", p);
    return out;
}

char *gm_figure_binary(char out[static GM_FIGURE_BYTES], uint64_t bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t u = 0;
    if (bytes == 0 || bytes & (bytes - 1))
        return gm_figure_bytes(out, bytes);
    for (; bytes >= 1024; bytes /= 1024)
        u++;
    snprintf(out, GM_FIGURE_BYTES, "%u %s", (unsigned)bytes, unit[u]);
    return out;
}

const char *gm_figure_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
