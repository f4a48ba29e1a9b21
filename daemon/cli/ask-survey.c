/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask-survey.h"

#include <errno.h>
#include <string.h>

#include "util/clock.h"

#define ANSWER_GRACE_USEC (15 * USEC_PER_SEC)

Survey *ask_survey(Ask *a, ProbeClient *client, uint64_t budget_usec) {
        ProbeRequest request = {.op = PROBE_OP_SURVEY, .budget_msec = (uint32_t)(budget_usec / USEC_PER_MSEC)};
        _cleanup_fd_ int fd = -1;
        const char *why;
        Survey *s = NULL;
        int r;

        ask_probe(a, client, &request, budget_usec + ANSWER_GRACE_USEC, &fd);
        if (strcmp(a->result, "ok") != 0)
                return NULL;
        r = survey_read(fd, &s, &why);
        if (r == -EBADMSG)
                ask_fail(a, PROBE_E_PROTOCOL, "what plateau-probe sent is refused: %s", why);
        else if (r < 0)
                ask_fail(a, PROBE_E_INTERNAL, "%s", strerror(-r));
        return s;
}
