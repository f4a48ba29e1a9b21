/* SPDX-License-Identifier: Apache-2.0 */
#include "util/smaps.h"

#include "util/scan.h"

typedef struct SmapsKey {
        const char *key;
        size_t len, offset;
} SmapsKey;

#define KEY(k, field) {k ":", sizeof(k), offsetof(SmapsRollup, field)}

static const SmapsKey keys[] = {
        KEY("Rss", rss_bytes),
        KEY("Pss", pss_bytes),
        KEY("Shared_Clean", shared_clean_bytes),
        KEY("Shared_Dirty", shared_dirty_bytes),
        KEY("Private_Clean", private_clean_bytes),
        KEY("Private_Dirty", private_dirty_bytes),
        KEY("Anonymous", anonymous_bytes),
        KEY("AnonHugePages", anon_huge_bytes),
        KEY("Swap", swap_bytes),
        KEY("SwapPss", swap_pss_bytes),
        KEY("Locked", locked_bytes),
        /* from here on optional */
        KEY("Pss_Anon", pss_anon_bytes),
        KEY("Pss_File", pss_file_bytes),
        KEY("Pss_Shmem", pss_shmem_bytes),
};

enum {
        N_REQUIRED = 11,
        REQUIRED_MASK = (1 << N_REQUIRED) - 1,
        PSS_KIND_MASK = ((1 << ELEMENTSOF(keys)) - 1) & ~REQUIRED_MASK,
};

/* One line into @out. Return: the bit of its key when the value is good, else 0. */
static unsigned take_line(const char *line, const char *end, SmapsRollup *out) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const SmapsKey *k = &keys[i];

                if ((size_t)(end - line) <= k->len || memcmp(line, k->key, k->len) != 0)
                        continue;
                return scan_kib(line + k->len, end, (uint64_t *)((char *)out + k->offset)) ? 1U << i : 0;
        }
        return 0;
}

int smaps_parse(const char *buf, size_t len, SmapsRollup *ret) {
        const char *end = buf + len, *next;
        SmapsRollup out = SMAPS_ROLLUP_NULL;
        unsigned have = 0;

        for (const char *line = buf; line < end && (next = scan_line_end(line, end)); line = next + 1)
                have |= take_line(line, next, &out);
        if ((have & REQUIRED_MASK) != REQUIRED_MASK)
                return -EBADMSG;
        out.has_pss_kind = (have & PSS_KIND_MASK) == PSS_KIND_MASK;
        if (!out.has_pss_kind)
                out.pss_anon_bytes = out.pss_file_bytes = out.pss_shmem_bytes = 0;
        *ret = out;
        return 0;
}
