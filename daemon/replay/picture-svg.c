/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing. All places are in pixels of a fixed canvas. Labels never lie on each other: a mark's line runs down from its
 * label, and a label is put into a lane below all that reach as far as its line; when there is no lane left the mark
 * keeps its dot and loses its words.
 */
#include "replay/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "replay/words.h"
#include "util/cleanup.h"
#include "util/format.h"
#include "util/json.h"

#define WIDTH           960
#define LEFT            72.0
#define PLOT_WIDTH      ((double)PICTURE_COLUMNS)
#define RIGHT           (LEFT + PLOT_WIDTH)
#define HEAD            62.0 /* title and subtitle */
#define LANE            17.0
#define LANES_MAX       8u
#define PLOT_HEIGHT     320.0
#define FOOT            66.0 /* the axis' labels, the legend */
#define CHARACTER       6.2 /* of the labels' font, 11 px, on the wide side */
#define TITLE_BYTES     90
#define ABOVE_LIMIT     1.3
#define LIMIT_FAR_RATIO 3.5 /* a limit beyond so many peaks is told, not drawn, when no cone needs it */

typedef struct Label {
        unsigned mark, lane;
        double x;
        char text[48], more[96];
} Label;

typedef struct Canvas {
        const Picture *p;
        Buf *b;
        double top, bottom; /* of the plot */
        double bytes_max;
        bool shows_limit;
        Label label[PICTURE_MARKS_MAX];
        unsigned n_labels, n_lanes;
} Canvas;

static const char style[] =
        "svg{--bg:#fff;--ink:#1f2328;--dim:#59636e;--grid:#e7eaee;--use:#0969da;--limit:#cf222e;--alert:#9a6700;"
        "--reclaim:#1a7f37;--rotate:#8250df;--moment:#57606a}\n"
        "@media(prefers-color-scheme:dark){svg{--bg:#0d1117;--ink:#e6edf3;--dim:#9198a1;--grid:#262c36;--use:#58a6ff;"
        "--limit:#ff7b72;--alert:#e3b341;--reclaim:#3fb950;--rotate:#bc8cff;--moment:#9198a1}}\n"
        "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--dim);"
        "font-variant-numeric:tabular-nums}\n"
        ".h{font-size:16px;font-weight:600;fill:var(--ink)}.s{font-size:12px}.b{font-weight:600}\n"
        ".g{stroke:var(--grid);stroke-width:1}.a{stroke:var(--dim);stroke-width:1}\n"
        ".u{fill:none;stroke:var(--use);stroke-width:1.6;stroke-linejoin:round}\n"
        ".w{fill:none;stroke:var(--use);stroke-width:1.1;opacity:.32}"
        ".q{fill:none;stroke:var(--dim);stroke-width:1.1;opacity:.18}\n"
        ".f{fill:var(--use);opacity:.09}.r{fill:none;stroke:var(--dim);stroke-width:1.1;stroke-dasharray:2 2.5;"
        "opacity:.8}\n"
        ".l{fill:none;stroke:var(--limit);stroke-width:1.4;stroke-dasharray:7 4}\n"
        ".c{opacity:.15}.m{fill:none;stroke-width:1.3;stroke-dasharray:4 3}.v{stroke-width:1;opacity:.55}\n"
        ".d{stroke:var(--bg);stroke-width:1.5}\n";

static const struct {
        const char *colour, *word;
} kinds[_MARK_MAX] = {
        [MARK_ALERT] = {"alert", "alert"},       [MARK_RECLAIM] = {"reclaim", "reclaim"},
        [MARK_ROTATE] = {"rotate", "rotate"},    [MARK_CLEARED] = {"dim", "alert over"},
        [MARK_CROSSED] = {"limit", "limit hit"}, [MARK_STARTED] = {"dim", "new process"},
        [MARK_MOMENT] = {"moment", "forecast"},
};

/* ---- text and scales ---- */

/* XML's own characters and everything that is no text: names of files are bytes. */
static void put_text(Buf *b, const char *s, size_t max) {
        _cleanup_buf_ Buf safe = BUF_NULL;
        size_t n = 0;

        json_escape_text(&safe, s, strlen(s));
        for (const char *p = buf_str(&safe); *p; p++) {
                if (++n > max && ((unsigned char)*p & 0xc0) != 0x80) {
                        buf_adds(b, "…");
                        return;
                }
                if (*p == '&')
                        buf_adds(b, "&amp;");
                else if (*p == '<')
                        buf_adds(b, "&lt;");
                else if (*p == '>')
                        buf_adds(b, "&gt;");
                else
                        buf_addc(b, *p);
        }
}

