/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/slot-lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kube/fields.h"
#include "kube/scalars.h"
#include "util/clock.h"

#define WAITING    "plateau.dev/waiting"
#define LEARNED    "plateau.dev/learned"
#define SPAN_MOST  USEC_PER_DAY /* longer than anything took; a figure of another's making */
#define YOUNG_MOST 1000u

static json_t *read_note(const json_t *o, const char *path) {
        const char *text = kube_field_str(o, path);

        if (!*text || strlen(text) > SLOT_NOTE_MAX)
                return NULL;
        return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

static uint64_t read_seconds(const json_t *o, const char *key, uint64_t otherwise) {
        uint64_t s;

        return kube_field_u64(o, key, &s) ? min_of(s, SPAN_MOST / USEC_PER_SEC * 365) * USEC_PER_SEC : otherwise;
}

static void read_bid(const json_t *o, SlotLease *ret) {
        json_t *bid = read_note(o, "metadata annotations " WAITING);
        uint64_t beat;

        if (kube_field_text(bid, "holder", ret->bidder, sizeof(ret->bidder)) && kube_field_u64(bid, "beat", &beat)) {
                snprintf(ret->beat, sizeof(ret->beat), "%" PRIu64, beat);
                ret->bid_left_usec = read_seconds(bid, "left_s", USEC_INFINITY);
        } else
                ret->bidder[0] = '\0';
        json_decref(bid);
}

static void read_learned(const json_t *o, SlotNote *ret) {
        json_t *note = read_note(o, "metadata annotations " LEARNED);
        uint64_t young = 0;

        *ret = (SlotNote){0};
        if (kube_field_u64(note, "count", &ret->count)) {
                kube_field_u64(note, "young", &young);
                ret->count = min_of(ret->count, (uint64_t)INT64_MAX - 1);
                ret->learned = (KubeLearned){
                        .replace_usec = min_of(read_seconds(note, "replace_s", 0), (uint64_t)SPAN_MOST),
                        .drain_usec = min_of(read_seconds(note, "drain_s", 0), (uint64_t)SPAN_MOST),
                        .young = (unsigned)min_of(young, (uint64_t)YOUNG_MOST),
                };
        }
        json_decref(note);
}

int slot_lease_decode(const json_t *o, SlotLease *ret, SlotNote *ret_note) {
        SlotLease l = {0};
        uint64_t n = 0;

        if (strcmp(kube_field_str(o, "kind"), "Lease") != 0 ||
            !kube_field_text(o, "metadata resourceVersion", l.version, sizeof(l.version)) || !l.version[0])
                return -EBADMSG;
        if (kube_field_str(o, "spec holderIdentity")[0] &&
            !kube_field_text(o, "spec holderIdentity", l.holder, sizeof(l.holder)))
                return -EBADMSG; /* held, by whom ever: never to be taken for free */
        kube_field_text(o, "spec renewTime", l.renewed, sizeof(l.renewed));
        if (kube_field_u64(o, "spec leaseDurationSeconds", &n))
                l.ttl_usec = min_of(n, (uint64_t)UINT32_MAX) * USEC_PER_SEC;
        n = 0;
        kube_field_u64(o, "spec leaseTransitions", &n);
        l.transitions = (uint32_t)min_of(n, (uint64_t)INT32_MAX);
        read_bid(o, &l);
        read_learned(o, ret_note);
        *ret = l;
        return 0;
}

/* ---- writing ---- */

static json_t *text_of(json_t *o) { /* takes @o */
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
        json_t *s = text ? json_string(text) : NULL;

        free(text);
        json_decref(o);
        return s;
}

static json_t *bid_text(const SlotWrite *w) {
        json_t *bid = json_pack("{s:s, s:I}", "holder", w->me, "beat", (json_int_t)(w->beat >> 1));

        if (bid && w->left_usec != USEC_INFINITY)
                json_object_set_new(bid, "left_s", json_integer((json_int_t)(w->left_usec / USEC_PER_SEC)));
        return text_of(bid);
}

static json_t *learned_text(const SlotNote *n) {
        return text_of(json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)n->count, "replace_s",
                                 (json_int_t)((n->learned.replace_usec + USEC_PER_SEC / 2) / USEC_PER_SEC), "drain_s",
                                 (json_int_t)((n->learned.drain_usec + USEC_PER_SEC / 2) / USEC_PER_SEC), "young",
                                 (json_int_t)n->learned.young));
}

