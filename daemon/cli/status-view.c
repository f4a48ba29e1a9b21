/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status-view.h"

#include <string.h>

#include "cli/doc.h"
#include "cli/words.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/format.h"

#define INDENT 11u  /* where the values of a target begin */
#define SCHEMA_VERSION 1
#define CAP_SYS_PTRACE_BIT 19 /* include/uapi/linux/capability.h */

const char *status_is_document(const json_t *doc) {
        uint64_t version;

        if (!json_is_object(doc))
                return "it is not a JSON object";
        if (!doc_u64(doc, "schema_version", &version))
                return "it has no schema_version";
        if (version != SCHEMA_VERSION)
                return "its schema_version is not one that this command knows; use the plateau of the daemon's version";
        if (!json_is_array(doc_get(doc, "targets")))
                return "it has no list of targets";
        return NULL;
}

static bool is_wanted(const json_t *target, const char *only) {
        const char *name = doc_text(target, "name");

        return json_is_object(target) && (!only || (name && strcmp(name, only) == 0));
}

unsigned status_alerts(const json_t *doc, const char *only) {
        unsigned n = 0;
        size_t i;
        const json_t *t;

        json_array_foreach(doc_get(doc, "targets"), i, t)
                n += is_wanted(t, only) && doc_is_true(t, "alert.firing");
        return n;
}

static void label(Screen *s, const char *text) {
        screen_putf(s, STYLE_DIM, "  %s", text);
        screen_pad(s, INDENT);
}

/* One figure of a list, left out when it is not known. */
static void bytes_item(Screen *s, const json_t *t, const char *name, const char *path) {
        char text[FORMAT_MAX];
        uint64_t v;

        if (doc_u64(t, path, &v))
                screen_item(s, INDENT, STYLE_PLAIN, "%s %s", name, format_bytes(text, v));
}

static void draw_probe(Screen *s, const json_t *doc) {
        const char *caps = doc_text(doc, "daemon.probe.capabilities");
        unsigned long long bits = caps ? strtoull(caps, NULL, 16) : 0;

        if (!doc_get(doc, "daemon.probe"))
                return;
        if (!doc_is_true(doc, "daemon.probe.alive"))
                screen_item(s, 0, STYLE_WARN, "probe not running: watches and forecasts, cannot reclaim");
        else if (bits >> CAP_SYS_PTRACE_BIT & 1)
                screen_item(s, 0, STYLE_PLAIN, "probe with CAP_SYS_PTRACE");
        else
                screen_item(s, 0, STYLE_PLAIN, "probe of the same user only");
}

static void draw_daemon(Screen *s, const json_t *doc) {
        const char *version = doc_text(doc, "daemon.version");
        char text[WORDS_MAX], rss[FORMAT_MAX];
        uint64_t v;

        screen_put(s, STYLE_BOLD, "plateaud ");
        screen_safe(s, STYLE_BOLD, version ? version : "of unknown version", 24);
        if (doc_usec(doc, "daemon.uptime_s", &v))
                screen_item(s, 0, STYLE_PLAIN, "up %s", words_time(text, v));
        if (doc_u64(doc, "daemon.rss_bytes", &v))
                screen_item(s, 0, STYLE_PLAIN, "%s RSS", format_bytes(rss, v));
        draw_probe(s, doc);
        if (json_is_false(doc_get(doc, "daemon.config.reload_ok")))
                screen_item(s, 0, STYLE_WARN, "last reload refused: the old configuration is in force");
        screen_end(s);
}

static void draw_alert(Screen *s, const json_t *doc, const json_t *t) {
        char clock[WORDS_MAX], ago[WORDS_MAX];
        uint64_t since, now;

        if (!doc_is_true(t, "alert.firing"))
                return;
        screen_put(s, STYLE_BAD, "  ALERT");
        screen_pad(s, INDENT);
        screen_item(s, INDENT, STYLE_BAD, "%s firing", s->term->glyph->on);
        if (doc_time(t, "alert.since", &since) && doc_time(doc, "time", &now) && now >= since) {
                screen_item(s, INDENT, STYLE_BAD, "since %s", words_clock(clock, since, now));
                screen_item(s, INDENT, STYLE_BAD, "for %s", words_time(ago, now - since));
        }
        screen_end(s);
}

