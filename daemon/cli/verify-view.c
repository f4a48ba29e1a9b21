/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/screen.h"
#include "replay/picture.h"
#include "util/format.h"
#include "util/json.h"

#define SVG_MAX ((size_t)1 << 20)

/* ---- for people ---- */

static const char *span(char buf[static FORMAT_MAX], double s) {
        return format_usec(buf, (uint64_t)(fmin(fmax(s, 0), 1e12) * USEC_PER_SEC));
}

static int64_t day_bytes(double bytes_per_s) {
        return (int64_t)fmax(fmin(bytes_per_s * 86400, 9e18), -9e18);
}

static void put_line(Screen *s, const char *label, const char *text) {
        screen_put(s, STYLE_DIM, label);
        screen_pad(s, 10);
        screen_words(s, 10, STYLE_PLAIN, text);
        screen_end(s);
}

static void view_figures(Screen *s, const Judged *j, const VerifyArgs *a) {
        const PlateauResult *r = &j->result;
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];
        _cleanup_buf_ Buf b = BUF_NULL;

        buf_addf(&b, "%s a day [%s .. %s, %.4g %%]", format_signed_bytes(x, day_bytes(r->slope)),
                 format_signed_bytes(y, day_bytes(r->slope_lo)), format_signed_bytes(z, day_bytes(r->slope_hi)),
                 a->confidence_ratio * 100);
        put_line(s, "growth", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s a day and more: ", format_bytes(x, (uint64_t)fmin(r->matters * 86400, 9e18)));
        if (j->limit_bytes)
                buf_addf(&b, "the limit, %s, within %s", format_bytes(y, j->limit_bytes),
                         format_usec(z, a->horizon_usec));
        else
                buf_addf(&b, "%.3g %% of the level; no limit is known", a->daily_ratio * 100);
        put_line(s, "matters", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s at the end", format_bytes(x, (uint64_t)fmax(r->level_bytes, 0)));
        put_line(s, "level", buf_str(&b));
        if (j->per_in_use > 0) {
                buf_reset(&b);
                buf_addf(&b, "%s, %.3g bytes resident for each", format_bytes(x, (uint64_t)j->in_use_bytes),
                         j->per_in_use);
                put_line(s, "in use", buf_str(&b));
        }
        buf_reset(&b);
        buf_addf(&b, "%s", span(x, r->judged_s));
        if (r->warm_s > 0)
                buf_addf(&b, ", behind %s of warm-up", span(y, r->warm_s));
        put_line(s, "judged", buf_str(&b));
}

static void view_one(Screen *s, const Judged *j, const VerifyArgs *a) {
        static const struct {
                Style style;
                const char *text;
        } words[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_UNDECIDED] = {STYLE_WARN, "UNDECIDED"},
                [PLATEAU_FLAT] = {STYLE_GOOD, "PLATEAU"},
                [PLATEAU_LINE] = {STYLE_BAD, "LINE"},
        };
        const PlateauResult *r = &j->result;
        char x[FORMAT_MAX];

        screen_put(s, STYLE_DIM, j->role);
        screen_pad(s, 10);
        screen_put(s, words[r->verdict].style, words[r->verdict].text);
        screen_put(s, STYLE_PLAIN, "  ");
        screen_safe(s, STYLE_BOLD, j->path, 60);
        screen_end(s);
        chart_draw(&j->chart, s, NULL, j->limit_bytes, min_of(s->term->width - 1, 100u), 8); /* "now" is centred */
        if (r->n_windows < PLATEAU_WINDOWS_MIN) {
                put_line(s, "missing",
                         "too few samples, or too long gaps between them: expected samples in 12 of 32 "
                         "equal parts of the time");
                return;
        }
        view_figures(s, j, a);
        if (r->verdict == PLATEAU_UNDECIDED && r->more_s > 0) {
                _cleanup_buf_ Buf b = BUF_NULL;

                buf_addf(&b, "some %s more of it%s", span(x, r->more_s),
                         r->slows   ? ": it grows, but slows down"
                         : r->brief ? ": it grows, but so does one side of a wave"
                                    : "");
                put_line(s, "missing", buf_str(&b));
        }
}

/* ---- for programs ---- */

