/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chart.h"

#include <math.h>
#include <string.h>

#include "cli/words.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/format.h"

#define LABEL_WIDTH 9 /* "1023.5 MB" */
#define SPAN_MIN_USEC USEC_PER_MINUTE

/* What a cell shows, weakest first: the measured line is never hidden by a forecast. */
typedef enum Layer { LAYER_NONE, LAYER_BOUND, LAYER_FORECAST, LAYER_DATA, _LAYER_MAX } Layer;

typedef struct Canvas {
        unsigned width, height;     /* cells */
        unsigned dots_x, dots_y;    /* in a cell */
        uint8_t dots[CHART_HEIGHT_MAX][CHART_WIDTH_MAX];
        uint8_t layer[CHART_HEIGHT_MAX][CHART_WIDTH_MAX];
        /* the window: where dots lie in time and bytes */
        double t0, t1, y0, y1;
        double now, limit;          /* limit 0 = not in the picture */
} Canvas;

void chart_clear(Chart *c) {
        c->n = c->merge = c->n_merged = 0;
}

static void halve(Chart *c) {
        for (unsigned i = 0; i < c->n / 2; i++) {
                ChartPoint a = c->point[2 * i], b = c->point[2 * i + 1];

                c->point[i] = (ChartPoint){b.time_usec, max_of(a.bytes, b.bytes)};
        }
        c->n /= 2;
        c->merge = max_of(c->merge, 1u) * 2;
        c->n_merged = c->merge;
}

void chart_push(Chart *c, uint64_t time_usec, uint64_t bytes) {
        if (c->n && c->n_merged < c->merge) {
                ChartPoint *p = &c->point[c->n - 1];

                *p = (ChartPoint){time_usec, max_of(p->bytes, bytes)};
                c->n_merged++;
                return;
        }
        if (c->n == CHART_POINTS)
                halve(c);
        c->point[c->n++] = (ChartPoint){time_usec, bytes};
        c->merge = max_of(c->merge, 1u);
        c->n_merged = 1;
}

static void dot(Canvas *k, int x, int y, Layer layer) {
        /* Unicode 3.0, block 2800: bit of the dot in column, row */
        static const uint8_t bits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
        unsigned cx = (unsigned)x / k->dots_x, cy = (unsigned)y / k->dots_y;

        if (x < 0 || y < 0 || cx >= k->width || cy >= k->height)
                return;
        if (layer > k->layer[cy][cx]) {
                k->layer[cy][cx] = (uint8_t)layer;
                k->dots[cy][cx] = 0;
        }
        if (layer == k->layer[cy][cx])
                k->dots[cy][cx] |= bits[(unsigned)x % k->dots_x][(unsigned)y % k->dots_y];
}

static double dot_x(const Canvas *k, double t) {
        return (t - k->t0) / (k->t1 - k->t0) * (k->width * k->dots_x - 1);
}

static double dot_y(const Canvas *k, double bytes) {
        return (k->y1 - bytes) / (k->y1 - k->y0) * (k->height * k->dots_y - 1);
}

/* From one moment to another; every @gap-th dot only, so that a forecast looks like one. */
static void line(Canvas *k, double ta, double ya, double tb, double yb, Layer layer, unsigned gap) {
        double xa = dot_x(k, ta), xb = dot_x(k, tb), da = dot_y(k, ya), db = dot_y(k, yb);
        double length = max_of(fabs(xb - xa), fabs(db - da));
        unsigned n = (unsigned)min_of(length, 4096.0) + 1;

        for (unsigned i = 0; i <= n; i += gap) {
                double f = (double)i / n;

                dot(k, (int)lround(xa + f * (xb - xa)), (int)lround(da + f * (db - da)), layer);
        }
}

/* How much of the future to show: up to the limit where that is near, never more than half of the past. */
static double future_usec(const TrendFit *fit, double past) {
        if (!fit || fit->state != TREND_GROWING)
                return 0;
        if (fit->eta_usec == USEC_INFINITY)
                return past / 4;
        return min_of((double)fit->eta_usec * 1.15, past / 2);
}

