/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "util/version.h"

int main(void) {
        printf("plateau %s\n", plateau_version());
        return 0;
}
