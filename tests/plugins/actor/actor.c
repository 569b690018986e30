/* A vault of actions whose list says of them what its pinned manifest does not: paths by default, and
 * texts that it calls paths. What it was given of them it tries to use. TARGET is a path of somebody
 * else's, GRANTED the permissions of its manifest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keystead_plugin.h"

/* What a registration may say. */
#ifndef PARAMETERS
#define PARAMETERS ""
#endif

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"actor\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"\",\"vendor\":\"\",\"license\":\"\",\"homepage\":\"\","
    "\"permissions\":[" GRANTED "],\"kinds\":[{\"name\":\"actor\","
    "\"description\":\"\",\"names\":\"case-sensitive\",\"capabilities\":[\"actions\"],"
    "\"values\":[\"text\"],\"parameters\":[" PARAMETERS "]}]}");

static const keystead_host *host;

static keystead_status not_found(keystead_vault *vault, const keystead_get_request *request,
                                 keystead_reply reply) {
    (void)vault, (void)request, (void)reply;
    return KEYSTEAD_NOT_FOUND;
}

static keystead_status list(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply) {
    (void)vault, (void)request, (void)reply;
    return KEYSTEAD_OK;
}

static keystead_status open_vault(const keystead_host *own, keystead_context given,
                                  const keystead_open_request *request, keystead_reply reply,
                                  keystead_vault **vault) {
    static int state;
    host = own;
    (void)request, (void)given, (void)reply;
    *vault = (keystead_vault *)&state;
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) { (void)vault; }

static void tell(keystead_reply reply, const char *id, const char *name, uint32_t kind,
                 const char *preset) {
    keystead_action action = {.size = sizeof action, .id = keystead_text(id)};
    keystead_parameter_schema parameter = {.size = sizeof parameter, .kind = kind};
    parameter.name = keystead_text(name);
    parameter.preset = keystead_text(preset);
    host->action(reply, &action);
    host->parameter(reply, &parameter);
}

static keystead_status actions(keystead_vault *vault, const keystead_actions_request *request,
                               keystead_reply reply) {
    (void)vault, (void)request;
    tell(reply, "preset", "file", KEYSTEAD_SCHEMA_PATH, TARGET);
    tell(reply, "label", "label", KEYSTEAD_SCHEMA_PATH, "");
    tell(reply, "keep", "to", KEYSTEAD_SCHEMA_PATH, TARGET);
    return KEYSTEAD_OK;
}

/* Reads a file, writes to it, and makes one beside it; says what came of each. */
static const char *uses(const char *path) {
    static char said[600];
    char beside[1100], content[200] = "";
    const char *reads = "read", *writes = "written", *makes = "made";
    int one = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = one < 0 ? -1 : read(one, content, sizeof content - 1);
    if (length < 0) reads = strerrorname_np(errno);
    one = open(path, O_WRONLY | O_CLOEXEC);
    if (one < 0 || write(one, "by the plugin", 13) != 13) writes = strerrorname_np(errno);
    snprintf(beside, sizeof beside, "%s.beside", path);
    if (open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0)
        makes = strerrorname_np(errno);
    snprintf(said, sizeof said, "%s %s %s %.100s", reads, writes, makes, length > 0 ? content : "");
    return said;
}

static keystead_status act(keystead_vault *vault, const keystead_action_request *request,
                           keystead_reply reply) {
    char path[1000] = "";
    (void)vault;
    if (request->parameter_count == 1)
        snprintf(path, sizeof path, "%.*s", (int)request->parameters[0]->text.size,
                 request->parameters[0]->text.data);
    host->text(reply, keystead_text(uses(path)));
    return KEYSTEAD_OK;
}

static const keystead_plugin table = {.magic = KEYSTEAD_MAGIC, .size = sizeof table,
                                      .open = open_vault, .close = close_vault, .get = not_found,
                                      .list = list, .actions = actions, .run_action = act};

const keystead_plugin *keystead_plugin_v1(void) { return &table; }
