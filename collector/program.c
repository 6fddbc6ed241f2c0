/* program.c - see program.h. */
#include "collector/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "schemas/text.h"

#define SCRIPT_LEVELS 5  /* scripts run by scripts: the kernel gives up there too */
#define LINE_BYTES 256   /* as much of a #! line as the kernel reads (BINPRM_BUF_SIZE) */
#define MAX_HEADERS 1024 /* program headers looked at; real programs have a dozen */
#define LOADER "ld-linux-x86-64.so.2"

struct answer {
    const char *path;
    char *message;
    size_t message_bytes;
};

__attribute__((format(printf, 3, 4))) static int answer(
    const struct answer *a, int error, const char *format, ...)
{
    char name[GM_TEXT_CLEAN_ROOM(200)];
    gm_text_clean(a->path, name, sizeof name);
    int n = snprintf(a->message, a->message_bytes, "%s: ", name);
    if (n > 0 && (size_t)n < a->message_bytes) {
        va_list args;
        va_start(args, format);
        vsnprintf(a->message + n, a->message_bytes - (size_t)n, format, args);
        va_end(args);
    }
    return error;
}

/* ---- finding -------------------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* Looks in every folder of PATH; an empty one is the current folder. */
static int path_search(const char *name, char **ret_path, bool *ret_seen)
{
    const char *list = getenv("PATH");
    char fallback[256], found[PATH_MAX];
    if (!list) {
        confstr(_CS_PATH, fallback, sizeof fallback);
        list = fallback;
    }
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ":");
        int length = snprintf(
            found, sizeof found, "%.*s%s%s", n < PATH_MAX ? (int)n : 0, p, n ? "/" : "./", name);
        if (length > 0 && (size_t)length < sizeof found) {
            if (is_program(found)) {
                *ret_path = strdup(found);
                return *ret_path ? 0 : -ENOMEM;
            }
            *ret_seen |= access(found, F_OK) == 0;
        }
        p += n;
        if (!*p)
            return -ENOENT;
    }
}

int gm_program_find(const char *name, char **ret_path, char *message, size_t message_bytes)
{
    struct answer a = {name, message, message_bytes};
    bool seen = false;
    if (strchr(name, '/')) {
        char *path = strdup(name);
        if (!path)
            return answer(&a, -ENOMEM, "out of memory");
        *ret_path = path;
        return 0;
    }
    int r = path_search(name, ret_path, &seen);
    if (r == -ENOMEM)
        return answer(&a, r, "out of memory");
    if (r < 0 && seen)
        return answer(
            &a, -EACCES, "found in PATH, but not executable; name a program, or chmod +x it");
    if (r < 0 && access(name, X_OK) == 0)
        return answer(
            &a, r, "program not found in PATH; for the one in this folder say ./%.60s", name);
    if (r < 0)
        return answer(&a, r, "program not found in PATH; check the name, or give its path");
    return r;
}

