/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotation where there is no Kubernetes but a service manager: systemd restarts the target's unit, with the unit's own
 * order, time limits and start limits. The bus is opened for the action and closed after it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "action/action.h"

#define UNIT_NAME_MAX 256 /* systemd.unit(5) */

typedef struct UnitName {
        char name[UNIT_NAME_MAX];
        bool is_user; /* of the manager of user @uid, not of the system's */
        uid_t uid;
} UnitName;

/**
 * unit_from_cgroup() - which service a process belongs to
 * @text: of /proc/PID/cgroup, hostile, NUL-terminated. v2, and v1's name=systemd hierarchy
 * @ret:  the last "*.service" of the path; behind "user@UID.service" one of that user's manager. Untouched on failure
 * Return: 0; -ENXIO: no service (a scope, a session, a container's group: a restart of what is above it would take too
 *         much with it); -EINVAL: a name that is none.
 * Source: systemd.io/CGROUP_DELEGATION, "Two Key Design Rules"; cgroup_namespaces(7).
 */
int unit_from_cgroup(const char *text, UnitName *ret) _must_check_;

/* unit_name_is_valid() - the characters of systemd.unit(5), a known type at its end. */
bool unit_name_is_valid(const char *name);

extern const Action action_rotate_unit; /* TryRestartUnit, and wait for its job. Method "unit" */
