/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doc.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

const json_t *doc_get(const json_t *root, const char *path) {
        const json_t *at = root;

        while (at && *path) {
                size_t n = strcspn(path, ".");
                char key[32];

                if (n >= sizeof(key))
                        return NULL;
                memcpy(key, path, n);
                key[n] = 0;
                at = json_object_get(at, key); /* NULL for anything but an object */
                path += n + (path[n] == '.');
        }
        return at && !json_is_null(at) ? at : NULL;
}

const char *doc_text(const json_t *root, const char *path) {
        const json_t *v = doc_get(root, path);

        return v ? json_string_value(v) : NULL;
}

bool doc_double(const json_t *root, const char *path, double *ret) {
        const json_t *v = doc_get(root, path);

        if (!v || !json_is_number(v) || !isfinite(json_number_value(v)))
                return false;
        *ret = json_number_value(v);
        return true;
}

bool doc_u64(const json_t *root, const char *path, uint64_t *ret) {
        double d;

        if (!doc_double(root, path, &d) || d < 0 || d >= 0x1p64)
                return false;
        *ret = (uint64_t)d;
        return true;
}

bool doc_usec(const json_t *root, const char *path, uint64_t *ret_usec) {
        double seconds;

        if (!doc_double(root, path, &seconds) || seconds < 0)
                return false;
        seconds *= USEC_PER_SEC;
        *ret_usec = seconds < 0x1p63 ? (uint64_t)llround(seconds) : USEC_INFINITY;
        return true;
}

bool doc_time(const json_t *root, const char *path, uint64_t *ret_usec) {
        const char *s = doc_text(root, path);
        struct tm tm = {0};
        unsigned msec = 0;
        int end = 0;
        time_t t;

        if (!s || strlen(s) > 32)
                return false;
        if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                   &tm.tm_sec, &msec, &end) != 7 || end == 0 || s[end])
                return false;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        t = timegm(&tm);
        if (t <= 0)
                return false;
        *ret_usec = (uint64_t)t * USEC_PER_SEC + msec * USEC_PER_MSEC;
        return true;
}

bool doc_is_true(const json_t *root, const char *path) {
        return json_is_true(doc_get(root, path));
}

static TrendState trend_state_from(const char *name) {
        for (int i = 0; name && i < _TREND_STATE_MAX; i++)
                if (strcmp(name, trend_state_name((TrendState)i)) == 0)
                        return (TrendState)i;
        return TREND_WAIT;
}

void doc_trend(const json_t *target, TrendFit *ret) {
        TrendFit f = {.eta_usec = USEC_INFINITY, .eta_lo_usec = USEC_INFINITY, .eta_hi_usec = USEC_INFINITY};
        uint64_t n = 0;
        static const struct {
                const char *path;
                size_t offset;
        } doubles[] = {
                {"trend.level_bytes", offsetof(TrendFit, level_bytes)},
                {"trend.slope_bytes_per_s", offsetof(TrendFit, slope_bytes_per_s)},
                {"trend.slope_lo_bytes_per_s", offsetof(TrendFit, slope_lo_bytes_per_s)},
                {"trend.slope_hi_bytes_per_s", offsetof(TrendFit, slope_hi_bytes_per_s)},
                {"trend.r2_ratio", offsetof(TrendFit, r2_ratio)},
                {"trend.confidence_ratio", offsetof(TrendFit, confidence)},
        };

        for (size_t i = 0; i < ELEMENTSOF(doubles); i++)
                doc_double(target, doubles[i].path, (double *)((char *)&f + doubles[i].offset));
        doc_u64(target, "trend.samples", &n);
        f.n = (unsigned)min_of(n, (uint64_t)UINT32_MAX);
        doc_usec(target, "trend.span_s", &f.span_usec);
        doc_usec(target, "trend.eta_s", &f.eta_usec);
        doc_usec(target, "trend.eta_lo_s", &f.eta_lo_usec);
        doc_usec(target, "trend.eta_hi_s", &f.eta_hi_usec);
        doc_u64(target, "limit.bytes", &f.limit_bytes);
        f.state = trend_state_from(doc_text(target, "trend.state"));
        if (!(f.confidence > 0 && f.confidence < 1))
                f.confidence = 0;
        *ret = f;
}
