/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd/notify.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/json.h"

void notify_init(Notify *n) {
        const char *path = getenv("NOTIFY_SOCKET");
        uint64_t usec = 0;

        *n = NOTIFY_NULL;
        n->enabled = path && *path;
        if (n->enabled && sd_watchdog_enabled(0, &usec) > 0)
                n->watchdog_usec = usec;
}

static int send_state(const Notify *n, const char *state) {
        int r = n->enabled ? sd_notify(0, state) : 0;

        return r < 0 ? r : 0;
}

/* A line feed in a process' name would be a message of its own ("MAINPID=1"): the text is made one clean line. */
static void add_status(Buf *b, const char *status) {
        if (!status)
                return;
        buf_adds(b, b->len > 0 ? "\nSTATUS=" : "STATUS=");
        json_escape_text(b, status, strnlen(status, NOTIFY_STATUS_MAX - 1));
}

static int tell(Notify *n, const char *head, const char *status) {
        _cleanup_buf_ Buf b = BUF_NULL;

        if (!n->enabled)
                return 0;
        buf_adds(&b, head);
        add_status(&b, status);
        return b.failed ? -ENOMEM : send_state(n, buf_str(&b));
}

static void remember(Notify *n, uint64_t now_usec, const char *status) {
        if (!status)
                return;
        snprintf(n->status, sizeof(n->status), "%s", status);
        n->told_usec = now_usec;
        n->was_told = true;
}

int notify_ready(Notify *n, uint64_t now_usec, const char *status) {
        remember(n, now_usec, status);
        return tell(n, "READY=1", status);
}

int notify_reloading(Notify *n) {
        char state[64];

        /* systemd compares it with the time of its own request: CLOCK_MONOTONIC, taken before the message */
        snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_mono_usec());
        return send_state(n, state);
}

int notify_stopping(Notify *n, const char *status) {
        return tell(n, "STOPPING=1", status);
}

int notify_status(Notify *n, uint64_t now_usec, const char *status) {
        if (!n->enabled || (n->was_told && now_usec - n->told_usec < NOTIFY_STATUS_INTERVAL_USEC) ||
            strncmp(n->status, status, sizeof(n->status) - 1) == 0)
                return 0;
        remember(n, now_usec, status);
        return tell(n, "", status);
}

uint64_t notify_watchdog_interval_usec(const Notify *n) {
        return n->watchdog_usec / 2;
}

bool notify_watchdog_due(const Notify *n, uint64_t now_usec) {
        return n->watchdog_usec > 0 && (!n->was_fed || now_usec - n->fed_usec >= notify_watchdog_interval_usec(n));
}

int notify_watchdog(Notify *n, uint64_t now_usec) {
        n->fed_usec = now_usec;
        n->was_fed = true;
        return send_state(n, "WATCHDOG=1");
}