static void draw_headline(Screen *s, const json_t *t) {
        const char *name = doc_text(t, "name"), *comm = doc_text(t, "comm");
        char age[WORDS_MAX];
        uint64_t v;

        screen_safe(s, STYLE_BOLD, name && *name ? name : "(no name)", 40);
        if (!doc_is_true(t, "present")) {
                screen_pad(s, INDENT);
                screen_words(s, INDENT, STYLE_WARN, "no such process now; looking for it");
                screen_end(s);
                return;
        }
        screen_pad(s, INDENT);
        screen_safe(s, STYLE_PLAIN, comm && *comm ? comm : "(no name)", 32);
        if (doc_u64(t, "pid", &v))
                screen_item(s, INDENT, STYLE_PLAIN, "pid %llu", (unsigned long long)v);
        if (doc_usec(t, "age_s", &v))
                screen_item(s, INDENT, STYLE_PLAIN, "started %s ago", words_time(age, v));
        if (doc_is_true(t, "dry_run"))
                screen_item(s, INDENT, STYLE_ACCENT, "dry run: alerts only");
        screen_end(s);
}

static void draw_usage(Screen *s, const json_t *t) {
        const char *source = doc_text(t, "limit.source");
        char used_text[FORMAT_MAX], limit_text[FORMAT_MAX];
        uint64_t used, limit;

        if (!doc_u64(t, "limit.used_bytes", &used))
                return;
        label(s, "usage");
        format_bytes(used_text, used);
        if (doc_u64(t, "limit.bytes", &limit) && limit) {
                double ratio = (double)used / (double)limit;
                unsigned room = s->term->width > INDENT + 32 ? s->term->width - INDENT - 32 : 0;
                char source_text[40];

                if (room >= 8) {
                        screen_bar(s, words_usage_style(ratio), min_of(room, 40u), ratio);
                        screen_put(s, STYLE_PLAIN, " ");
                }
                screen_putf(s, words_usage_style(ratio), "%3.0f %%", ratio * 100);
                screen_putf(s, STYLE_PLAIN, " %s of %s", used_text, format_bytes(limit_text, limit));
                snprintf(source_text, sizeof(source_text), "%.24s limit", source ? source : "unnamed");
                if (screen_left(s) > strlen(source_text) + 2) {
                        screen_put(s, STYLE_PLAIN, " ");
                        screen_safe(s, STYLE_DIM, source_text, 0);
                }
        } else {
                screen_putf(s, STYLE_PLAIN, "%s", used_text);
                screen_item(s, INDENT, STYLE_DIM, "no limit known");
        }
        screen_end(s);
}

static void draw_rss(Screen *s, const json_t *t) {
        char text[FORMAT_MAX];
        uint64_t v;

        if (!doc_u64(t, "sample.rss_bytes", &v))
                return;
        label(s, "RSS");
        screen_put(s, STYLE_PLAIN, format_bytes(text, v));
        bytes_item(s, t, "anon", "sample.rss_anon_bytes");
        bytes_item(s, t, "file", "sample.rss_file_bytes");
        bytes_item(s, t, "shmem", "sample.rss_shmem_bytes");
        if (doc_u64(t, "sample.swap_bytes", &v) && v)
                bytes_item(s, t, "swap", "sample.swap_bytes");
        bytes_item(s, t, "peak", "sample.rss_peak_bytes");
        screen_end(s);
}

/* What the growth is, and how far that is proved; older daemons do not tell. */
static void kind_item(Screen *s, const json_t *t) {
        const char *kind = doc_text(t, "trend.kind"), *proof = doc_text(t, "trend.proof");

        if (!kind || strcmp(kind, trend_kind_name(TREND_KIND_WAIT)) == 0)
                return;
        if (proof && strcmp(proof, trend_proof_name(TREND_PROOF_NONE)) != 0)
                screen_item(s, INDENT, STYLE_PLAIN, "%s, proved for %s", kind, proof);
        else
                screen_item(s, INDENT, STYLE_DIM, "%s", kind);
}

