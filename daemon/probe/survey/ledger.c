/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "probe/sealed.h"

#define BYTES_MAX   (1ULL << 56)
#define REGIONS_MAX (1ULL << 20) /* of a slab; jemalloc's largest has 512 */
#define SIZE_MAX_OF (1ULL << 30) /* of a region in a slab */

uint64_t ledger_bin_waste(const LedgerBin *b) {
        uint64_t there = b->n_slabs * b->n_slab_regions;

        return there > b->n_regions ? (there - b->n_regions) * b->size_bytes : 0;
}

bool ledger_figure(const Ledger *l, LedgerFigure f, uint64_t *ret) {
        bool have = l->have >> f & 1;

        *ret = have ? l->bytes[f] : 0;
        return have;
}

/* Small enough that no product of them overflows. */
static bool is_bin(const LedgerBin *b) {
        return b->size_bytes > 0 && b->size_bytes <= SIZE_MAX_OF && b->n_slab_regions <= REGIONS_MAX &&
               b->n_regions <= BYTES_MAX / b->size_bytes &&
               b->n_slabs <= BYTES_MAX / b->size_bytes / max_of(b->n_slab_regions, (uint64_t)1);
}

const char *ledger_check(const Ledger *l) {
        if (l->magic != LEDGER_MAGIC || l->size != sizeof(*l))
                return "it is not of this version's layout";
        if (l->have >> _LEDGER_FIGURE_MAX || l->n_bins > LEDGER_BINS_MAX || l->decay_known > 1)
                return "it says what nobody can mean";
        if (!memchr(l->allocator, 0, sizeof(l->allocator)))
                return "a name does not end";
        for (unsigned i = 0; i < _LEDGER_FIGURE_MAX; i++)
                if (l->bytes[i] > BYTES_MAX)
                        return "a figure is beyond any memory";
        for (uint32_t i = 0; i < l->n_bins; i++)
                if (!is_bin(&l->bins[i]))
                        return "a size class of it is none";
        return NULL;
}

int ledger_read(int fd, Ledger *ret, const char **ret_why) {
        _cleanup_free_ void *buf = NULL;
        size_t size;
        int r = sealed_read(fd, sizeof(*ret), sizeof(*ret), &buf, &size, ret_why);

        if (r < 0)
                return r;
        *ret_why = ledger_check(buf);
        if (*ret_why)
                return -EBADMSG;
        memcpy(ret, buf, sizeof(*ret));
        return 0;
}
