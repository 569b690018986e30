/* Lists names without end, page after page, each with as much metadata as it may have. */
#define LIST endless
#include "hostile.h"

static keystead_status endless(keystead_vault *vault, const keystead_list_request *request,
                               keystead_reply reply) {
    static unsigned long next;
    static char much[60000], name[32];
    keystead_metadata one = {.size = sizeof one, .kind = KEYSTEAD_METADATA_TEXT};
    keystead_entry entry = {.size = sizeof entry, .kind = KEYSTEAD_VALUE_TEXT};
    (void)vault;
    one.key = keystead_text("much");
    one.text.data = much, one.text.size = sizeof much;
    memset(much, 'z', sizeof much);
    for (size_t at = 0; at < request->limit; at++) {
        snprintf(name, sizeof name, "%lu", next++);
        entry.name = keystead_text(name);
        host->entry(reply, &entry);
        host->metadata(reply, &one);
    }
    host->next_cursor(reply, keystead_text(name));
    return KEYSTEAD_OK;
}

static const char *attempt(const char *what, const char *target) {
    (void)what, (void)target;
    return "done";
}
