/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of a target are hostile, and so is history read from a file: records of 16 bytes, each an event and a figure,
 * are fed to the forecaster, which must answer each with figures that keep their promises.
 */
#include "fuzz/fuzz.h"

#include <math.h>
#include <string.h>

#include "trend/trend.h"

#define RECORD      16
#define RECORDS_MAX 4096

static Trend trend;

static void check(const TrendFit *f) {
        FUZZ_CHECK(isfinite(f->level_bytes) && isfinite(f->slope_bytes_per_s) && isfinite(f->residual_bytes));
        FUZZ_CHECK(f->slope_lo_bytes_per_s <= f->slope_bytes_per_s && f->slope_bytes_per_s <= f->slope_hi_bytes_per_s);
        FUZZ_CHECK(f->eta_lo_usec <= f->eta_usec && f->eta_usec <= f->eta_hi_usec);
        FUZZ_CHECK(f->odds_ratio >= 0 && f->odds_ratio <= 1 && f->r2_ratio >= 0 && f->r2_ratio <= 1);
        FUZZ_CHECK((unsigned)f->kind < _TREND_KIND_MAX && (unsigned)f->proof < _TREND_PROOF_MAX);
        FUZZ_CHECK(f->limit_bytes > 0 || f->proof == TREND_PROOF_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const TrendOptions options = TREND_OPTIONS_DEFAULT;
        TrendSample s = {.time_usec = 1, .limit_bytes = 1ULL << 31};
        TrendFit f;

        trend_init(&trend, &options);
        for (size_t i = 0; i + RECORD <= size && i < RECORDS_MAX * RECORD; i += RECORD) {
                uint64_t word[2];

                memcpy(word, data + i, RECORD);
                switch (word[0] & 15) {
                case 0:
                        trend_reset(&trend, s.time_usec, (TrendReset)((word[0] >> 4) % _TREND_RESET_MAX));
                        break;
                case 1:
                        trend_reclaimed(&trend, s.time_usec, word[1]);
                        break;
                case 2:
                        trend_slept(&trend, s.time_usec, word[1]);
                        break;
                case 3:
                        s.limit_bytes = word[1];
                        break;
                case 4:
                        s.time_usec = word[1];
                        break;
                default:
                        s.time_usec += (word[0] >> 4) % (60 * USEC_PER_SEC);
                        s.bytes = word[1];
                        s.heap_known = (word[0] & 15) == 5;
                        s.heap_bytes = word[1] / 2;
                        s.anon_known = (word[0] & 15) == 6;
                        s.anon_bytes = word[1] / 3;
                        FUZZ_CHECK((unsigned)trend_push(&trend, &s) < _TREND_RESET_MAX);
                }
                trend_fit(&trend, &f);
                check(&f);
        }
        return 0;
}
