/* wire_layout.c - prints the layout of wire.h as the compiler sees it, for event_format_doc.py to compare
 * with docs/event-format.md: "struct offset bytes field", then "kind code NAME words text" and
 * "function code name". Fields are listed by hand; one that is missing here is missing in the document. */
#include <stdio.h>

#include "schemas/wire.h"

#define FIELD(type, field) \
    printf("%s %zu %zu %s\n", #type, offsetof(struct type, field), \
        sizeof(((struct type *)0)->field), #field)

int main(void)
{
    FIELD(gm_session, magic);
    FIELD(gm_session, version);
    FIELD(gm_session, header_bytes);
    FIELD(gm_session, session_bytes);
    FIELD(gm_session, session_id);
    FIELD(gm_session, ring_count);
    FIELD(gm_session, ring_words);
    FIELD(gm_session, ring_data_offset);
    FIELD(gm_session, clock);
    FIELD(gm_session, unwinder);
    FIELD(gm_session, flags);
    FIELD(gm_session, depth_leaf);
    FIELD(gm_session, depth_root);
    FIELD(gm_session, full_wait_ms);
    FIELD(gm_session, sample_bytes);
    FIELD(gm_session, ticks_per_ms);
    FIELD(gm_session, sample_seed);
    FIELD(gm_session, heartbeat);
    FIELD(gm_session, stop);
    FIELD(gm_session, sample_log2);
    FIELD(gm_session, clock_now);
    FIELD(gm_session, end_kind);
    FIELD(gm_session, end_value);
    FIELD(gm_session, module_epoch);
    FIELD(gm_session, lost_unringed);
    FIELD(gm_session, verify_captures);
    FIELD(gm_session, verify_differences);
    FIELD(gm_session, cut_stacks);
    FIELD(gm_session, sample_ticks);
    FIELD(gm_ring, head);
    FIELD(gm_ring, busy);
    FIELD(gm_ring, owner);
    FIELD(gm_ring, dropped);
    FIELD(gm_ring, waited_ns);
    FIELD(gm_ring, folding);
    FIELD(gm_ring, tail);
    FIELD(gm_ring, claim);
    FIELD(gm_hello, magic);
    FIELD(gm_hello, version);
    FIELD(gm_hello, kind);
    FIELD(gm_hello, pid);
    FIELD(gm_hello, ppid);
    FIELD(gm_hello, parent_session_id);
    FIELD(gm_welcome, magic);
    FIELD(gm_welcome, version);
    FIELD(gm_welcome, status);
    FIELD(gm_welcome, session_bytes);
#define GM_X(code, NAME, words, text) printf("kind %d %s %d %s\n", code, #NAME, words, text);
    GM_EVENT_KINDS(GM_X)
#undef GM_X
#define GM_X(code, name) printf("function %d %s\n", code, #name);
    GM_ALLOC_FUNCTIONS(GM_X)
#undef GM_X
    printf("version %u\n", GM_WIRE_VERSION);
    return 0;
}
