/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>

int privileges_drop(void) {
        capng_clear(CAPNG_SELECT_BOTH);
        /* emptying the bounding set needs CAP_SETPCAP; without that there is nothing in it to gain under no_new_privs
         */
        if (capng_apply(CAPNG_SELECT_BOTH) < 0) {
                capng_clear(CAPNG_SELECT_CAPS);
                if (capng_apply(CAPNG_SELECT_CAPS) < 0)
                        return -EPERM;
        }
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) /* Linux 3.5 */
                return -errno;
        return 0;
}
