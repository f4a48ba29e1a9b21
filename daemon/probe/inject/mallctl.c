/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/mallctl.h"

#include <stdio.h>
#include <string.h>

#include "probe/inject/remote.h"

#define VERSION_BYTES 24

MallctlValue mallctl_value(const char *name, size_t size) {
        MallctlValue v = {.value = MALLCTL_UNREAD, .length = size};

        snprintf(v.name, sizeof(v.name), "%s", name);
        return v;
}

bool mallctl_was_read(const MallctlValue *v, size_t size) {
        uint64_t unread = MALLCTL_UNREAD;

        return v->length == size && memcmp(&v->value, &unread, size) != 0;
}

#define AT(offset, field) session_data(s, (offset) + offsetof(MallctlValue, field))

Call mallctl_read(const Session *s, uint64_t mallctl, size_t offset) {
        return (Call){mallctl, {AT(offset, name), AT(offset, value), AT(offset, length), 0, 0}};
}

Call mallctl_write(const Session *s, uint64_t mallctl, size_t offset, size_t new_offset, size_t size) {
        return (Call){mallctl,
                      {AT(offset, name), AT(offset, value), AT(offset, length), session_data(s, new_offset), size}};
}

Call mallctl_do(const Session *s, uint64_t mallctl, size_t name_offset) {
        return (Call){mallctl, {session_data(s, name_offset), 0, 0, 0, 0}};
}

MallctlFacts mallctl_facts(void) {
        return (MallctlFacts){mallctl_value("version", sizeof(uint64_t)),
                              mallctl_value("arenas.narenas", sizeof(unsigned))};
}

void mallctl_facts_calls(const Session *s, uint64_t mallctl, size_t offset, SessionPlan *plan) {
        plan->calls[plan->n++] = mallctl_read(s, mallctl, offset + offsetof(MallctlFacts, version));
        plan->calls[plan->n++] = mallctl_read(s, mallctl, offset + offsetof(MallctlFacts, narenas));
}

unsigned mallctl_version(const Session *s, const MallctlFacts *f, char *buf, size_t size) {
        char text[VERSION_BYTES + 1] = {0};
        unsigned major, minor, patch;

        snprintf(buf, size, "%s", "");
        /* "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c" */
        if (!mallctl_was_read(&f->version, sizeof(uint64_t)) ||
            remote_read_some(s->b.pid, f->version.value, text, VERSION_BYTES) <= 0 ||
            sscanf(text, "%3u.%3u.%3u", &major, &minor, &patch) != 3 || major == 0)
                return 0;
        snprintf(buf, size, "%u.%u.%u", major, minor, patch);
        return major;
}

unsigned mallctl_narenas(const MallctlFacts *f) {
        unsigned n;

        if (!mallctl_was_read(&f->narenas, sizeof(n)))
                return 0;
        memcpy(&n, &f->narenas.value, sizeof(n));
        return n <= MALLCTL_ARENAS_MAX ? n : 0;
}
