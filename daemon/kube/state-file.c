/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/state-file.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"

#define FILE_NAME "rotation.json"
#define TEMPORARY FILE_NAME ".new"

/* The machine's figures, by name. */
#define TIME(field)                                                                                                    \
        { #field, offsetof(KubeMachine, field), true }
static const struct {
        const char *name;
        size_t offset;
        bool is_time;
} figures[] = {
        TIME(since_usec),
        TIME(begun_usec),
        TIME(deadline_usec),
        TIME(cool_until_usec),
        TIME(signal_after_usec),
        TIME(retry_usec),
        {"main_id", offsetof(KubeMachine, main_id), false},
};

static const struct {
        const char *name;
        size_t offset;
} flags[] = {
        {"touched", offsetof(KubeMachine, touched)},
        {"replaced", offsetof(KubeMachine, replaced)},
        {"resized", offsetof(KubeMachine, resized)},
        {"restarted", offsetof(KubeMachine, restarted)},
};

static uint64_t *figure_of(KubeMachine *m, size_t i) {
        return (uint64_t *)((char *)m + figures[i].offset);
}

static bool *flag_of(KubeMachine *m, size_t i) {
        return (bool *)((char *)m + flags[i].offset);
}

void kube_saved_write(Buf *b, const KubeSaved *s) {
        Json j = JSON_INIT(b);
        KubeMachine m = s->machine;

        json_object_begin(&j);
        json_kv_string(&j, "uid", s->uid);
        json_kv_u64(&j, "seq", s->seq);
        json_kv_string(&j, "boot_id", s->boot_id);
        json_kv_string(&j, "hash", s->hash);
        json_kv_string(&j, "owner", s->owner);
        json_kv_string(&j, "revision", s->revision);
        if (s->ready_before != UINT_MAX)
                json_kv_u64(&j, "ready_before", s->ready_before);
        json_kv_string(&j, "state", kube_state_name(m.state));
        json_kv_u64(&j, "strategy", m.strategy);
        json_kv_u64(&j, "reason", m.reason);
        json_kv_u64(&j, "tries", m.tries);
        json_kv_u64(&j, "failures", m.failures);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                json_kv_u64(&j, figures[i].name, min_of(*figure_of(&m, i), (uint64_t)INT64_MAX));
        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                json_kv_bool(&j, flags[i].name, *flag_of(&m, i));
        json_object_end(&j);
}

static bool get_text(const json_t *o, const char *key, char *ret, size_t size) {
        const char *s = json_string_value(json_object_get(o, key));

        if (!s || strlen(s) >= size)
                return false;
        memcpy(ret, s, strlen(s) + 1);
        return true;
}

static bool get_u64(const json_t *o, const char *key, uint64_t below, uint64_t *ret) {
        const json_t *v = json_object_get(o, key);

        if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) >= below)
                return false;
        *ret = (uint64_t)json_integer_value(v);
        return true;
}

static bool get_machine(const json_t *o, KubeMachine *m) {
        uint64_t strategy, reason, tries, failures;
        char name[32];

        if (!get_text(o, "state", name, sizeof(name)) || !get_u64(o, "strategy", _KUBE_STRATEGY_MAX, &strategy) ||
            !get_u64(o, "reason", _KUBE_REASON_MAX, &reason) || !get_u64(o, "tries", 1000000, &tries) ||
            !get_u64(o, "failures", 1000000, &failures))
                return false;
        m->state = kube_state_by_name(name);
        if (m->state == _KUBE_STATE_MAX)
                return false;
        m->strategy = (KubeStrategy)strategy;
        m->reason = (KubeReason)reason;
        m->tries = (unsigned)tries;
        m->failures = (unsigned)failures;
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                if (!get_u64(o, figures[i].name, UINT64_MAX, figure_of(m, i)))
                        return false;
        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                const json_t *v = json_object_get(o, flags[i].name);

                if (!json_is_boolean(v))
                        return false;
                *flag_of(m, i) = json_is_true(v);
        }
        return true;
}