static double x_at(const Canvas *c, double at_s) {
        return LEFT + fmin(fmax(at_s / c->p->shown_s, 0), 1.5) * PLOT_WIDTH;
}

static double y_at(const Canvas *c, double bytes) {
        return c->bottom - fmin(bytes / c->bytes_max, 1.2) * (c->bottom - c->top);
}

/* A place on the axis of time in the coarsest units that tell its ticks apart: "45 s", "15 min", "1 h 30", "2 d 6 h".
 */
static const char *tick_text(char buf[static FORMAT_MAX], double at_s, double step_s) {
        unsigned long long s = (unsigned long long)(at_s + 0.5), d = s / 86400, h = s % 86400 / 3600, m = s % 3600 / 60;

        if (step_s < 1)
                snprintf(buf, FORMAT_MAX, "%.1f s", at_s);
        else if (step_s < 60 && s < 120)
                snprintf(buf, FORMAT_MAX, "%llu s", s);
        else if (step_s < 60)
                snprintf(buf, FORMAT_MAX, "%llu:%02llu min", s / 60, s % 60);
        else if (s <= 7200 && step_s < 3600)
                snprintf(buf, FORMAT_MAX, "%llu min", s / 60);
        else if (d == 0 && m == 0)
                snprintf(buf, FORMAT_MAX, "%llu h", h);
        else if (d == 0)
                snprintf(buf, FORMAT_MAX, "%llu h %02llu", h, m);
        else if (h == 0)
                snprintf(buf, FORMAT_MAX, "%llu d", d);
        else
                snprintf(buf, FORMAT_MAX, "%llu d %llu h", d, h);
        return buf;
}

/* Above 2^64 a double is no uint64_t. */
static const char *bytes_text(char buf[static FORMAT_MAX], double bytes) {
        return format_bytes(buf, (uint64_t)fmin(bytes + 0.5, 18e18));
}

static double nice_step(double range, unsigned ticks, const double *steps, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (range / steps[i] <= ticks)
                        return steps[i];
        return steps[n - 1] * ceil(range / steps[n - 1] / ticks);
}

static double time_step(double range) {
        static const double steps[] = {0.1, 0.2, 0.5,  1,    2,    5,     10,    15,    30,    60,     120,   300,
                                       600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800};

        return nice_step(range, 8, steps, ELEMENTSOF(steps));
}

static double bytes_step(double range) {
        double unit = pow(10, floor(log10(range / 5))), r = range / 5 / unit;

        return unit * (r <= 1 ? 1 : r <= 2 ? 2 : r <= 2.5 ? 2.5 : r <= 5 ? 5 : 10);
}

/* ---- the frame ---- */

static void choose_scale(Canvas *c) {
        const Picture *p = c->p;
        double limit = 0;

        for (unsigned i = 0; i < p->n_limits; i++)
                limit = fmax(limit, p->limit[i].bytes);
        c->shows_limit = limit > 0 && (p->n_cones > 0 || limit < p->peak_bytes * LIMIT_FAR_RATIO);
        c->bytes_max = fmax(p->peak_bytes * 1.06, c->shows_limit ? limit * 1.06 : 0);
        if (c->shows_limit) /* what the trace goes on with behind a rotation or a kill may leave the picture */
                c->bytes_max = fmin(c->bytes_max, fmax(p->scenario_peak_bytes * 1.06, limit * ABOVE_LIMIT));
        if (!(c->bytes_max > 0))
                c->bytes_max = 1;
}

