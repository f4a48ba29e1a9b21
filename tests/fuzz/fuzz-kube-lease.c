/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "kube/slot-lease.h"

/* A Lease of anybody's making: what is read of it is bounded, and what is written over it is read back as written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *o = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        char pod[254], uid[64];
        SlotLease l;
        SlotNote n;

        if (o && slot_lease_decode(o, &l, &n) == 0) {
                SlotWrite w = {.what = SLOT_DO_TAKE, .base = &l, .me = "a/b", .ttl_usec = 60000000, .note = &n};
                bool notes;
                json_t *patch = slot_lease_patch(&w, &notes);

                FUZZ_CHECK(l.version[0] && strlen(l.holder) < sizeof(l.holder) && strlen(l.bidder) < sizeof(l.bidder));
                FUZZ_CHECK(!slot_holder_split(l.holder, pod, uid) || (pod[0] && uid[0] && !strpbrk(pod, "/?%# ")));
                FUZZ_CHECK(patch != NULL);
                json_decref(patch);
        }
        json_decref(o);
        return 0;
}