static void json_judged(Json *out, const Judged *j) {
        const PlateauResult *r = &j->result;
        bool known = r->n_windows >= PLATEAU_WINDOWS_MIN;
        const struct {
                const char *key;
                double value;
        } figures[] = {
                {"slope_bytes_per_s", r->slope},
                {"slope_lo_bytes_per_s", r->slope_lo},
                {"slope_hi_bytes_per_s", r->slope_hi},
                {"matters_bytes_per_s", r->matters},
                {"level_bytes", r->level_bytes},
                {"level_lo_bytes", r->level_lo},
                {"level_hi_bytes", r->level_hi},
                {"warm_up_s", r->warm_s},
                {"judged_s", r->judged_s},
                {"autocorrelation", r->rho},
        };

        json_object_begin(out);
        json_kv_string(out, "role", j->role);
        json_kv_string(out, "trace", j->path);
        json_kv_string(out, "verdict", plateau_verdict_name(r->verdict));
        json_kv_u64(out, "samples", j->trace.n - j->from);
        json_kv_u64(out, "windows", r->n_windows);
        json_kv_u64_or_null(out, "limit_bytes", j->limit_bytes > 0, j->limit_bytes);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                json_kv_double(out, figures[i].key, known ? figures[i].value : NAN);
        json_kv_double(out, "in_use_bytes", j->per_in_use > 0 ? j->in_use_bytes : NAN);
        json_kv_double(out, "resident_per_in_use", j->per_in_use > 0 ? j->per_in_use : NAN);
        json_kv_double(out, "more_s", r->more_s > 0 ? r->more_s : NAN);
        json_kv_bool(out, "slows", known && r->slows);
        json_kv_bool(out, "brief", known && r->brief);
        json_object_end(out);
}

static void json_change(Json *out, const PlateauChange *c) {
        const struct {
                const char *key;
                bool known;
                double value;
        } figures[] = {
                {"slope_ratio", c->ratio_known, c->ratio},       {"slope_ratio_lo", c->ratio_known, c->ratio_lo},
                {"slope_ratio_hi", c->ratio_known, c->ratio_hi}, {"saved_bytes", c->known, c->saved_bytes},
                {"saved_lo_bytes", c->known, c->saved_lo},       {"saved_hi_bytes", c->known, c->saved_hi},
        };

        json_object_begin(out);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                json_kv_double(out, figures[i].key, figures[i].known ? figures[i].value : NAN);
        json_object_end(out);
}

void verify_json(const Judged *j, unsigned n, PlateauVerdict verdict, const PlateauChange *change,
                 const VerifyAllocator *allocator) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json out = JSON_INIT(&b);

        json_object_begin(&out);
        if (n > 0)
                json_kv_string(&out, "verdict", plateau_verdict_name(verdict));
        if (allocator->asked) {
                json_kv_string(&out, "allocator", allocator->name);
                json_kv_bool(&out, "allocator_met", allocator->met);
        }
        if (change) {
                json_key(&out, "change");
                json_change(&out, change);
        }
        json_key(&out, "traces");
        json_array_begin(&out);
        for (unsigned i = 0; i < n; i++)
                json_judged(&out, &j[i]);
        json_array_end(&out);
        json_object_end(&out);
        puts(buf_str(&b));
}

/* No "-0.0". */
static double percent(double ratio) {
        return fabs(ratio) < 0.0005 ? 0 : ratio * 100;
}

static void view_change(Screen *s, const PlateauChange *c, const Judged *before, const Judged *after) {
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];
        _cleanup_buf_ Buf b = BUF_NULL;

        screen_end(s);
        if (!c->known) {
                put_line(s, "change", "not known: one of them could not be judged");
                return;
        }
        if (c->ratio_known)
                buf_addf(&b, "growth is %.1f %% of what it was [%.1f %% .. %.1f %%]", percent(c->ratio),
                         percent(c->ratio_lo), percent(c->ratio_hi));
        else
                buf_adds(&b, "growth cannot be compared: before, none is shown beyond doubt");
        put_line(s, "change", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s [%s .. %s] at the end of each", format_signed_bytes(x, (int64_t)-c->saved_bytes),
                 format_signed_bytes(y, (int64_t)-c->saved_hi), format_signed_bytes(z, (int64_t)-c->saved_lo));
        put_line(s, "level", buf_str(&b));
        if (before->per_in_use > 0 && after->per_in_use > 0) {
                buf_reset(&b);
                buf_addf(&b, "%.3g resident for each byte in use, %.3g before", after->per_in_use, before->per_in_use);
                put_line(s, "in use", buf_str(&b));
        }
}

