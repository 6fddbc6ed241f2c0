/* What can be recorded, and starting it. The programs are small files the test makes. */
#include <criterion/criterion.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/launch.h"
#include "collector/program.h"

static char folder[64], file[128], message[1024];

static void folder_make(void)
{
    snprintf(folder, sizeof folder, "/tmp/gm-test-launch-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/program", folder);
}

static void folder_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(program, .init = folder_make, .fini = folder_remove);
TestSuite(launch, .init = folder_make, .fini = folder_remove);

static void bytes_write(const void *bytes, size_t n, mode_t mode)
{
    unlink(file);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    fchmod(fd, mode);
    close(fd);
}

struct small_elf {
    Elf64_Ehdr head;
    Elf64_Phdr interp;
    char interpreter[64];
};

/* A header and, with an interpreter, one PT_INTERP. */
static struct small_elf elf_make(const char *interpreter)
{
    struct small_elf e = {.head = {.e_type = ET_DYN,
                              .e_machine = EM_X86_64,
                              .e_version = EV_CURRENT,
                              .e_phoff = offsetof(struct small_elf, interp),
                              .e_ehsize = sizeof(Elf64_Ehdr),
                              .e_phentsize = sizeof(Elf64_Phdr),
                              .e_phnum = 1}};
    memcpy(e.head.e_ident, ELFMAG, SELFMAG);
    e.head.e_ident[EI_CLASS] = ELFCLASS64;
    e.head.e_ident[EI_DATA] = ELFDATA2LSB;
    e.interp.p_type = interpreter ? PT_INTERP : PT_NULL;
    e.interp.p_offset = offsetof(struct small_elf, interpreter);
    if (interpreter) {
        snprintf(e.interpreter, sizeof e.interpreter, "%s", interpreter);
        e.interp.p_filesz = strlen(interpreter) + 1;
    }
    return e;
}

static const char glibc[] = "/lib64/ld-linux-x86-64.so.2";

static void expect_refused(int error, const char *part)
{
    message[0] = 0;
    cr_expect_eq(gm_program_check(file, message, sizeof message), error, "%s", message);
    cr_expect(strstr(message, part), "%s: %s", part, message);
    cr_expect(strstr(message, file), "the file is named: %s", message);
    cr_expect(!strchr(message, '\n'));
}

Test(program, a_dynamic_glibc_program_passes)
{
    struct small_elf e = elf_make(glibc);
    bytes_write(&e, sizeof e, 0755);
    cr_expect_eq(gm_program_check(file, message, sizeof message), 0, "%s", message);
    cr_expect_eq(gm_program_check("/bin/sh", message, sizeof message), 0, "%s", message);
}

Test(program, static_musl_and_unknown_loaders_are_named)
{
    struct small_elf e = elf_make(NULL);
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "static");
    cr_expect(strstr(message, "not a dynamic glibc program"));
    e = elf_make("/lib/ld-musl-x86_64.so.1");
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "musl");
    e = elf_make("/system/bin/linker64");
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "/system/bin/linker64");
    e = elf_make("/nowhere/ld-linux-x86-64.so.2");
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOENT, "/nowhere");
}

Test(program, other_machines_and_word_sizes_are_named)
{
    struct small_elf e = elf_make(glibc);
    e.head.e_machine = EM_AARCH64;
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "ARM");
    e.head.e_machine = EM_386;
    e.head.e_ident[EI_CLASS] = ELFCLASS32;
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "32-bit");
    e.head.e_machine = EM_X86_64; /* x32 */
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "32-bit");
}

Test(program, damaged_programs_are_refused_wherever_they_are_cut)
{
    struct small_elf e = elf_make(glibc);
    size_t needed = offsetof(struct small_elf, interpreter) + sizeof glibc;
    for (size_t n = 4; n < needed; n++) {
        bytes_write(&e, n, 0755);
        cr_expect_eq(gm_program_check(file, message, sizeof message), -ENOEXEC, "cut at %zu", n);
    }
    e.head.e_phnum = 65535;
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "damaged");
    e = elf_make(glibc);
    e.head.e_phoff = UINT64_MAX - 8;
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "damaged");
    e = elf_make(glibc);
    e.interp.p_filesz = UINT64_MAX;
    bytes_write(&e, sizeof e, 0755);
    expect_refused(-ENOEXEC, "damaged");
}

Test(program, secure_mode_is_named)
{
    struct small_elf e = elf_make(glibc);
    bytes_write(&e, sizeof e, 0755);
    if (geteuid() != 0) {
        cr_log_warn("skipped: only root can make a set-uid program of another user");
        return;
    }
    cr_assert_eq(chown(file, 65534, 65534), 0);
    cr_assert_eq(chmod(file, 04755), 0);
    expect_refused(-EPERM, "set-uid");
    cr_assert_eq(chmod(file, 02755), 0);
    expect_refused(-EPERM, "set-gid");
    cr_assert_eq(chmod(file, 0755), 0);
    cr_expect_eq(gm_program_check(file, message, sizeof message), 0, "%s", message);
    cr_assert_eq(chown(file, 0, 0), 0);
    cr_assert_eq(chmod(file, 06755), 0);
    cr_expect_eq(gm_program_check(file, message, sizeof message), 0,
        "our own user is no other user: %s", message);
}

