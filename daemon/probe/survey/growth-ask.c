/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth.h"

/* From the lowest byte: three classes, how many of them, samples of each, whether content is shown. */
enum { N_AT = 8 * GROWTH_CLASSES_MAX, SAMPLES_AT = N_AT + 8, SHOW_AT = SAMPLES_AT + 8, END_AT = SHOW_AT + 1 };

int64_t growth_pack(const GrowthAsk *a) {
        uint64_t v = (uint64_t)a->n_classes << N_AT | (uint64_t)a->n_samples << SAMPLES_AT |
                     (uint64_t)a->show_content << SHOW_AT;

        for (uint32_t i = 0; i < a->n_classes && i < GROWTH_CLASSES_MAX; i++)
                v |= (uint64_t)a->classes[i] << (8 * i);
        return (int64_t)v;
}

bool growth_unpack(int64_t value, GrowthAsk *ret) {
        uint64_t v = (uint64_t)value;
        GrowthAsk a = {
                .n_classes = v >> N_AT & 0xff, .n_samples = v >> SAMPLES_AT & 0xff, .show_content = v >> SHOW_AT & 1};

        if (v >> END_AT || a.n_classes > GROWTH_CLASSES_MAX || a.n_samples > GROWTH_SAMPLES_MAX)
                return false;
        for (uint32_t i = 0; i < a.n_classes; i++)
                a.classes[i] = (uint8_t)(v >> (8 * i));
        *ret = a;
        return true;
}
