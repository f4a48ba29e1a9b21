/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-call.h"

#include <string.h>

#include "cli/call.h"
#include "util/clock.h"
#include "util/format.h"

#define ANSWER_GRACE_USEC (5 * USEC_PER_SEC)
#define BINS_SHOWN        3u
#define BIN_LEAST_BYTES   (1u << 20) /* wasted: less is not worth a word */

void explain_call_make(ExplainCall *c, const Ask *who, ProbeClient *client, bool bins, bool allow_seccomp) {
        CallArgs d = CALL_ARGS_DEFAULT;
        ProbeRequest request = {.op = PROBE_OP_LEDGER,
                                .flags = allow_seccomp ? PROBE_FLAG_ALLOW_SECCOMP : 0,
                                .find_timeout_msec = (uint32_t)(d.find_timeout_usec / USEC_PER_MSEC),
                                .finish_timeout_msec = (uint32_t)(d.timeout_usec / USEC_PER_MSEC),
                                .value = bins ? LEDGER_WITH_BINS : 0};
        _cleanup_fd_ int fd = -1;
        const char *why;
        int r;

        *c = (ExplainCall){.asked = true, .ask = *who};
        ask_probe(&c->ask, client, &request, d.find_timeout_usec + d.timeout_usec + ANSWER_GRACE_USEC, &fd);
        if (strcmp(c->ask.result, "ok") != 0)
                return;
        r = ledger_read(fd, &c->ledger, &why);
        c->known = r == 0;
        if (r == -EBADMSG)
                ask_fail(&c->ask, PROBE_E_PROTOCOL, "what plateau-probe sent is refused: %s", why);
        else if (r < 0)
                ask_fail(&c->ask, PROBE_E_INTERNAL, "%s", strerror(-r));
}

/* ---- for people */

static void label(Screen *s, const char *text, unsigned indent) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, indent);
}

static void item(Screen *s, unsigned indent, const Ledger *l, LedgerFigure f, const char *what) {
        char x[FORMAT_MAX];
        uint64_t bytes;

        if (ledger_figure(l, f, &bytes) && bytes > 0)
                screen_item(s, indent, STYLE_PLAIN, "%s %s", format_bytes(x, bytes), what);
}

/* The size classes whose slabs hold most in vain. */
static void draw_bins(Screen *s, const Ledger *l, unsigned indent) {
        bool told[LEDGER_BINS_MAX] = {false};
        char x[FORMAT_MAX], y[FORMAT_MAX];

        for (unsigned n = 0; n < BINS_SHOWN; n++) {
                uint32_t best = l->n_bins;

                for (uint32_t i = 0; i < l->n_bins; i++)
                        if (!told[i] &&
                            (best == l->n_bins || ledger_bin_waste(&l->bins[i]) > ledger_bin_waste(&l->bins[best])))
                                best = i;
                if (best == l->n_bins || ledger_bin_waste(&l->bins[best]) < BIN_LEAST_BYTES)
                        break;
                told[best] = true;
                if (n == 0)
                        label(s, "slabs", indent);
                screen_item(s, indent, STYLE_PLAIN, "%s free in those of %s, %.0f %% in use",
                            format_bytes(x, ledger_bin_waste(&l->bins[best])),
                            format_bytes(y, l->bins[best].size_bytes),
                            100.0 * (double)l->bins[best].n_regions /
                                    ((double)l->bins[best].n_slabs * (double)l->bins[best].n_slab_regions));
        }
        screen_end(s);
}