Test(program, scripts_are_followed_to_what_runs_them)
{
    static const char good[] = "#! /bin/sh -e\n", gone[] = "#!/no/such/interpreter\n",
                      none[] = "#!\n", plain[] = "echo hello\n";
    bytes_write(good, sizeof good - 1, 0755);
    cr_expect_eq(gm_program_check(file, message, sizeof message), 0, "%s", message);
    bytes_write(gone, sizeof gone - 1, 0755);
    expect_refused(-ENOENT, "/no/such/interpreter");
    bytes_write(none, sizeof none - 1, 0755);
    expect_refused(-ELOOP, "#!");
    bytes_write(plain, sizeof plain - 1, 0755);
    expect_refused(-ENOEXEC, "neither");
    bytes_write(plain, sizeof plain - 1, 0644);
    expect_refused(-EACCES, "not executable");
    char itself[160];
    int n = snprintf(itself, sizeof itself, "#!%s\n", file);
    bytes_write(itself, (size_t)n, 0755);
    expect_refused(-ELOOP, "nowhere");
}

Test(program, names_are_found_as_a_shell_finds_them)
{
    char *path = NULL, list[256];
    struct small_elf e = elf_make(glibc);
    bytes_write(&e, sizeof e, 0644);
    snprintf(list, sizeof list, "/nowhere:%s:/bin", folder);
    setenv("PATH", list, 1);
    cr_expect_eq(
        gm_program_find("program", &path, message, sizeof message), -EACCES, "%s", message);
    chmod(file, 0755);
    cr_assert_eq(gm_program_find("program", &path, message, sizeof message), 0, "%s", message);
    cr_expect_str_eq(path, file);
    free(path);
    cr_expect_eq(gm_program_find("no-such-program", &path, message, sizeof message), -ENOENT);
    cr_expect(strstr(message, "no-such-program"));
    cr_assert_eq(chdir(folder), 0);
    setenv("PATH", ":/bin", 1);
    cr_assert_eq(gm_program_find("program", &path, message, sizeof message), 0,
        "an empty folder in PATH is this one");
    cr_expect_str_eq(path, "./program");
    free(path);
    setenv("PATH", "/bin", 1);
    cr_expect_eq(gm_program_find("program", &path, message, sizeof message), -ENOENT);
    cr_expect(strstr(message, "./program"), "%s", message);
    unsetenv("PATH");
    cr_assert_eq(gm_program_find("sh", &path, message, sizeof message), 0, "the system's own PATH");
    free(path);
}

/* Launches /bin/sh -c command with `library` as our library and returns its wait status. */
static int run(const char *command, const char *library)
{
    static char sh[] = "sh", c[] = "-c";
    char words[256];
    snprintf(words, sizeof words, "%s", command);
    char *argv[] = {sh, c, words, NULL};
    sigset_t none;
    sigemptyset(&none);
    const struct gm_launch_options options = {.path = "/bin/sh",
        .argv = argv,
        .preload = library,
        .session = "/tmp/no-session",
        .mask = &none};
    struct gm_launch launch;
    int status = -1;
    cr_assert_eq(gm_launch_fork(&options, &launch), 0);
    cr_assert_eq(waitpid(launch.pid, &status, WNOHANG), 0, "held back");
    cr_assert_eq(gm_launch_go(&launch), 0);
    cr_assert_eq(waitpid(launch.pid, &status, 0), launch.pid);
    return status;
}

Test(launch, the_program_gets_our_library_before_the_users)
{
    /* A library that is not there: the loader says so on standard error and goes on. */
    cr_assert(freopen("/dev/null", "w", stderr));
    setenv("LD_PRELOAD", "/users/own.so", 1);
    int status = run(
        "[ \"$LD_PRELOAD\" = /ours.so:/users/own.so ] && [ \"$GEOMEM_SESSION\" = /tmp/no-session ]",
        "/ours.so");
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unsetenv("LD_PRELOAD");
    status = run("[ \"$LD_PRELOAD\" = /ours.so ]; exit $?", "/ours.so");
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = run("kill -9 $$", "/ours.so");
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == 9);
}

Test(launch, a_failed_exec_is_reported_and_reaped)
{
    char *argv[] = {file, NULL};
    sigset_t none;
    sigemptyset(&none);
    const struct gm_launch_options options = {
        .path = file, .argv = argv, .preload = "/ours.so", .session = "/s", .mask = &none};
    struct gm_launch launch;
    cr_assert_eq(gm_launch_fork(&options, &launch), 0);
    cr_expect_eq(gm_launch_go(&launch), -ENOENT);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_expect_eq(errno, ECHILD);
}

Test(launch, a_cancelled_child_never_runs)
{
    char made[160], command[200];
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(command, sizeof command, ": > %s", made);
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, command, NULL};
    sigset_t none;
    sigemptyset(&none);
    const struct gm_launch_options options = {
        .path = "/bin/sh", .argv = argv, .preload = "/ours.so", .session = "/s", .mask = &none};
    struct gm_launch launch;
    cr_assert_eq(gm_launch_fork(&options, &launch), 0);
    gm_launch_cancel(&launch);
    gm_launch_cancel(&launch);
    cr_expect_eq(access(made, F_OK), -1);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "reaped");
}
