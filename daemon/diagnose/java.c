/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/java.h"

static const double FULL_OF_MAX = 0.9;

static bool used_known(const DiagnoseInput *in) {
        for (size_t i = 0; i < in->n; i++)
                if (!in->looks[i].java_used_bytes || !in->looks[i].java_max_bytes)
                        return false;
        return true;
}

/* Looks right after a collection are those with less than the one before. Allocation goes on until the look, so one
 * that is a little lower is no proof: two such steps up are asked for, and no step down. */
static bool grows_after_collections(const DiagnoseInput *in, double least_bytes) {
        double first = 0, last = 0;
        unsigned n_up = 0;

        for (size_t i = 1; i < in->n; i++) {
                double used = (double)in->looks[i].java_used_bytes;

                if (used >= (double)in->looks[i - 1].java_used_bytes)
                        continue;
                if (first > 0 && used <= last)
                        return false;
                n_up += first > 0;
                first = first > 0 ? first : used;
                last = used;
        }
        return n_up >= 2 && last - first >= least_bytes;
}

/* Over the last third of the looks, so that it is not one right before a collection. */
static bool stays_full(const DiagnoseInput *in) {
        for (size_t i = in->n - (in->n + 2) / 3; i < in->n; i++)
                if ((double)in->looks[i].java_used_bytes < FULL_OF_MAX * (double)in->looks[i].java_max_bytes)
                        return false;
        return in->n > 2;
}

bool java_has_room(const DiagnoseInput *in, double least_bytes) {
        if (in->looks[in->n - 1].java_max_bytes == 0)
                return false;
        return !used_known(in) || (!grows_after_collections(in, least_bytes) && !stays_full(in));
}

double java_bound(const DiagnoseLook *l, double usage_bytes) {
        double beside = usage_bytes - (double)l->part_bytes[DIAGNOSE_JAVA];

        return l->java_max_bytes && beside >= 0 ? beside + (double)l->java_max_bytes : 0;
}