static void draw_forecast(Screen *s, const json_t *t) {
        char growth[WORDS_MAX], forecast[WORDS_MAX], span[WORDS_MAX];
        uint64_t used = 0;
        TrendFit fit;
        Style style;

        doc_trend(t, &fit);
        doc_u64(t, "limit.used_bytes", &used);
        words_forecast(forecast, &fit, 0, used, &style);
        label(s, "forecast");
        screen_words(s, INDENT, style, forecast);
        screen_end(s);
        words_growth(growth, &fit);
        if (!*growth)
                return;
        label(s, "growth");
        screen_put(s, STYLE_PLAIN, growth);
        screen_item(s, INDENT, STYLE_DIM, "over %s", words_time(span, fit.span_usec));
        if (fit.state == TREND_GROWING || fit.state == TREND_SHRINKING)
                screen_item(s, INDENT, STYLE_DIM, "fit %.2f", fit.r2_ratio);
        kind_item(s, t);
        screen_end(s);
}

static void draw_verdict(Screen *s, const json_t *t) {
        const char *verdict = doc_text(t, "verdict"), *why = doc_text(t, "diagnosis.text");

        if (!verdict)
                return;
        label(s, "verdict");
        screen_words(s, INDENT, strcmp(verdict, "unknown") == 0 ? STYLE_DIM : STYLE_PLAIN, verdict);
        screen_end(s);
        if (!why)
                return;
        screen_pad(s, INDENT);
        screen_words(s, INDENT, STYLE_PLAIN, why);
        screen_end(s);
}

/* How a verb of the policy reads, by its name in the document. */
typedef struct VerbLook {
        const char *name, *text;
        Style style;
} VerbLook;

static const VerbLook *verb_look(const char *name) {
        static const VerbLook looks[] = {
                {"none", "rests", STYLE_DIM},
                {"act", "acts", STYLE_BAD},
                {"skip", "waits", STYLE_WARN},
                {"resolve", "ends", STYLE_GOOD},
        };
        static const VerbLook unknown = {"", "?", STYLE_DIM};

        for (size_t i = 0; name && i < ELEMENTSOF(looks); i++)
                if (strcmp(looks[i].name, name) == 0)
                        return &looks[i];
        return &unknown;
}

/* "still so" and "cooling down" do not say which threshold it was. */
static void draw_trigger(Screen *s, const json_t *d, unsigned indent) {
        const char *trigger = doc_text(d, "trigger"), *reason = doc_text(d, "reason");
        char text[32] = "";

        if (!trigger || (reason && strcmp(trigger, reason) == 0))
                return;
        strncat(text, trigger, sizeof(text) - 1);
        for (char *p = text; *p; p++)
                *p = *p == '_' ? ' ' : *p;
        screen_item(s, indent, STYLE_DIM, "by %s", text);
}

static void draw_rung(Screen *s, const json_t *t, const json_t *d) {
        const char *rung = doc_text(d, "rung"), *why = doc_text(d, "reason_text");
        const VerbLook *look = verb_look(doc_text(d, "verb"));
        const char *in_flight = doc_text(t, "action_in_flight");
        bool running = rung && in_flight && strcmp(rung, in_flight) == 0;
        bool firing = rung && strcmp(rung, "alert") == 0 && doc_is_true(t, "alert.firing");
        const Glyphs *g = s->term->glyph;
        Style style = running || firing ? STYLE_BAD : look->style;
        unsigned indent = INDENT + (s->term->width < 60 ? 2 : 17); /* what it says, beside the mark or below it */
        char wait[WORDS_MAX];
        uint64_t v;

        if (s->column < INDENT)
                screen_pad(s, INDENT);
        screen_safe(s, STYLE_PLAIN, rung ? rung : "?", 10);
        screen_pad(s, INDENT + 8);
        screen_put(s, style, style == STYLE_DIM ? g->off : style == STYLE_WARN ? g->half : g->on);
        screen_putf(s, style, " %s", running ? "runs" : firing ? "fires" : look->text);
        if (s->column > indent)
                screen_end(s);
        screen_pad(s, indent);
        if (why)
                screen_words(s, indent, style == STYLE_DIM ? STYLE_DIM : STYLE_PLAIN, why);
        if (doc_usec(d, "wait_s", &v) && v != USEC_INFINITY)
                screen_item(s, indent, STYLE_DIM, "%s to go", words_time(wait, v));
        draw_trigger(s, d, indent);
        screen_end(s);
}

