/* SPDX-License-Identifier: Apache-2.0 */
#include "util/version.h"

const char *plateau_version(void) {
        return PLATEAU_VERSION;
}