/* ---- checking an ELF file ------------------------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
        return "32-bit x86";
    case EM_AARCH64:
        return "ARM 64";
    case EM_ARM:
        return "ARM";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "POWER";
    case EM_S390:
        return "S/390";
    default:
        return "another processor";
    }
}

/* The text of PT_INTERP; "" for a program without one. Returns 0 or -ENOEXEC for a file that ends early. */
static int elf_interpreter(int fd, const Elf64_Ehdr *e, char out[PATH_MAX])
{
    out[0] = 0;
    if (e->e_phentsize != sizeof(Elf64_Phdr) || e->e_phnum == 0 || e->e_phnum > MAX_HEADERS)
        return -ENOEXEC;
    for (unsigned i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr p;
        if (pread(fd, &p, sizeof p, (off_t)(e->e_phoff + i * sizeof p)) != (ssize_t)sizeof p)
            return -ENOEXEC;
        if (p.p_type != PT_INTERP)
            continue;
        if (p.p_filesz == 0 || p.p_filesz >= PATH_MAX ||
            pread(fd, out, p.p_filesz, (off_t)p.p_offset) != (ssize_t)p.p_filesz)
            return -ENOEXEC;
        out[p.p_filesz] = 0;
        return 0;
    }
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int elf_check(const struct answer *a, int fd, const Elf64_Ehdr *e, size_t bytes)
{
    char interpreter[PATH_MAX], shown[200], real[PATH_MAX];
    if (bytes >= EI_NIDENT + 4 && e->e_machine != EM_X86_64)
        return answer(a, -ENOEXEC,
            "is a program for %s; geomem records x86-64 programs of this machine only",
            machine_name(e->e_machine));
    if (bytes >= EI_NIDENT && e->e_ident[EI_CLASS] != ELFCLASS64)
        return answer(a, -ENOEXEC,
            "is a 32-bit program; geomem records 64-bit programs only: build it with -m64");
    if (bytes < sizeof *e || e->e_ident[EI_DATA] != ELFDATA2LSB ||
        (e->e_type != ET_EXEC && e->e_type != ET_DYN) || elf_interpreter(fd, e, interpreter) < 0)
        return answer(a, -ENOEXEC,
            "is damaged or no program (its ELF headers make no sense); build it again");
    if (strcmp(base_name(interpreter), LOADER) == 0) {
        if (access(interpreter, X_OK) < 0)
            return answer(a, -ENOENT,
                "wants the loader %s, which is not there; install glibc (Debian: libc6)",
                gm_text_clean(interpreter, shown, sizeof shown));
        return 0;
    }
    /* The loader itself may be the program: ld.so PROGRAM. */
    if (!interpreter[0] && realpath(a->path, real) && strncmp(base_name(real), "ld-", 3) == 0)
        return 0;
    if (!interpreter[0])
        return answer(a, -ENOEXEC,
            "is statically linked: not a dynamic glibc program, nothing can be preloaded into"
            " it; link it without -static");
    if (strncmp(base_name(interpreter), "ld-musl", 7) == 0)
        return answer(
            a, -ENOEXEC, "is linked with musl: not a dynamic glibc program; build it with glibc");
    return answer(a, -ENOEXEC, "is loaded by %s: not a dynamic glibc program; build it with glibc",
        gm_text_clean(interpreter, shown, sizeof shown));
}

/* ---- secure mode ---------------------------------------------------------------------------------------- */

/* Where the kernel gives a program more rights than its user has, the loader ignores LD_PRELOAD. The bits do
 * not count on file systems mounted nosuid and under no_new_privs. */
static int secure_check(const struct answer *a, int fd)
{
    struct stat st;
    struct statvfs fs;
    if (fstat(fd, &st) < 0 || (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOSUID) ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return 0;
    static const char todo[] =
        "the system ignores preloaded libraries then: record a copy of it (cp drops the right),"
        " or as the user it runs as";
    if (st.st_mode & S_ISUID && st.st_uid != getuid())
        return answer(a, -EPERM, "is set-uid (runs as user %u); %s", (unsigned)st.st_uid, todo);
    if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
        return answer(a, -EPERM, "is set-gid (runs as group %u); %s", (unsigned)st.st_gid, todo);
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return answer(a, -EPERM, "has file capabilities; %s", todo);
    return 0;
}

/* ---- the chain ------------------------------------------------------------------------------------------ */

/* The interpreter a #! line names, without its argument; "" if it names none. */
static void script_interpreter(const char *line, size_t bytes, char out[LINE_BYTES])
{
    size_t i = 2, n = 0;
    while (i < bytes && (line[i] == ' ' || line[i] == '\t'))
        i++;
    while (i < bytes && line[i] && !strchr(" \t\n", line[i]))
        out[n++] = line[i++];
    out[n] = 0;
}

static int openable(const struct answer *a, const char *script, int *ret_fd)
{
    struct stat st;
    char by[GM_TEXT_CLEAN_ROOM(100)] = "", shown[GM_TEXT_CLEAN_ROOM(60)];
    if (script)
        snprintf(
            by, sizeof by, " (the interpreter of %s)", gm_text_clean(script, shown, sizeof shown));
    if (stat(a->path, &st) < 0)
        return answer(a, -errno, "cannot be run%s: %s; check the name", by, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return answer(a, -EACCES, "is a folder%s; name a program in it", by);
    if (!S_ISREG(st.st_mode))
        return answer(a, -EACCES, "is not a regular file%s; name a program", by);
    if (faccessat(AT_FDCWD, a->path, X_OK, AT_EACCESS) < 0)
        return answer(a, -EACCES, "is not executable%s; name a program, or chmod +x it", by);
    int fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != EACCES)
        return answer(a, -errno, "cannot be read%s: %s", by, strerror(errno));
    *ret_fd = fd; /* -1: executable but not readable, which only the kernel can look into */
    return 0;
}

int gm_program_check(const char *path, char *message, size_t message_bytes)
{
    char current[PATH_MAX], next[LINE_BYTES];
    char *script = NULL;
    int r = 0;
    if ((size_t)snprintf(current, sizeof current, "%s", path) >= sizeof current)
        return answer(
            &(struct answer){path, message, message_bytes}, -ENAMETOOLONG, "the name is too long");
    for (int level = 0;; level++) {
        struct answer a = {current, message, message_bytes};
        union {
            Elf64_Ehdr elf;
            char line[LINE_BYTES];
        } head = {.line = {0}};
        int fd = -1;
        r = openable(&a, script, &fd);
        if (r < 0 || fd < 0)
            break;
        ssize_t n = pread(fd, &head, sizeof head, 0);
        if (n >= 4 && memcmp(head.line, ELFMAG, SELFMAG) == 0) {
            r = elf_check(&a, fd, &head.elf, (size_t)n);
            r = r == 0 ? secure_check(&a, fd) : r;
            close(fd);
            break;
        }
        close(fd);
        if (n < 2 || memcmp(head.line, "#!", 2) != 0) {
            r = answer(&a, -ENOEXEC,
                "is neither a program nor a script with a #! line; name what runs it, e.g. sh");
            break;
        }
        script_interpreter(head.line, (size_t)n, next);
        if (!next[0] || level == SCRIPT_LEVELS) {
            r = answer(&a, -ELOOP, "has a #! line that leads nowhere; name a program after #!");
            break;
        }
        free(script);
        script = strdup(current);
        snprintf(current, sizeof current, "%s", next);
    }
    free(script);
    return r;
}
