/* symbols_ask.h - for tests: asks a symbol client and keeps what it answers. */
#ifndef GM_TESTS_SYMBOLS_ASK_H
#define GM_TESTS_SYMBOLS_ASK_H

#include <criterion/criterion.h>
#include <gelf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/symbols/client.h"

#define ASK_MAX 20000

struct answer {
    unsigned times; /* how often it was given */
    size_t count;
    struct gm_symbols_line *lines;
};
static struct answer answers[ASK_MAX + 1]; /* by frame id */
static int sources[ASK_MAX + 1];           /* by module id; -1: none told */
static unsigned source_changes[ASK_MAX + 1];

static inline void ask_on_frame(
    void *context, uint32_t frame_id, const struct gm_symbols_line *lines, size_t count)
{
    (void)context;
    cr_assert_leq(frame_id, ASK_MAX);
    struct answer *answer = &answers[frame_id];
    answer->times++;
    answer->count = count;
    answer->lines = calloc(count + 1, sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        answer->lines[i].function = lines[i].function ? strdup(lines[i].function) : NULL;
        answer->lines[i].file = lines[i].file ? strdup(lines[i].file) : NULL;
        answer->lines[i].line = lines[i].line;
    }
}

static inline void ask_on_module(void *context, uint32_t module_id, enum gm_symbols_source source)
{
    (void)context;
    cr_assert_leq(module_id, ASK_MAX);
    sources[module_id] = (int)source;
    source_changes[module_id]++;
}

static const struct gm_symbols_handler ask_handler = {ask_on_frame, ask_on_module, NULL};

static inline void ask_forget(void)
{
    for (size_t i = 0; i <= ASK_MAX; i++) {
        for (size_t j = 0; j < answers[i].count; j++) {
            free((char *)(uintptr_t)answers[i].lines[j].function);
            free((char *)(uintptr_t)answers[i].lines[j].file);
        }
        free(answers[i].lines);
        answers[i] = (struct answer){0};
        sources[i] = -1;
        source_changes[i] = 0;
    }
}

static inline struct gm_symbols *ask_create(struct gm_symbols_options options)
{
    struct gm_symbols *symbols = NULL;
    if (!options.worker_path)
        options.worker_path = GM_TEST_WORKER;
    options.keep_stderr = true;
    cr_assert_eq(gm_symbols_create(&options, &symbols), 0);
    ask_forget();
    return symbols;
}

/* Until all is answered. */
static inline void ask_wait(struct gm_symbols *symbols)
{
    while (gm_symbols_pending(symbols)) {
        int r = gm_symbols_poll(symbols, 60000, &ask_handler);
        cr_assert_gt(r, 0, "poll: %d %s", r, gm_symbols_message(symbols));
    }
}

static inline Elf *ask_elf_open(const char *path, int *ret_fd)
{
    elf_version(EV_CURRENT);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(*ret_fd, 0, "%s", path);
    Elf *elf = elf_begin(*ret_fd, ELF_C_READ, NULL);
    cr_assert(elf);
    return elf;
}

/* The next section of a type behind *section, with its header and data. */
static inline bool ask_section_next(
    Elf *elf, Elf_Scn **section, GElf_Word type, GElf_Shdr *header, Elf_Data **data)
{
    while ((*section = elf_nextscn(elf, *section)))
        if (gelf_getshdr(*section, header) && header->sh_type == type) {
            *data = elf_getdata(*section, NULL);
            return *data != NULL;
        }
    return false;
}

/* The address of a symbol in .symtab; 0: not there. */
static inline uint64_t ask_address(const char *path, const char *name)
{
    int fd;
    uint64_t address = 0;
    Elf *elf = ask_elf_open(path, &fd);
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    Elf_Data *data;
    while (ask_section_next(elf, &section, SHT_SYMTAB, &header, &data)) {
        GElf_Sym sym;
        for (int i = 0; gelf_getsym(data, i, &sym); i++) {
            const char *here = elf_strptr(elf, header.sh_link, sym.st_name);
            if (here && strcmp(here, name) == 0)
                address = sym.st_value;
        }
    }
    elf_end(elf);
    close(fd);
    return address;
}

static inline void ask_build_id(const char *path, char ret_hex[129])
{
    int fd;
    Elf *elf = ask_elf_open(path, &fd);
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    Elf_Data *data;
    ret_hex[0] = 0;
    while (ask_section_next(elf, &section, SHT_NOTE, &header, &data)) {
        GElf_Nhdr note;
        size_t name, desc, at = 0;
        while ((at = gelf_getnote(data, at, &note, &name, &desc)) > 0)
            if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz <= 64 && note.n_namesz == 4)
                for (size_t i = 0; i < note.n_descsz; i++)
                    snprintf(ret_hex + 2 * i, 3, "%02x", ((uint8_t *)data->d_buf)[desc + i]);
    }
    elf_end(elf);
    close(fd);
}

#endif