/* Every rung rests for the same reason: one line says it. Return: the reason, or NULL. */
static const char *quiet_reason(const json_t *t, const json_t *list) {
        const char *all = NULL;
        const json_t *d;
        size_t i;

        json_array_foreach(list, i, d) {
                const char *verb = doc_text(d, "verb"), *why = doc_text(d, "reason_text");

                if (!verb || strcmp(verb, "none") != 0 || !why || (all && strcmp(all, why) != 0))
                        return NULL;
                all = why;
        }
        return doc_is_true(t, "alert.firing") || doc_text(t, "action_in_flight") ? NULL : all;
}

static void draw_ladder(Screen *s, const json_t *t) {
        const json_t *list = doc_get(t, "decisions"), *d;
        const char *quiet;
        size_t i;

        if (!json_is_array(list) || json_array_size(list) == 0)
                return;
        quiet = quiet_reason(t, list);
        if (quiet) {
                label(s, "ladder");
                screen_putf(s, STYLE_DIM, "%s all quiet:", s->term->glyph->off);
                screen_words(s, INDENT, STYLE_DIM, quiet);
                screen_end(s);
                return;
        }
        json_array_foreach(list, i, d) {
                if (i == 0)
                        label(s, "ladder");
                if (json_is_object(d))
                        draw_rung(s, t, d);
        }
}

/* Of how often it looks, and of how good the forecasts were. */
static void draw_sampling(Screen *s, const json_t *t) {
        const char *alarm = doc_text(t, "sampling.alarm");
        char every[FORMAT_MAX];
        double error, covered;
        uint64_t v, n;

        if (doc_usec(t, "sampling.interval_s", &v)) {
                label(s, "looks");
                screen_putf(s, STYLE_DIM, "every %s", format_usec(every, v)); /* 440 ms, too */
                if (alarm && strcmp(alarm, "none") != 0)
                        screen_item(s, INDENT, STYLE_DIM, "woken by the kernel's %s",
                                    strcmp(alarm, "threshold") == 0 ? "threshold" : "memory.events");
                screen_end(s);
        }
        if (doc_u64(t, "forecast_score.of_last", &n) && n > 0 && doc_double(t, "forecast_score.error_ratio", &error) &&
            doc_double(t, "forecast_score.covered_ratio", &covered)) {
                label(s, "forecasts");
                screen_putf(s, STYLE_DIM, "the last %llu were off by %.0f %%", (unsigned long long)n, error * 100);
                screen_item(s, INDENT, STYLE_DIM, "%.0f %% within their interval", covered * 100);
                screen_end(s);
        }
}

static void draw_deadline(Screen *s, const json_t *t) {
        static const char *const parts[][2] = {{"drain", "drain"}, {"startup", "start-up"}, {"retries", "retries"}};
        char text[WORDS_MAX];
        uint64_t v, from = 0;

        if (!doc_usec(t, "deadline.needs_s", &v))
                return;
        label(s, "deadline");
        screen_putf(s, STYLE_PLAIN, "a rotation needs %s", words_time(text, v));
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                char key[48];

                snprintf(key, sizeof(key), "deadline.%s.needs_s", parts[i][0]);
                if (doc_usec(t, key, &v))
                        screen_item(s, INDENT, STYLE_DIM, "%s %s", parts[i][1], words_time(text, v));
                snprintf(key, sizeof(key), "deadline.%s.learned_from", parts[i][0]);
                from = doc_u64(t, key, &v) ? max_of(from, v) : from;
        }
        if (doc_usec(t, "deadline.margin_s", &v))
                screen_item(s, INDENT, STYLE_DIM, "margin %s", words_time(text, v));
        if (from > 0)
                screen_item(s, INDENT, STYLE_DIM, "learned from the last %llu", (unsigned long long)from);
        screen_end(s);
}