static void choose_window(Canvas *k, const Chart *c, const TrendFit *fit, uint64_t limit_bytes) {
        double lo = INFINITY, hi = 0, pad;
        double past = max_of((double)(c->point[c->n - 1].time_usec - c->point[0].time_usec), (double)SPAN_MIN_USEC / 2);

        k->now = (double)c->point[c->n - 1].time_usec;
        k->t0 = (double)c->point[0].time_usec;
        k->t1 = max_of(k->now + future_usec(fit, past), k->t0 + SPAN_MIN_USEC);
        for (unsigned i = 0; i < c->n; i++) {
                lo = min_of(lo, (double)c->point[i].bytes);
                hi = max_of(hi, (double)c->point[i].bytes);
        }
        if (fit && fit->state == TREND_GROWING)
                hi = max_of(hi, fit->level_bytes + fit->slope_bytes_per_s * (k->t1 - k->now) / USEC_PER_SEC);
        if (limit_bytes && hi > 0.6 * (double)limit_bytes) {
                k->limit = (double)limit_bytes;
                hi = fmax(fmin(hi, k->limit * 1.04), k->limit);
        }
        /* Noise must not fill the picture: 2 % of the level at least. */
        pad = max_of((hi - lo) * 0.06, 1.0);
        if (hi - lo < 0.02 * hi)
                pad = 0.01 * hi;
        k->y1 = hi + pad;
        k->y0 = lo - pad < 0 || lo < 0.35 * hi ? 0 : lo - pad;
}

static void plot(Canvas *k, const Chart *c, const TrendFit *fit) {
        double ahead = (k->t1 - k->now) / USEC_PER_SEC;

        if (fit && fit->state == TREND_GROWING && ahead > 0 && k->dots_x > 1) {
                line(k, k->now, fit->level_bytes, k->t1, fit->level_bytes + fit->slope_lo_bytes_per_s * ahead,
                     LAYER_BOUND, 4);
                line(k, k->now, fit->level_bytes, k->t1, fit->level_bytes + fit->slope_hi_bytes_per_s * ahead,
                     LAYER_BOUND, 4);
        }
        if (fit && fit->state == TREND_GROWING && ahead > 0)
                line(k, k->now, fit->level_bytes, k->t1, fit->level_bytes + fit->slope_bytes_per_s * ahead,
                     LAYER_FORECAST, k->dots_x);
        for (unsigned i = 0; i < c->n; i++) {
                ChartPoint a = c->point[i ? i - 1 : 0], b = c->point[i];

                line(k, (double)a.time_usec, (double)a.bytes, (double)b.time_usec, (double)b.bytes, LAYER_DATA, 1);
        }
}

/* The smallest of 1, 2, 5 x 10^k that leaves at least three rows between two labels. */
static double label_step(const Canvas *k) {
        double least = (k->y1 - k->y0) / k->height * 3, power = pow(10, floor(log10(least)));
        static const double steps[] = {1, 2, 5, 10};

        for (size_t i = 0; i < ELEMENTSOF(steps); i++)
                if (steps[i] * power >= least)
                        return steps[i] * power;
        return 10 * power;
}

/* All labels in the unit of the greatest, with the decimals that the step needs. */
static void format_label(char *buf, size_t size, double bytes, double step, double top) {
        static const struct {
                double unit;
                const char *name;
        } units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}};
        size_t i = 0;
        int decimals;

        while (i + 1 < ELEMENTSOF(units) && top < units[i].unit)
                i++;
        decimals = (int)fmax(0, fmin(4, ceil(-log10(step / units[i].unit) - 1e-9)));
        snprintf(buf, size, "%.*f %s", decimals, bytes / units[i].unit, units[i].name);
}

static unsigned row_of(const Canvas *k, double bytes) {
        return (unsigned)lround(dot_y(k, bytes)) / k->dots_y;
}

