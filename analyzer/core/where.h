/* where.h - the one line of a stack that its author wants to see.
 *
 * A stack begins inside the allocator and ends inside the C library's start-up code. The line to
 * show is the innermost one that is neither: past malloc wrappers, the C and C++ libraries,
 * containers, and, where something else is on the stack, past the runtime of an interpreter.
 */
#ifndef GM_ANALYZER_CORE_WHERE_H
#define GM_ANALYZER_CORE_WHERE_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/core/stacks.h"

enum gm_frame_class {
    GM_FRAME_MINE,      /* application code, or a library that is not known */
    GM_FRAME_RUNTIME,   /* an interpreter or language runtime */
    GM_FRAME_ALLOCATOR, /* malloc and its wrappers, containers, libc, libstdc++, ld.so */
};

enum gm_frame_class gm_frame_classify(const struct gm_frame *frame);

/* Whether a function is of the malloc family or named like a wrapper of it. */
bool gm_function_wraps(const char *function);

/* Index of the frame to show: the innermost of the best class there is. 0 for a stack without
 * frames too. */
size_t gm_where_index(const struct gm_stack *stack);

/* Writes "function file.c:12" (or "function [libfoo.so]", "[no stack]") into text and returns it.
 * Long function names lose their parameter lists first. */
char *gm_where_text(const struct gm_stack *stack, char *text, size_t text_bytes);
char *gm_frame_text(const struct gm_frame *frame, char *text, size_t text_bytes);

/* "session.c:19", "libfoo.so" or "" */
char *gm_frame_place(const struct gm_frame *frame, char *text, size_t text_bytes);

/* Shortens a demangled name: drops the parameter list and what is inside of template brackets. */
char *gm_function_short(const char *function, char *text, size_t text_bytes);

#endif