static Style result_style(const char *result) {
        if (strcmp(result, "ok") == 0)
                return STYLE_GOOD;
        return strcmp(result, "partial") == 0 || strcmp(result, "refused") == 0 || strcmp(result, "skipped") == 0
                       ? STYLE_WARN
                       : STYLE_BAD;
}

static void draw_action_figures(Screen *s, const json_t *a) {
        char x[FORMAT_MAX], y[FORMAT_MAX], text[WORDS_MAX];
        uint64_t before, after, v;

        if (doc_u64(a, "before_bytes", &before) && doc_u64(a, "after_bytes", &after))
                screen_item(s, INDENT, STYLE_PLAIN, "%s %s %s", format_bytes(x, before), s->term->glyph->arrow,
                            format_bytes(y, after));
        if (doc_u64(a, "released_bytes", &v))
                screen_item(s, INDENT, STYLE_BOLD, "gave back %s", format_bytes(x, v));
        if (doc_usec(a, "stop_s", &v) && v)
                screen_item(s, INDENT, STYLE_DIM, "thread held %s", format_usec(x, v));
        if (doc_usec(a, "duration_s", &v))
                screen_item(s, INDENT, STYLE_DIM, "took %s",
                            v < 2 * USEC_PER_MINUTE ? format_usec(x, v) : words_time(text, v));
}

static void draw_action(Screen *s, const json_t *doc, const char *rung, const json_t *a) {
        const char *result = doc_text(a, "result"), *method = doc_text(a, "method"), *detail = doc_text(a, "detail");
        char clock[WORDS_MAX];
        uint64_t time, now;

        label(s, rung);
        if (result)
                screen_safe(s, result_style(result), result, 12);
        if (doc_time(a, "time", &time) && doc_time(doc, "time", &now))
                screen_putf(s, STYLE_PLAIN, " at %s", words_clock(clock, time, now));
        if (method)
                screen_item(s, INDENT, STYLE_DIM, "by %.16s", method);
        draw_action_figures(s, a);
        screen_end(s);
        if (detail) {
                screen_words(s, INDENT, STYLE_DIM, detail);
                screen_end(s);
        }
}

static void draw_actions(Screen *s, const json_t *doc, const json_t *t) {
        static const char *const rungs[][2] = {{"reclaim", "last_actions.reclaim"}, {"rotate", "last_actions.rotate"}};

        for (size_t i = 0; i < ELEMENTSOF(rungs); i++) {
                const json_t *a = doc_get(t, rungs[i][1]);

                if (json_is_object(a))
                        draw_action(s, doc, rungs[i][0], a);
        }
}

static void draw_target(Screen *s, const json_t *doc, const json_t *t) {
        screen_end(s);
        draw_headline(s, t);
        draw_alert(s, doc, t);
        if (doc_is_true(t, "present")) {
                draw_usage(s, t);
                draw_forecast(s, t);
                draw_rss(s, t);
                draw_verdict(s, t);
                draw_ladder(s, t);
                draw_deadline(s, t);
                draw_sampling(s, t);
        }
        draw_actions(s, doc, t);
}

static void draw_sink(Screen *s, const json_t *doc, const json_t *k) {
        const char *name = doc_text(k, "name"), *error = doc_text(k, "last_error");
        uint64_t delivered, last, now, queued, dropped;
        char ago[WORDS_MAX];

        screen_safe(s, STYLE_BOLD, name ? name : "?", 20);
        screen_pad(s, 14);
        screen_putf(s, error ? STYLE_BAD : STYLE_GOOD, "%s %s", error ? s->term->glyph->half : s->term->glyph->on,
                    error ? "failing" : "ok");
        if (doc_u64(k, "delivered_total", &delivered))
                screen_item(s, 14, STYLE_PLAIN, "%llu delivered", (unsigned long long)delivered);
        if (doc_time(k, "last_success", &last) && doc_time(doc, "time", &now) && now >= last)
                screen_item(s, 14, STYLE_PLAIN, "last %s ago", words_time(ago, now - last));
        else
                screen_item(s, 14, STYLE_DIM, "none yet");
        if (doc_u64(k, "queued", &queued) && queued)
                screen_item(s, 14, STYLE_WARN, "%llu queued", (unsigned long long)queued);
        if (doc_u64(k, "dropped_total", &dropped) && dropped)
                screen_item(s, 14, STYLE_BAD, "%llu dropped", (unsigned long long)dropped);
        screen_end(s);
        if (error) {
                screen_words(s, 14, STYLE_DIM, error);
                screen_end(s);
        }
}

