/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "kube/state-file.h"
#include "util/clock.h"

#define UID     "7cbf78bb-68bb-4d0c-9ef1-9b965c1c29be"
#define BOOT_ID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
#define NOW     (3 * USEC_PER_HOUR)

static void check(const KubeMachine *m) {
        const uint64_t times[] = {m->since_usec,      m->begun_usec,        m->deadline_usec,
                                  m->cool_until_usec, m->signal_after_usec, m->retry_usec};

        FUZZ_CHECK(m->state < _KUBE_STATE_MAX && m->strategy < _KUBE_STRATEGY_MAX && m->reason < _KUBE_REASON_MAX);
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                FUZZ_CHECK(times[i] <= NOW + USEC_PER_DAY);
        FUZZ_CHECK(m->since_usec <= NOW && m->begun_usec <= NOW);
        FUZZ_CHECK(m->tries < 1000000 && m->failures < 1000000);
}

/* What was taken is within bounds, can be written down again, and is then the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        KubeSaved s, again;
        _cleanup_buf_ Buf first = BUF_NULL;
        _cleanup_buf_ Buf second = BUF_NULL;
        int r = kube_saved_parse((const char *)data, size, UID, BOOT_ID, NOW, &s);

        FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -ESTALE);
        if (r < 0)
                return 0;
        check(&s.machine);
        kube_saved_write(&first, &s);
        FUZZ_CHECK(!first.failed && first.len < KUBE_STATE_MAX_BYTES);
        FUZZ_CHECK(kube_saved_parse(first.data, first.len, UID, s.boot_id, NOW, &again) == 0);
        kube_saved_write(&second, &again);
        FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        return 0;
}
