/* SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test includes: cmocka with what it needs before it, and the house's cleanup attributes. Nothing else:
 * a test includes the header that it tests first.
 */
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/cleanup.h"
