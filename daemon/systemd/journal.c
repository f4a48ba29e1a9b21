/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd/journal.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/buf.h"
#include "util/parse.h"

/* journald takes names of at most 64 characters: journal_field_valid(), src/libsystemd/sd-journal/journal-file.c */
#define FIELD_NAME_MAX 64
#define FIELD_PREFIX "PLATEAU_"
/* One datagram has to fit the socket's send buffer (net.core.wmem_default: 212,992 bytes). The rest is left out. */
#define ENTRY_MAX_BYTES (96 * 1024)

static struct {
        int fd;
        struct sockaddr_un addr;
        socklen_t addr_len;
        char identifier[64];
        Buf entry; /* reused */
        uint64_t dropped;
} g_journal = {.fd = -1, .entry.max = ENTRY_MAX_BYTES}; /* the process has one journal */

int journal_open(const char *path, const char *identifier) {
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (!path)
                path = JOURNAL_SOCKET;
        if (strlen(path) >= sizeof(addr.sun_path))
                return -ENAMETOOLONG;
        strcpy(addr.sun_path, path);
        if (access(path, W_OK) < 0)
                return -errno;
        journal_close();
        /* not connected: a connection would end with this journald, and the next one listens on the same path */
        g_journal.addr = addr;
        g_journal.addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
        snprintf(g_journal.identifier, sizeof(g_journal.identifier), "%s", identifier);
        g_journal.fd = take_fd(&fd);
        return 0;
}

void journal_close(void) {
        g_journal.fd = fd_close(g_journal.fd);
        buf_done(&g_journal.entry);
}

uint64_t journal_dropped(void) {
        return g_journal.dropped;
}

const char *journal_message_id(char buf[static JOURNAL_ID_MAX], const char *event) {
        /* FNV-1a, 128 bits: draft-eastlake-fnv, section 5 */
        const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
        unsigned __int128 h = (unsigned __int128)UINT64_C(0x6c62272e07bb0142) << 64 | UINT64_C(0x62b821756295c58d);

        for (const char *p = event; *p; p++)
                h = (h ^ (unsigned char)*p) * prime;
        snprintf(buf, JOURNAL_ID_MAX, "%016llx%016llx", (unsigned long long)(h >> 64), (unsigned long long)h);
        return buf;
}

/* NAME=value, or, with a newline in it, NAME, newline, length (64 bits, little endian), value: systemd.io/
 * JOURNAL_NATIVE_PROTOCOL. A field that does not fit is left out whole. */
static void add_field(Buf *b, const char *name, const char *value, size_t n) {
        size_t before = b->len;

        buf_adds(b, name);
        if (memchr(value, '\n', n)) {
                unsigned char le[8];

                for (unsigned i = 0; i < sizeof(le); i++)
                        le[i] = (unsigned char)((uint64_t)n >> (8 * i));
                buf_addc(b, '\n');
                buf_add(b, le, sizeof(le));
        } else
                buf_addc(b, '=');
        buf_add(b, value, n);
        buf_addc(b, '\n');
        if (b->failed && b->data) {
                b->failed = false;
                b->len = before;
                b->data[before] = '\0';
        }
}

static void add_text(Buf *b, const char *name, const char *value) {
        add_field(b, name, value, strlen(value));
}

/* "released_bytes" -> "PLATEAU_RELEASED_BYTES"; what the journal does not allow becomes '_'. */
static void field_name(char name[static FIELD_NAME_MAX + 1], const char *key) {
        size_t n = strlen(FIELD_PREFIX);

        memcpy(name, FIELD_PREFIX, n);
        for (; *key && n < FIELD_NAME_MAX; key++, n++)
                name[n] = isascii(*key) && isalnum((unsigned char)*key) ? (char)toupper((unsigned char)*key) : '_';
        name[n] = '\0';
}

static void add_log_field(Buf *b, const LogField *f) {
        char name[FIELD_NAME_MAX + 1], value[32];

        field_name(name, f->key);
        switch (f->type) {
        case LOG_FIELD_STRING:
                if (f->s)
                        add_text(b, name, f->s);
                return;
        case LOG_FIELD_U64:
                snprintf(value, sizeof(value), "%llu", (unsigned long long)f->u);
                break;
        case LOG_FIELD_I64:
                snprintf(value, sizeof(value), "%lld", (long long)f->i);
                break;
        case LOG_FIELD_DOUBLE:
                if (!isfinite(f->d))
                        return;
                snprintf(value, sizeof(value), "%.9g", f->d);
                break;
        case LOG_FIELD_END:
                return;
        }
        add_text(b, name, value);
}

void journal_sink(int level, const char *event, const LogField *fields, const char *message) {
        Buf *b = &g_journal.entry;
        char id[JOURNAL_ID_MAX], priority[2] = {(char)('0' + (level & 7)), '\0'};
        int saved = errno;

        buf_reset(b);
        add_text(b, "MESSAGE", message);
        add_text(b, "PRIORITY", priority);
        add_text(b, "SYSLOG_IDENTIFIER", g_journal.identifier);
        add_text(b, "MESSAGE_ID", journal_message_id(id, event));
        add_text(b, FIELD_PREFIX "EVENT", event);
        for (const LogField *f = fields; f && f->type != LOG_FIELD_END; f++)
                add_log_field(b, f);
        if (g_journal.fd < 0 || sendto(g_journal.fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT,
                                       (struct sockaddr *)&g_journal.addr, g_journal.addr_len) != (ssize_t)b->len)
                g_journal.dropped++;
        errno = saved;
}

bool journal_is_stderr(void) {
        const char *stream = secure_getenv("JOURNAL_STREAM");
        const char *colon = stream ? strchr(stream, ':') : NULL;
        uint64_t device, inode;
        char digits[24];
        struct stat st;

        if (!colon || (size_t)(colon - stream) >= sizeof(digits))
                return false;
        memcpy(digits, stream, (size_t)(colon - stream));
        digits[colon - stream] = '\0';
        return parse_u64(digits, &device) == 0 && parse_u64(colon + 1, &inode) == 0 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}