/* What differs by the kind of write; json_object_set_new() takes a NULL as failure, and is told of at the end. */
static int put_spec(json_t *spec, const SlotWrite *w) {
        char at[KUBE_TIME_MAX];
        bool takes = w->what == SLOT_DO_TAKE;
        int r = 0;

        kube_time_format(at, w->now_real_usec, true);
        if (w->what == SLOT_DO_RELEASE)
                return json_object_set_new(spec, "holderIdentity", json_null()) |
                       json_object_set_new(spec, "renewTime", json_string(at));
        if (w->what != SLOT_DO_TAKE && w->what != SLOT_DO_RENEW)
                return 0;
        r |= json_object_set_new(spec, "holderIdentity", json_string(w->me));
        r |= json_object_set_new(spec, "leaseDurationSeconds", json_integer((json_int_t)(w->ttl_usec / USEC_PER_SEC)));
        r |= json_object_set_new(spec, "renewTime", json_string(at));
        if (takes) {
                uint32_t n = w->base->transitions;

                r |= json_object_set_new(spec, "acquireTime", json_string(at));
                r |= json_object_set_new(spec, "leaseTransitions", json_integer(n < INT32_MAX ? n + 1 : 1));
        }
        return r;
}

static int put_notes(json_t *notes, const SlotWrite *w) {
        int r = 0;

        if (w->no_notes)
                return 0;
        if (w->what == SLOT_DO_BID)
                r |= json_object_set_new(notes, WAITING, bid_text(w));
        else if (strcmp(w->base->bidder, w->me) == 0)
                r |= json_object_set_new(notes, WAITING, json_null());
        if (w->note)
                r |= json_object_set_new(notes, LEARNED, learned_text(w->note));
        return r;
}

json_t *slot_lease_patch(const SlotWrite *w, bool *ret_notes) {
        json_t *spec = json_object(), *notes = json_object(), *meta, *patch = NULL;

        *ret_notes = false;
        if (!spec || !notes || put_spec(spec, w) || put_notes(notes, w))
                goto out;
        meta = json_pack("{s:s}", "resourceVersion", w->base->version);
        patch = json_pack("{s:o}", "metadata", meta);
        *ret_notes = json_object_size(notes) > 0;
        if (patch && *ret_notes && json_object_set(meta, "annotations", notes)) {
                json_decref(patch);
                patch = NULL;
        }
        if (patch && json_object_size(spec) > 0 && json_object_set(patch, "spec", spec)) {
                json_decref(patch);
                patch = NULL;
        }
out:
        json_decref(spec);
        json_decref(notes);
        return patch;
}

static bool is_made_of(const char *s, size_t n, const char *more) {
        if (!n || s[0] == '.')
                return false;
        for (size_t i = 0; i < n; i++)
                if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || strchr(more, s[i])))
                        return false;
        return true;
}

bool slot_name_is_fit(const char *prefix) {
        return strlen(prefix) <= 250 && is_made_of(prefix, strlen(prefix), "-.");
}

bool slot_holder_split(const char *holder, char pod[static 254], char uid[static 64]) {
        const char *slash = strchr(holder, '/');
        size_t n = slash ? (size_t)(slash - holder) : 0, m = slash ? strlen(slash + 1) : 0;

        if (n > 253 || m > 63 || !is_made_of(holder, n, "-.") || !is_made_of(slash + 1, m, "-"))
                return false;
        memcpy(pod, holder, n);
        pod[n] = '\0';
        memcpy(uid, slash + 1, m + 1);
        return true;
}