static void draw_sinks(Screen *s, const json_t *doc) {
        const json_t *list = doc_get(doc, "sinks"), *k;
        size_t i;

        if (!json_is_array(list) || json_array_size(list) == 0)
                return;
        screen_end(s);
        json_array_foreach(list, i, k)
                if (json_is_object(k))
                        draw_sink(s, doc, k);
}

/* Why no better way, what is waited for: the daemon says it in a sentence. */
static void draw_rotation(Screen *s, const json_t *k) {
        const char *state = doc_text(k, "rotation.state"), *strategy = doc_text(k, "rotation.strategy"),
                   *reason = doc_text(k, "rotation.reason"), *detail = doc_text(k, "rotation.detail");
        bool rests = !state || strcmp(state, "normal") == 0;
        char text[WORDS_MAX];
        uint64_t v;

        label(s, "rotation");
        screen_safe(s, rests ? STYLE_PLAIN : STYLE_BAD, rests ? "none" : state, 24);
        if (!rests && doc_usec(k, "rotation.state_age_s", &v))
                screen_item(s, INDENT, STYLE_PLAIN, "for %s", words_time(text, v));
        if (strategy)
                screen_item(s, INDENT, STYLE_PLAIN, rests ? "would be by %.24s" : "by %.24s", strategy);
        if (!rests && reason)
                screen_item(s, INDENT, STYLE_DIM, "%.40s", reason);
        if (doc_is_true(k, "rotation.slot_held"))
                screen_item(s, INDENT, STYLE_DIM, "holds a slot");
        if (doc_u64(k, "rotation.connections", &v))
                screen_item(s, INDENT, STYLE_BOLD, "%llu connection%s left", (unsigned long long)v, v == 1 ? "" : "s");
        screen_end(s);
        if (detail) {
                screen_pad(s, INDENT);
                screen_words(s, INDENT, STYLE_DIM, detail);
                screen_end(s);
        }
}

static void draw_pod(Screen *s, const json_t *doc) {
        const json_t *k = doc_get(doc, "kubernetes");
        const char *pod = doc_text(k, "pod"), *kind = doc_text(k, "owner_kind"), *owner = doc_text(k, "owner_name"),
                   *why = doc_text(k, "why");

        if (!json_is_object(k))
                return;
        screen_end(s);
        screen_safe(s, STYLE_BOLD, pod ? pod : "pod", 60);
        if (kind && owner) {
                screen_item(s, INDENT, STYLE_PLAIN, "of %.40s %.60s", kind, owner);
        }
        if (!doc_is_true(k, "ready"))
                screen_item(s, INDENT, STYLE_BAD, "out of its Services");
        if (!doc_is_true(k, "main_may_live"))
                screen_item(s, INDENT, STYLE_BAD, "main container to be restarted");
        screen_end(s);
        label(s, "API");
        screen_putf(s, doc_is_true(k, "api") ? STYLE_GOOD : STYLE_WARN, "%s %s",
                    doc_is_true(k, "api") ? s->term->glyph->on : s->term->glyph->half,
                    doc_is_true(k, "api") ? "answers" : "not there");
        screen_end(s);
        if (why) {
                screen_pad(s, INDENT);
                screen_words(s, INDENT, STYLE_DIM, why);
                screen_end(s);
        }
        draw_rotation(s, k);
}

unsigned status_view(Screen *s, const json_t *doc, const char *only) {
        unsigned n = 0;
        size_t i;
        const json_t *t;

        draw_daemon(s, doc);
        json_array_foreach(doc_get(doc, "targets"), i, t)
                if (is_wanted(t, only)) {
                        draw_target(s, doc, t);
                        n++;
                }
                draw_pod(s, doc);
                draw_sinks(s, doc);
                return n;
}
