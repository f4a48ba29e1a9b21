/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch-view.h"

#include <math.h>
#include <string.h>

#include "cli/words.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"

#define INDENT 11u
#define CHART_ROWS_MAX 32u /* taller says no more */
#define CHART_ROWS_MIN 6u

/* ---- lines ---- */

/* Columns: clock, RSS, anonymous, usage, limit, growth, forecast. */
static const unsigned columns[] = {0, 10, 20, 30, 40, 46, 61};

void watch_header(Screen *s) {
        static const char *const names[] = {"TIME", "RSS", "ANON", "USAGE", "FULL", "GROWTH", "FORECAST"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                screen_pad(s, columns[i]);
                screen_put(s, STYLE_DIM, names[i]);
        }
        screen_end(s);
}

static const char *bytes_or_dash(char buf[static FORMAT_MAX], bool known, uint64_t v) {
        return known ? format_bytes(buf, v) : "-";
}

static double used_ratio(const Sample *m) {
        return m->limit_bytes ? (double)m->usage_bytes / (double)m->limit_bytes : 0;
}

void watch_line(Screen *s, const Watched *w) {
        const Sample *m = &w->sample;
        char text[FORMAT_MAX], words[WORDS_MAX], clock[WORDS_MAX];
        Style style;

        screen_put(s, STYLE_DIM, words_clock(clock, w->real_usec, w->real_usec));
        screen_pad(s, columns[1]);
        screen_put(s, STYLE_BOLD, bytes_or_dash(text, m->have & SAMPLE_HAVE_STATUS, m->rss_bytes));
        screen_pad(s, columns[2]);
        screen_put(s, STYLE_PLAIN, bytes_or_dash(text, m->have & SAMPLE_HAVE_RSS_KIND, m->rss_anon_bytes));
        screen_pad(s, columns[3]);
        screen_put(s, STYLE_PLAIN, bytes_or_dash(text, m->usage_bytes > 0, m->usage_bytes));
        screen_pad(s, columns[4]);
        if (m->limit_bytes)
                screen_putf(s, words_usage_style(used_ratio(m)), "%.0f %%", used_ratio(m) * 100);
        else
                screen_put(s, STYLE_DIM, "-");
        screen_pad(s, columns[5]);
        words_growth(words, &w->fit);
        screen_put(s, STYLE_PLAIN, *words ? words : "-");
        screen_pad(s, columns[6]);
        words_forecast(words, &w->fit, w->min_span_usec, m->usage_bytes, &style);
        screen_put(s, style, words);
        screen_end(s);
}

static void put_who(Screen *s, const char *comm, pid_t pid) {
        screen_safe(s, STYLE_BOLD, comm, 32);
        screen_putf(s, STYLE_PLAIN, " (pid %d)", pid);
}

static void put_event(Screen *s, const Watched *w) {
        const Target *t = w->target;

        switch (w->event) {
        case TARGET_EVENT_ENDED:
                put_who(s, w->ended_comm, w->ended_pid);
                screen_put(s, STYLE_WARN, " ended");
                break;
        case TARGET_EVENT_ABSENT:
                screen_put(s, STYLE_WARN, "waiting for ");
                screen_safe(s, STYLE_PLAIN, w->what, 0);
                break;
        case TARGET_EVENT_RESTARTED:
                put_who(s, w->ended_comm, w->ended_pid);
                screen_put(s, STYLE_WARN, " ended");
                screen_putf(s, STYLE_PLAIN, " %s ", s->term->glyph->arrow);
                put_who(s, t->comm, t->pid);
                screen_put(s, STYLE_PLAIN, " took its place");
                break;
        case TARGET_EVENT_EXECED:
                put_who(s, t->comm, t->pid);
                screen_put(s, STYLE_PLAIN, " runs another program now");
                break;
        default:
                put_who(s, t->comm, t->pid);
                screen_put(s, STYLE_PLAIN, " is watched: ");
                screen_safe(s, STYLE_DIM, t->cmdline, 0);
        }
}

