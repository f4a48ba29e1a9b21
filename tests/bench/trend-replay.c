/* SPDX-License-Identifier: Apache-2.0
 *
 * A recorded series through the trend, as a filter: reads lines "time_s bytes limit_bytes" in time order, and writes
 * for each "verdict slope_bytes_per_s eta_s eta_lo_s eta_hi_s" (inf = never, nan = no claim); verdict "leak" is growth.
 */
#include <math.h>
#include <stdio.h>

#include "trend/trend.h"
#include "util/parse.h"

static double seconds(uint64_t usec) {
        return usec == USEC_INFINITY ? INFINITY : (double)usec / USEC_PER_SEC;
}

static void print_fit(const TrendFit *f) {
        static const char *const words[_TREND_STATE_MAX] = {
                [TREND_WAIT] = "wait", [TREND_FLAT] = "flat", [TREND_GROWING] = "leak", [TREND_SHRINKING] = "noise"};
        bool known = f->state == TREND_GROWING;

        printf("%s %.6g %.6g %.6g %.6g\n", words[f->state], f->state == TREND_WAIT ? 0.0 : f->slope_bytes_per_s,
               seconds(f->eta_usec), known ? seconds(f->eta_lo_usec) : NAN, known ? seconds(f->eta_hi_usec) : NAN);
}

int main(int argc, char *argv[]) {
        TrendOptions options = TREND_OPTIONS_DEFAULT;
        unsigned long long bytes, limit;
        double at;
        Trend t;

        if (argc > 2 || (argc == 2 && parse_duration(argv[1], &options.window_usec) < 0)) {
                fprintf(stderr, "usage: trend-replay [WINDOW] < SERIES\n");
                return 64;
        }
        trend_init(&t, &options);
        while (scanf("%lf %llu %llu", &at, &bytes, &limit) == 3) {
                TrendFit f;

                trend_push(&t, (uint64_t)(at * USEC_PER_SEC) + 1, bytes, limit);
                trend_fit(&t, &f);
                print_fit(&f);
        }
        return 0;
}
