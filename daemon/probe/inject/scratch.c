/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/scratch.h"

#include "probe/inject/remote.h"

bool scratch_is_mailbox(const Mailbox *box) {
        return box->magic == SCRATCH_MAGIC && box->armed <= INT32_MAX && box->unmapper <= INT32_MAX;
}

#define NSEC_PER_SEC 1000000000ULL

/* Within bounds in which no sum of the two wraps. */
static bool is_time(const uint64_t ts[static 2]) {
        return ts[0] <= UINT32_MAX && ts[1] < NSEC_PER_SEC;
}

uint64_t scratch_lasted_usec(const Mailbox *box, uint64_t most_usec) {
        uint64_t begin = box->begin[0] * NSEC_PER_SEC + box->begin[1], end = box->end[0] * NSEC_PER_SEC + box->end[1];

        if (!is_time(box->begin) || !is_time(box->end) || end < begin)
                return most_usec;
        return min_of((end - begin) / 1000, most_usec);
}

uint64_t scratch_find(pid_t pid, const Maps *maps, Mailbox *ret) {
        for (size_t i = 0; i < maps->n; i++) {
                const Map *m = &maps->map[i];
                Mailbox box;

                if (m->end - m->start != SCRATCH_SIZE || (uint32_t)m->start != SCRATCH_LOW32 || m->inode != 0 ||
                    m->prot != (MAP_R | MAP_W) || remote_read(pid, m->start, &box, sizeof(box)) < 0)
                        continue;
                if (box.magic != 0 && !scratch_is_mailbox(&box))
                        continue;
                *ret = box;
                return m->start;
        }
        return 0;
}
