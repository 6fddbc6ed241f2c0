/* command.h - a recorded command line as text. */
#ifndef GM_ANALYZER_CORE_COMMAND_H
#define GM_ANALYZER_CORE_COMMAND_H

/* Turns a JSON array of strings into what one would type into a shell, quoted where needed. Text
 * that is no such array is given back as it is. To be freed by the caller; NULL without memory. */
char *gm_command_text(const char *json);

#endif