/* Absent when it was not known. */
static bool get_before(const json_t *o, unsigned *ret) {
        uint64_t v = UINT_MAX;

        if (json_object_get(o, "ready_before") && !get_u64(o, "ready_before", UINT_MAX, &v))
                return false;
        *ret = (unsigned)v;
        return true;
}

static bool get_saved(const json_t *o, KubeSaved *s) {
        return json_is_object(o) && get_text(o, "uid", s->uid, sizeof(s->uid)) &&
               get_u64(o, "seq", UINT64_MAX, &s->seq) && get_text(o, "boot_id", s->boot_id, sizeof(s->boot_id)) &&
               get_text(o, "hash", s->hash, sizeof(s->hash)) && get_text(o, "owner", s->owner, sizeof(s->owner)) &&
               get_text(o, "revision", s->revision, sizeof(s->revision)) && get_before(o, &s->ready_before) &&
               get_machine(o, &s->machine);
}

/* Nothing that is waited for may lie further off than a rotation can take, whoever wrote it. */
static void tame(KubeMachine *m, bool same_boot, uint64_t now) {
        for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
                uint64_t *t = figure_of(m, i);

                if (!figures[i].is_time || *t == 0)
                        continue;
                if (!same_boot)
                        *t = now;
                *t = min_of(*t, now + USEC_PER_DAY);
        }
        m->since_usec = min_of(m->since_usec, now);
        m->begun_usec = min_of(m->begun_usec, now);
}

int kube_saved_parse(const char *text, size_t len, const char *uid, const char *boot_id, uint64_t now, KubeSaved *ret) {
        KubeSaved s = {};
        json_t *o;
        bool good;

        if (len >= KUBE_STATE_MAX_BYTES)
                return -EBADMSG;
        o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        good = o && get_saved(o, &s);
        json_decref(o);
        if (!good)
                return -EBADMSG;
        if (strcmp(s.uid, uid) != 0)
                return -ESTALE;
        tame(&s.machine, strcmp(s.boot_id, boot_id) == 0, now);
        *ret = s;
        return 0;
}

static int write_all(int fd, const char *p, size_t n) {
        while (n > 0) {
                ssize_t done = write(fd, p, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done <= 0)
                        return done < 0 ? -errno : -EIO;
                p += done;
                n -= (size_t)done;
        }
        return 0;
}

int kube_saved_store(const char *dir, const KubeSaved *s) {
        _cleanup_buf_ Buf b = BUF_NULL;
        _cleanup_fd_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
        int r;

        if (dir_fd < 0)
                return -errno;
        kube_saved_write(&b, s);
        if (b.failed)
                return -ENOMEM;
        (void)unlinkat(dir_fd, TEMPORARY, 0); /* of one that was killed; whatever it is, it is not written through */
        fd = openat(dir_fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, b.data, b.len);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && renameat(dir_fd, TEMPORARY, dir_fd, FILE_NAME) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(dir_fd, TEMPORARY, 0);
                return r;
        }
        return fsync(dir_fd) < 0 ? -errno : 0;
}

int kube_saved_load(const char *dir, const char *uid, const char *boot_id, uint64_t now, KubeSaved *ret) {
        _cleanup_fd_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
        char text[KUBE_STATE_MAX_BYTES];
        size_t len = 0;

        if (dir_fd < 0)
                return -errno;
        fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        while (len < sizeof(text)) {
                ssize_t n = read(fd, text + len, sizeof(text) - len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        return kube_saved_parse(text, len, uid, boot_id, now, ret);
}

int kube_saved_remove(const char *dir) {
        _cleanup_fd_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (dir_fd < 0)
                return -errno;
        return unlinkat(dir_fd, FILE_NAME, 0) < 0 && errno != ENOENT ? -errno : 0;
}