static void draw_axes(Canvas *c) {
        double step = bytes_step(c->bytes_max), t_step = time_step(c->p->shown_s);
        char text[FORMAT_MAX];

        for (double v = 0; v <= c->bytes_max; v += step) {
                buf_addf(c->b, "<line class=\"%c\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                         v > 0 ? 'g' : 'a', LEFT, RIGHT, y_at(c, v), y_at(c, v));
                buf_addf(c->b, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y_at(c, v) + 4,
                         v > 0 ? bytes_text(text, v) : "0");
        }
        for (double t = 0; t <= c->p->shown_s * 1.0001; t += t_step) {
                buf_addf(c->b, "<line class=\"a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>", x_at(c, t),
                         x_at(c, t), c->bottom, c->bottom + 4);
                buf_addf(c->b, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", x_at(c, t),
                         c->bottom + 18, t > 0 ? tick_text(text, t, t_step) : "0");
        }
}

static void draw_limit(Canvas *c) {
        const Picture *p = c->p;
        char text[FORMAT_MAX];
        double last;

        if (p->n_limits == 0)
                return;
        last = p->limit[p->n_limits - 1].bytes;
        bytes_text(text, last);
        if (!c->shows_limit) {
                buf_addf(c->b,
                         "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\" style=\"fill:var(--limit)\">"
                         "limit %s, far above</text>\n",
                         RIGHT, c->top + 12, text);
                return;
        }
        buf_adds(c->b, "<path class=\"l\" d=\"");
        for (unsigned i = 0; i < p->n_limits; i++) {
                double end = i + 1 < p->n_limits ? p->limit[i + 1].at_s : p->shown_s;

                buf_addf(c->b, "%c%.1f %.1fH%.1f", i ? 'L' : 'M', x_at(c, i ? p->limit[i].at_s : 0),
                         y_at(c, p->limit[i].bytes), x_at(c, end));
        }
        buf_addf(c->b,
                 "\"/><text x=\"%.0f\" y=\"%.1f\" class=\"b\" style=\"fill:var(--limit)\">limit</text>"
                 "<text x=\"%.0f\" y=\"%.1f\" style=\"fill:var(--limit)\">%s</text>\n",
                 RIGHT + 8, y_at(c, last) - 1, RIGHT + 8, y_at(c, last) + 12, text);
}

/* ---- the trace ---- */

static double mean_of(const PictureColumn *k) {
        return k->sum / k->n;
}

/* Under the curve, down to nothing. */
static void draw_area(Canvas *c) {
        const PictureColumn *k = c->p->column[0];
        double last_x = 0;
        bool open = false;

        buf_adds(c->b, "<path class=\"f\" d=\"");
        for (unsigned i = 0; i < PICTURE_COLUMNS; i++) {
                if (k[i].n == 0)
                        continue;
                if (open && k[i].breaks)
                        buf_addf(c->b, "L%.1f %.1fZ", last_x, c->bottom);
                if (!open || k[i].breaks)
                        buf_addf(c->b, "M%.1f %.1f", x_at(c, k[i].at_s), c->bottom);
                last_x = x_at(c, k[i].at_s);
                buf_addf(c->b, "L%.1f %.1f", last_x, y_at(c, mean_of(&k[i])));
                open = true;
        }
        if (open)
                buf_addf(c->b, "L%.1f %.1fZ", last_x, c->bottom);
        buf_adds(c->b, "\"/>\n");
}

/* What lies between the lowest and the highest of a column: faint, so that noise does not hide the course. */
static void draw_spread(Canvas *c, unsigned row, const char *class) {
        const PictureColumn *k = c->p->column[row];

        buf_addf(c->b, "<path class=\"%s\" d=\"", class);
        for (unsigned i = 0; i < PICTURE_COLUMNS; i++)
                if (k[i].n > 1 && y_at(c, k[i].min) - y_at(c, k[i].max) >= 1)
                        buf_addf(c->b, "M%.1f %.1fV%.1f", x_at(c, k[i].at_s), y_at(c, k[i].min), y_at(c, k[i].max));
        buf_adds(c->b, "\"/>\n");
}

static void draw_course(Canvas *c, unsigned row, const char *class) {
        const PictureColumn *k = c->p->column[row];
        bool open = false;

        buf_addf(c->b, "<path class=\"%s\" d=\"", class);
        for (unsigned i = 0; i < PICTURE_COLUMNS; i++) {
                if (k[i].n == 0)
                        continue;
                buf_addf(c->b, "%c%.1f %.1f", !open || k[i].breaks ? 'M' : 'L', x_at(c, k[i].at_s),
                         y_at(c, mean_of(&k[i])));
                open = true;
        }
        buf_adds(c->b, "\"/>\n");
}

/* ---- cones ---- */

static void draw_cone(Canvas *c, const PictureMark *m) {
        double at = (double)m->elapsed_usec / USEC_PER_SEC, x = x_at(c, at), y = y_at(c, m->bytes);
        double top = y_at(c, m->limit_bytes), lo = x_at(c, at + m->eta_lo_s);
        const char *colour = kinds[m->kind].colour;

        if (isfinite(m->eta_hi_s)) /* far beyond the edge, so that its slope stays true: it is clipped */
                buf_addf(c->b, "<path class=\"c\" style=\"fill:var(--%s)\" d=\"M%.1f %.1fL%.1f %.1fH%.1fZ\"/>", colour,
                         x, y, LEFT + (at + m->eta_lo_s) / c->p->shown_s * PLOT_WIDTH, top,
                         fmin(LEFT + (at + m->eta_hi_s) / c->p->shown_s * PLOT_WIDTH, 1e6));
        else
                buf_addf(c->b, "<path class=\"c\" style=\"fill:var(--%s)\" d=\"M%.1f %.1fL%.1f %.1fH%.1fV%.1fZ\"/>",
                         colour, x, y, lo, top, RIGHT + 40, y);
        buf_addf(c->b, "<path class=\"m\" style=\"stroke:var(--%s)\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", colour, x, y,
                 fmin(LEFT + (at + m->eta_s) / c->p->shown_s * PLOT_WIDTH, 1e6), top);
}

static void draw_cones(Canvas *c) {
        for (unsigned i = 0; i < c->p->n_cones; i++)
                draw_cone(c, &c->p->mark[c->p->cone[i]]);
}

/* ---- marks and their labels ---- */

static bool has_cone(const Picture *p, unsigned mark) {
        for (unsigned i = 0; i < p->n_cones; i++)
                if (p->cone[i] == mark)
                        return true;
        return false;
}

static const char *short_text(char buf[static REPLAY_WORDS_MAX], double at_s) {
        return replay_short_time(buf, isfinite(at_s) && at_s < 1e12 ? (uint64_t)(at_s * USEC_PER_SEC) : USEC_INFINITY);
}

static void say_forecast(char *buf, size_t size, const PictureMark *m) {
        char eta[REPLAY_WORDS_MAX], lo[REPLAY_WORDS_MAX], hi[REPLAY_WORDS_MAX];

        short_text(eta, m->eta_s);
        short_text(lo, m->eta_lo_s);
        short_text(hi, m->eta_hi_s);
        if (isfinite(m->eta_hi_s))
                snprintf(buf, size, "limit in %.18s [%.18s to %.18s]", eta, lo, hi);
        else
                snprintf(buf, size, "limit in %.18s [%.18s or later]", eta, lo);
}

static double label_width(const Label *l) {
        return (double)(strlen(l->text) + (*l->more ? strlen(l->more) + 1 : 0)) * CHARACTER + 6;
}

/* A lane below every label that reaches this far. Labels come in the order of time. */
static void place_label(Canvas *c, double ends[static LANES_MAX], Label l) {
        double right = WIDTH - 4;

        if (*l.more && l.x + 5 + label_width(&l) > right)
                *l.more = 0;
        l.lane = 0;
        for (unsigned i = 0; i < LANES_MAX; i++)
                if (ends[i] > l.x - 3)
                        l.lane = i + 1;
        if (l.lane >= LANES_MAX || l.x + 5 + label_width(&l) > right)
                return;
        ends[l.lane] = l.x + 5 + label_width(&l);
        c->n_lanes = max_of(c->n_lanes, l.lane + 1);
        c->label[c->n_labels++] = l;
}

static void place_labels(Canvas *c) {
        double ends[LANES_MAX] = {0};

        for (unsigned i = 0; i < c->p->n_marks; i++) {
                const PictureMark *m = &c->p->mark[i];
                double at = (double)m->elapsed_usec / USEC_PER_SEC;
                Label l = {.mark = i, .x = x_at(c, at)};
                char when[REPLAY_WORDS_MAX];

                if (m->kind == MARK_CLEARED || (!m->is_first && !has_cone(c->p, i)))
                        continue;
                snprintf(l.text, sizeof(l.text), "%s %s", kinds[m->kind].word, replay_clock(when, m->elapsed_usec));
                if (has_cone(c->p, i))
                        say_forecast(l.more, sizeof(l.more), m);
                place_label(c, ends, l);
        }
}

static void draw_marks(Canvas *c) {
        for (unsigned i = 0; i < c->n_labels; i++) {
                const Label *l = &c->label[i];
                const PictureMark *m = &c->p->mark[l->mark];
                double y = HEAD + LANE * (l->lane + 1);

                buf_addf(c->b,
                         "<line class=\"v\" style=\"stroke:var(--%s)\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                         "y2=\"%.1f\"/>",
                         kinds[m->kind].colour, l->x, l->x, y - 10, y_at(c, m->bytes));
                buf_addf(c->b, "<text x=\"%.1f\" y=\"%.1f\"><tspan class=\"b\" style=\"fill:var(--%s)\">%s</tspan>",
                         l->x + 5, y, kinds[m->kind].colour, l->text);
                buf_addf(c->b, "%s%s</text>\n", *l->more ? " " : "", l->more);
        }
        for (unsigned i = 0; i < c->p->n_marks; i++) {
                const PictureMark *m = &c->p->mark[i];

                buf_addf(c->b, "<circle class=\"d\" style=\"fill:var(--%s)\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>\n",
                         kinds[m->kind].colour, x_at(c, (double)m->elapsed_usec / USEC_PER_SEC), y_at(c, m->bytes),
                         m->kind == MARK_CLEARED ? "3" : "4.5");
        }
}

/* ---- the legend ---- */

static double draw_key(Canvas *c, double x, const char *shape, const char *text) {
        double y = c->bottom + 44;

        buf_addf(c->b, "<g transform=\"translate(%.1f %.1f)\">%s<text x=\"28\" y=\"4\">%s</text></g>\n", x, y, shape,
                 text);
        return x + 28 + (double)strlen(text) * CHARACTER + 18;
}

static void draw_legend(Canvas *c) {
        double x = LEFT;

        x = draw_key(c, x, "<path class=\"u\" d=\"M0 0H22\"/>", "memory in use");
        if (c->p->has_rest)
                x = draw_key(c, x, "<path class=\"r\" d=\"M0 0H22\"/>", c->p->rest_word);
        if (c->p->n_cones > 0)
                x = draw_key(c, x,
                             "<path style=\"fill:var(--ink);opacity:.2\" d=\"M0 7L12-7H26Z\"/>"
                             "<path class=\"m\" style=\"stroke:var(--ink)\" d=\"M0 7L18-7\"/>",
                             "forecast and its 90 % interval");
        if (c->p->n_marks_beyond > 0) {
                char text[64];

                snprintf(text, sizeof(text), "%llu more marks are not drawn", (unsigned long long)c->p->n_marks_beyond);
                draw_key(c, x, "", text);
        }
}

void picture_draw(const Picture *p, const char *title, const char *subtitle, Buf *b) {
        _cleanup_free_ Canvas *c = calloc(1, sizeof(*c));
        double height;

        if (!c) {
                b->failed = true;
                return;
        }
        c->p = p;
        c->b = b;
        choose_scale(c);
        place_labels(c);
        c->top = HEAD + LANE * c->n_lanes + 10;
        c->bottom = c->top + PLOT_HEIGHT;
        height = c->bottom + FOOT;
        buf_addf(b,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\" "
                 "role=\"img\">\n<style>\n%s</style>\n",
                 WIDTH, height, WIDTH, height, style);
        buf_addf(b,
                 "<rect width=\"100%%\" height=\"100%%\" style=\"fill:var(--bg)\"/>\n"
                 "<clipPath id=\"p\"><rect x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"%.1f\"/></clipPath>\n",
                 LEFT, c->top, PLOT_WIDTH, c->bottom - c->top);
        buf_addf(b, "<text class=\"h\" x=\"%.0f\" y=\"30\">", LEFT);
        put_text(b, title, TITLE_BYTES);
        buf_addf(b, "</text>\n<text class=\"s\" x=\"%.0f\" y=\"50\">", LEFT);
        put_text(b, subtitle, TITLE_BYTES + 40);
        buf_adds(b, "</text>\n");
        draw_axes(c);
        buf_adds(b, "<g clip-path=\"url(#p)\">\n");
        draw_area(c);
        draw_cones(c);
        draw_spread(c, 1, "q");
        draw_course(c, 1, "r");
        draw_spread(c, 0, "w");
        draw_course(c, 0, "u");
        buf_adds(b, "</g>\n");
        draw_limit(c);
        draw_marks(c);
        draw_legend(c);
        buf_adds(b, "</svg>\n");
}
