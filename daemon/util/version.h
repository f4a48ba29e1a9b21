/* SPDX-License-Identifier: Apache-2.0
 *
 * What is running: one string for --version, metrics and the User-Agent. It is the version of meson.build; there is no
 * other place to change.
 */
#pragma once

/* plateau_version() - "0.1.0". Owner: static. */
const char *plateau_version(void);
