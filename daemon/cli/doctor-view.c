/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/json.h"

#define INDENT 11u

static const char *const mark_names[_DOCTOR_MARK_MAX] = {"good", "half", "bad", "none"};
static const Style mark_styles[_DOCTOR_MARK_MAX] = {STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM};

const char *doctor_tier_name(DoctorTier t) {
        static const char *const names[_DOCTOR_TIER_MAX] = {"none", "status", "read", "call"};

        return (unsigned)t < _DOCTOR_TIER_MAX ? names[t] : "unknown";
}

void doctor_find(Doctor *d, const char *section, const char *name, DoctorMark mark, const char *fmt, ...) {
        Finding *f = &d->finding[d->n];
        va_list ap;

        if (d->n == DOCTOR_FINDINGS_MAX)
                return;
        *f = (Finding){.section = section, .name = name, .mark = mark};
        va_start(ap, fmt);
        vsnprintf(f->text, sizeof(f->text), fmt, ap);
        va_end(ap);
        d->n++;
}

void doctor_change(Doctor *d, const char *fmt, ...) {
        va_list ap;

        if (d->n == 0)
                return;
        va_start(ap, fmt);
        vsnprintf(d->finding[d->n - 1].change, DOCTOR_TEXT_MAX, fmt, ap);
        va_end(ap);
}

bool doctor_is_well(const Doctor *d) {
        for (unsigned i = 0; i < d->n; i++)
                if (d->finding[i].mark == DOCTOR_BAD)
                        return false;
        return true;
}

static void draw(Screen *s, const Finding *f, const char *section) {
        const Glyphs *g = s->term->glyph;
        const char *marks[_DOCTOR_MARK_MAX] = {g->on, g->half, g->on, g->off};

        if (strcmp(f->section, section) != 0)
                screen_put(s, STYLE_BOLD, f->section);
        screen_pad(s, INDENT);
        screen_put(s, mark_styles[f->mark], marks[f->mark]);
        screen_pad(s, INDENT + 2);
        screen_words(s, INDENT + 2, f->mark == DOCTOR_NONE ? STYLE_DIM : STYLE_PLAIN, f->text);
        screen_end(s);
        if (!f->change[0])
                return;
        screen_pad(s, INDENT + 2);
        screen_put(s, STYLE_ACCENT, g->arrow);
        screen_pad(s, INDENT + 5);
        screen_words(s, INDENT + 5, STYLE_ACCENT, f->change);
        screen_end(s);
}

void doctor_view(Screen *s, const Doctor *d) {
        const char *section = "";

        for (unsigned i = 0; i < d->n; i++) {
                draw(s, &d->finding[i], section);
                section = d->finding[i].section;
        }
}

void doctor_json(Buf *b, const Doctor *d) {
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_bool(&j, "well", doctor_is_well(d));
        json_kv_string(&j, "tier", doctor_tier_name(d->tier));
        json_kv_bool(&j, "in_pod", d->in_pod);
        json_kv_u64_or_null(&j, "pid", d->target.pid > 0, (uint64_t)d->target.pid);
        json_key(&j, "findings");
        json_array_begin(&j);
        for (unsigned i = 0; i < d->n; i++) {
                const Finding *f = &d->finding[i];

                json_object_begin(&j);
                json_kv_string(&j, "section", f->section);
                json_kv_string(&j, "name", f->name);
                json_kv_string(&j, "mark", mark_names[f->mark]);
                json_kv_string(&j, "text", f->text);
                json_kv_string(&j, "change", f->change[0] ? f->change : NULL);
                json_object_end(&j);
        }
        json_array_end(&j);
        json_object_end(&j);
}