static void draw_label(const Canvas *k, Screen *s, unsigned row, double step) {
        const Glyphs *g = s->term->glyph;
        char text[FORMAT_MAX] = "";
        Style style = STYLE_DIM;
        double v = floor(k->y1 / step) * step;

        for (; v >= k->y0 - step / 1e6; v -= step)
                if (row_of(k, max_of(v, k->y0)) == row)
                        format_label(text, sizeof(text), max_of(v, 0.0), step, k->y1);
        /* two labels on neighbouring rows are hard to tell apart, and the limit is the one that matters */
        if (k->limit > 0) {
                unsigned at = row_of(k, k->limit);

                if (at == row) {
                        style = STYLE_BAD;
                        format_bytes(text, (uint64_t)k->limit);
                } else if (row == at + 1 || row + 1 == at) {
                        text[0] = 0;
                }
        }
        screen_putf(s, style, "%*s ", LABEL_WIDTH, text);
        screen_put(s, STYLE_DIM, *text ? g->axis_tick : g->axis_y);
}

static void draw_cell(const Canvas *k, Screen *s, unsigned x, unsigned y, bool on_limit) {
        static const Style styles[_LAYER_MAX] = {STYLE_PLAIN, STYLE_DIM, STYLE_WARN, STYLE_ACCENT};
        static const char *const ascii[_LAYER_MAX] = {" ", " ", ".", "*"};
        Layer layer = k->layer[y][x];
        unsigned code = 0x2800 + k->dots[y][x];
        char braille[4] = {(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3f)), (char)(0x80 | (code & 0x3f)),
                           0};

        if (on_limit && layer < LAYER_FORECAST)
                screen_put(s, STYLE_BAD, s->term->glyph->limit);
        else if (layer == LAYER_NONE)
                screen_put(s, STYLE_PLAIN, " ");
        else
                screen_put(s, styles[layer], k->dots_x > 1 ? braille : ascii[layer]);
}

static void draw_rows(const Canvas *k, Screen *s) {
        double step = label_step(k);
        unsigned limit_row = k->limit > 0 ? row_of(k, k->limit) : k->height;

        for (unsigned y = 0; y < k->height; y++) {
                draw_label(k, s, y, step);
                for (unsigned x = 0; x < k->width; x++)
                        draw_cell(k, s, x, y, y == limit_row);
                screen_end(s);
        }
}

static void draw_time_axis(const Canvas *k, Screen *s) {
        const Glyphs *g = s->term->glyph;
        unsigned now = (unsigned)lround(dot_x(k, k->now)) / k->dots_x, start = LABEL_WIDTH + 2;
        bool ahead = k->t1 > k->now + (k->t1 - k->t0) * 0.02;
        char past[WORDS_MAX], future[WORDS_MAX];

        screen_pad(s, LABEL_WIDTH + 1);
        screen_put(s, STYLE_DIM, g->axis_corner);
        for (unsigned x = 0; x < k->width; x++)
                screen_put(s, STYLE_DIM, x == now ? g->axis_now : g->axis_x);
        screen_end(s);
        words_time(past, (uint64_t)(k->now - k->t0));
        screen_pad(s, start);
        if (now > strlen(past) + 5)
                screen_putf(s, STYLE_DIM, "-%s", past);
        screen_pad(s, start + (now > 1 ? now - 1 : 0));
        screen_put(s, STYLE_PLAIN, "now");
        words_time(future, (uint64_t)(k->t1 - k->now));
        if (ahead && s->column + strlen(future) + 3 < start + k->width) {
                screen_pad(s, start + k->width - (unsigned)strlen(future) - 1);
                screen_putf(s, STYLE_DIM, "+%s", future);
        }
        screen_end(s);
}

void chart_draw(const Chart *c, Screen *s, const TrendFit *fit, uint64_t limit_bytes, unsigned width, unsigned height) {
        static Canvas canvas; /* 20 kB: not on the stack of a loop, and there is one screen */
        Canvas *k = &canvas;

        if (!c->n || width < LABEL_WIDTH + 12 || height < 4)
                return;
        *k = (Canvas){
                .width = min_of(width - LABEL_WIDTH - 2, (unsigned)CHART_WIDTH_MAX),
                .height = min_of(height - 2, (unsigned)CHART_HEIGHT_MAX),
                .dots_x = s->term->braille ? 2 : 1,
                .dots_y = s->term->braille ? 4 : 1,
        };
        choose_window(k, c, fit, limit_bytes);
        plot(k, c, fit);
        draw_rows(k, s);
        draw_time_axis(k, s);
}