static void put_allocator(Screen *s, const VerifyArgs *a, const VerifyAllocator *allocator) {
        _cleanup_buf_ Buf b = BUF_NULL;

        buf_addf(&b, "%s", *allocator->name ? allocator->name : "not known");
        if (!allocator->met)
                buf_addf(&b,
                         ": expected %s. A library that LD_PRELOAD names and ld.so does not find is only warned of, "
                         "on the program's standard error. A program that is linked statically ignores it, and so "
                         "does one that gains privileges at its start.",
                         a->allocator);
        screen_put(s, STYLE_DIM, "malloc");
        screen_pad(s, 10);
        screen_words(s, 10, allocator->met ? STYLE_GOOD : STYLE_BAD, buf_str(&b));
        screen_end(s);
}

void verify_allocator_view(const VerifyArgs *a, const VerifyAllocator *allocator) {
        Term t;

        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        put_allocator(&s, a, allocator);
        fputs(buf_str(&s.buf), stdout);
}

void verify_view(const VerifyArgs *a, const Judged *j, unsigned n, const PlateauChange *change,
                 const VerifyAllocator *allocator) {
        Term t;

        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        for (unsigned i = 0; i < n; i++) {
                if (i > 0)
                        screen_end(&s);
                view_one(&s, &j[i], a);
        }
        if (change)
                view_change(&s, change, &j[0], &j[1]);
        if (allocator->asked)
                put_allocator(&s, a, allocator);
        fputs(buf_str(&s.buf), stdout);
}

/* ---- the picture ---- */

static void put_trace(Picture *p, const Judged *j, bool behind) {
        const TracePoint *x = &j->trace.points[j->from];

        for (size_t i = 0; i < j->trace.n - j->from; i++)
                picture_sample(p, x[i].time_usec - x[0].time_usec, &x[i], x[i].bytes, behind ? 0 : j->limit_bytes,
                               behind);
}

static double seconds_of(const Judged *j) {
        const Trace *t = &j->trace;

        return (double)(t->points[t->n - 1].time_usec - t->points[j->from].time_usec) / USEC_PER_SEC;
}

static void put_headline(Buf *b, const Judged *j) {
        const PlateauResult *r = &j->result;
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];

        buf_addf(b, "%s", plateau_verdict_name(r->verdict));
        if (r->n_windows >= PLATEAU_WINDOWS_MIN)
                buf_addf(b, ": %s a day [%s to %s]", format_signed_bytes(x, day_bytes(r->slope)),
                         format_signed_bytes(y, day_bytes(r->slope_lo)),
                         format_signed_bytes(z, day_bytes(r->slope_hi)));
}

static int write_file(const char *path, const Buf *b) {
        _cleanup_file_ FILE *f = fopen(path, "we");

        if (!f || fwrite(buf_str(b), 1, b->len, f) != b->len || fflush(f) != 0)
                return -errno;
        return 0;
}

CliExit verify_svg(const VerifyArgs *a, const Judged *j, unsigned n) {
        _cleanup_buf_ Buf svg = {.max = SVG_MAX}, headline = BUF_NULL, safe = BUF_NULL;
        const Judged *last = &j[n - 1];
        const char *slash = strrchr(last->path, '/');
        _cleanup_free_ Picture *p = malloc(sizeof(*p));
        int r = -ENOMEM;

        if (p) {
                picture_begin(p, &last->trace, false);
                p->rest_word = "before";
                p->shown_s = fmax(fmax(seconds_of(&j[0]), seconds_of(last)), 1);
                if (n > 1) {
                        put_trace(p, &j[0], true);
                        put_headline(&headline, &j[0]);
                        buf_adds(&headline, " → ");
                }
                put_trace(p, last, false);
                put_headline(&headline, last);
                picture_draw(p, slash && slash[1] ? slash + 1 : last->path, buf_str(&headline), &svg);
                r = svg.failed ? -ENOMEM : write_file(a->svg, &svg);
        }
        if (r == 0)
                return CLI_OK;
        term_safe(&safe, term_has_utf8(), a->svg);
        fprintf(stderr, "plateau verify: --svg %s: %s\n", buf_str(&safe), strerror(-r));
        return CLI_ERROR;
}