void watch_event(Screen *s, const Watched *w) {
        char clock[WORDS_MAX];

        screen_put(s, STYLE_DIM, words_clock(clock, w->real_usec, w->real_usec));
        screen_pad(s, columns[1]);
        put_event(s, w);
        screen_end(s);
}

/* ---- the live screen ---- */

static void live_headline(Screen *s, const Watched *w) {
        char every[FORMAT_MAX], clock[WORDS_MAX];
        const Target *t = w->target;
        unsigned right;

        format_usec(every, w->interval_usec);
        words_clock(clock, w->real_usec, w->real_usec);
        right = (unsigned)(strlen(clock) + strlen(every) + 10); /* "  every ", two blanks */
        if (t->pid > 0) {
                screen_safe(s, STYLE_BOLD, t->comm, 32);
                screen_putf(s, STYLE_PLAIN, "  pid %d  ", t->pid);
                if (screen_left(s) > right + 16)
                        screen_safe(s, STYLE_DIM, t->cmdline, screen_left(s) - right - 1);
        } else {
                screen_put(s, STYLE_WARN, "no process now ");
        }
        if (screen_left(s) > right) {
                screen_pad(s, s->term->width - right + 2);
                screen_putf(s, STYLE_DIM, "every %s  %s", every, clock);
        }
        screen_end(s);
}

static void live_label(Screen *s, const char *text) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, INDENT);
}

static void live_usage(Screen *s, const Sample *m) {
        char text[FORMAT_MAX], limit[FORMAT_MAX];
        double ratio = used_ratio(m);
        unsigned room = s->term->width > INDENT + 40 ? min_of(s->term->width - INDENT - 40, 40u) : 0;

        live_label(s, "usage");
        if (!m->limit_bytes) {
                screen_put(s, STYLE_PLAIN, format_bytes(text, m->usage_bytes));
                screen_item(s, INDENT, STYLE_DIM, "no limit known: --limit sets one");
                screen_end(s);
                return;
        }
        if (room >= 8) {
                screen_bar(s, words_usage_style(ratio), room, ratio);
                screen_put(s, STYLE_PLAIN, " ");
        }
        screen_putf(s, words_usage_style(ratio), "%3.0f %%", ratio * 100);
        screen_putf(s, STYLE_PLAIN, " %s of %s", format_bytes(text, m->usage_bytes),
                    format_bytes(limit, m->limit_bytes));
        if (m->limit_source == LIMIT_CGROUP && screen_left(s) > 14)
                screen_put(s, STYLE_DIM, " cgroup limit");
        screen_end(s);
}

static void live_rss(Screen *s, const Sample *m) {
        char text[FORMAT_MAX];

        live_label(s, "RSS");
        screen_put(s, STYLE_BOLD, bytes_or_dash(text, m->have & SAMPLE_HAVE_STATUS, m->rss_bytes));
        if (m->have & SAMPLE_HAVE_RSS_KIND) {
                screen_item(s, INDENT, STYLE_PLAIN, "anon %s", format_bytes(text, m->rss_anon_bytes));
                screen_item(s, INDENT, STYLE_PLAIN, "file %s", format_bytes(text, m->rss_file_bytes));
                screen_item(s, INDENT, STYLE_PLAIN, "shmem %s", format_bytes(text, m->rss_shmem_bytes));
        }
        if (m->swap_bytes)
                screen_item(s, INDENT, STYLE_WARN, "swap %s", format_bytes(text, m->swap_bytes));
        if (m->rss_peak_bytes)
                screen_item(s, INDENT, STYLE_DIM, "peak %s", format_bytes(text, m->rss_peak_bytes));
        screen_end(s);
}

static void live_forecast(Screen *s, const Watched *w) {
        char forecast[WORDS_MAX], growth[WORDS_MAX];
        Style style;

        live_label(s, "forecast");
        words_forecast(forecast, &w->fit, w->min_span_usec, w->sample.usage_bytes, &style);
        screen_item(s, INDENT, style, "%s", forecast);
        words_growth(growth, &w->fit);
        if (*growth)
                screen_item(s, INDENT, STYLE_PLAIN, "growth %s", growth);
        screen_end(s);
}