void explain_call_view(Screen *s, const ExplainCall *c, unsigned indent) {
        const Ledger *l = &c->ledger;
        char x[FORMAT_MAX];

        if (!c->asked)
                return;
        label(s, "asked", indent);
        if (!c->known) {
                screen_putf(s, STYLE_WARN, "%s: %s;", c->ask.result,
                            probe_result_name((ProbeResult)c->ask.reply.result));
                screen_words(s, indent, STYLE_PLAIN,
                             c->ask.reply.detail[0] ? c->ask.reply.detail
                                                    : probe_result_text((ProbeResult)c->ask.reply.result));
                screen_end(s);
                return;
        }
        screen_item(s, indent, STYLE_PLAIN, "%s", l->allocator);
        if (l->n_arenas)
                screen_item(s, indent, STYLE_PLAIN, "%llu arenas", (unsigned long long)l->n_arenas);
        item(s, indent, l, LEDGER_ALLOCATED, "allocated");
        item(s, indent, l, LEDGER_ACTIVE, "active");
        item(s, indent, l, LEDGER_RESIDENT, "resident");
        item(s, indent, l, LEDGER_RETAINED, "given back");
        screen_end(s);
        label(s, "", indent);
        item(s, indent, l, LEDGER_DIRTY, "dirty: a reclaim gives it back");
        item(s, indent, l, LEDGER_MUZZY, "muzzy");
        item(s, indent, l, LEDGER_CACHED, "in thread caches");
        if (l->decay_known && l->dirty_decay_msec < 0)
                screen_item(s, indent, STYLE_WARN, "it never gives back by itself (dirty_decay_ms is -1)");
        screen_item(s, indent, STYLE_DIM, "a thread was held for %s", format_usec(x, c->ask.reply.call.stop_usec));
        screen_end(s);
        if (l->n_bins)
                draw_bins(s, l, indent);
}

/* ---- JSON */

static void put_bins(Json *j, const Ledger *l) {
        uint64_t wasted = 0;

        json_key(j, "bins");
        json_array_begin(j);
        for (uint32_t i = 0; i < l->n_bins; i++) {
                const LedgerBin *b = &l->bins[i];

                wasted += ledger_bin_waste(b);
                json_object_begin(j);
                json_kv_u64(j, "size_bytes", b->size_bytes);
                json_kv_u64(j, "slabs", b->n_slabs);
                json_kv_u64(j, "slab_regions", b->n_slab_regions);
                json_kv_u64(j, "in_use", b->n_regions);
                json_kv_u64(j, "wasted_bytes", ledger_bin_waste(b));
                json_object_end(j);
        }
        json_array_end(j);
        json_kv_u64_or_null(j, "bins_wasted_bytes", l->n_bins > 0, wasted);
}

static void put_ledger(Json *j, const Ledger *l) {
        static const struct {
                const char *key;
                LedgerFigure figure;
        } keys[] = {
                {"allocated_bytes", LEDGER_ALLOCATED},
                {"active_bytes", LEDGER_ACTIVE},
                {"metadata_bytes", LEDGER_METADATA},
                {"resident_bytes", LEDGER_RESIDENT},
                {"mapped_bytes", LEDGER_MAPPED},
                {"retained_bytes", LEDGER_RETAINED},
                {"dirty_bytes", LEDGER_DIRTY},
                {"muzzy_bytes", LEDGER_MUZZY},
                {"thread_cache_bytes", LEDGER_CACHED},
                {"central_cache_bytes", LEDGER_CENTRAL},
                {"transfer_cache_bytes", LEDGER_TRANSFER},
        };

        json_object_begin(j);
        json_kv_string(j, "name", l->allocator);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                uint64_t bytes;
                bool have = ledger_figure(l, keys[i].figure, &bytes);

                json_kv_u64_or_null(j, keys[i].key, have, bytes);
        }
        json_kv_u64_or_null(j, "arenas", l->n_arenas > 0, l->n_arenas);
        json_key(j, "dirty_decay_ms");
        if (l->decay_known)
                json_i64(j, l->dirty_decay_msec);
        else
                json_nil(j);
        put_bins(j, l);
        json_object_end(j);
}

void explain_call_json(Json *j, const ExplainCall *c) {
        json_key(j, "call");
        if (c->asked) {
                json_object_begin(j);
                json_kv_string(j, "result", c->ask.result);
                json_kv_string(j, "reason", probe_result_name((ProbeResult)c->ask.reply.result));
                json_kv_string(j, "detail", c->ask.reply.detail[0] ? c->ask.reply.detail : NULL);
                json_kv_string(j, "call", c->ask.reply.call.name[0] ? c->ask.reply.call.name : NULL);
                call_json_end(&c->ask, j);
                json_object_end(j);
        } else
                json_nil(j);
        json_key(j, "allocator_stats");
        if (c->known)
                put_ledger(j, &c->ledger);
        else
                json_nil(j);
}