void watch_live(Screen *s, const Watched *w) {
        unsigned height = s->term->height, rows;

        live_headline(s, w);
        if (w->sampled) {
                live_usage(s, &w->sample);
                live_rss(s, &w->sample);
                live_forecast(s, w);
        } else {
                watch_event(s, w);
        }
        /* an empty line above, and the last line stays free: a newline there would scroll */
        rows = height > s->n_lines + 2 ? min_of(height - s->n_lines - 2, CHART_ROWS_MAX) : 0;
        if (rows >= CHART_ROWS_MIN && w->chart.n) {
                screen_end(s);
                chart_draw(&w->chart, s, w->sampled ? &w->fit : NULL, w->sample.limit_bytes, s->term->width, rows);
        }
}

/* ---- JSON ---- */

static void json_seconds(Json *j, const char *key, uint64_t usec) {
        json_kv_double(j, key, usec == USEC_INFINITY ? NAN : (double)usec / USEC_PER_SEC);
}

static void json_trend(Json *j, const TrendFit *f) {
        json_key(j, "trend");
        json_object_begin(j);
        json_kv_string(j, "state", trend_state_name(f->state));
        json_kv_string(j, "kind", trend_kind_name(f->kind));
        json_kv_string(j, "proof", trend_proof_name(f->proof));
        json_kv_u64(j, "samples", f->n);
        json_seconds(j, "span_s", f->span_usec);
        if (f->state != TREND_WAIT) {
                json_kv_double(j, "slope_bytes_per_s", f->slope_bytes_per_s);
                json_kv_double(j, "slope_lo_bytes_per_s", f->slope_lo_bytes_per_s);
                json_kv_double(j, "slope_hi_bytes_per_s", f->slope_hi_bytes_per_s);
                json_kv_double(j, "r2_ratio", f->r2_ratio);
                json_kv_double(j, "confidence_ratio", f->confidence);
                json_seconds(j, "eta_s", f->eta_usec);
                json_seconds(j, "eta_lo_s", f->eta_lo_usec);
                json_seconds(j, "eta_hi_s", f->eta_hi_usec);
        }
        json_object_end(j);
}

void watch_json(Buf *b, const Watched *w) {
        const Sample *m = &w->sample;
        bool status = w->sampled && m->have & SAMPLE_HAVE_STATUS, kinds = w->sampled && m->have & SAMPLE_HAVE_RSS_KIND;
        bool ended = w->event == TARGET_EVENT_ENDED, named = ended || w->target->pid > 0;
        char ts[FORMAT_MAX];
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_string(&j, "time", format_timestamp(ts, w->real_usec));
        json_kv_string(&j, "event", w->event == TARGET_EVENT_NONE ? "sample" : target_event_name(w->event));
        json_kv_u64_or_null(&j, "pid", named, (uint64_t)(ended ? w->ended_pid : w->target->pid));
        json_kv_string(&j, "comm", ended ? w->ended_comm : named ? w->target->comm : NULL);
        json_seconds(&j, "age_s", w->sampled ? m->time_usec - min_of(m->time_usec, w->target->start_boot_usec)
                                             : USEC_INFINITY);
        json_kv_u64_or_null(&j, "rss_bytes", status, m->rss_bytes);
        json_kv_u64_or_null(&j, "rss_anon_bytes", kinds, m->rss_anon_bytes);
        json_kv_u64_or_null(&j, "rss_file_bytes", kinds, m->rss_file_bytes);
        json_kv_u64_or_null(&j, "rss_shmem_bytes", kinds, m->rss_shmem_bytes);
        json_kv_u64_or_null(&j, "swap_bytes", status, m->swap_bytes);
        json_kv_u64_or_null(&j, "used_bytes", status, m->usage_bytes);
        json_kv_u64_or_null(&j, "limit_bytes", w->sampled && m->limit_bytes, m->limit_bytes);
        json_kv_string(&j, "limit_source", w->sampled ? limit_source_name(m->limit_source) : NULL);
        if (w->sampled) {
                json_trend(&j, &w->fit);
        } else {
                json_key(&j, "trend");
                json_nil(&j);
        }
        json_object_end(&j);
        buf_addc(b, '\n');
}
