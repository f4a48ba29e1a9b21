/* SPDX-License-Identifier: Apache-2.0 */
#include "actions.h"

#include "kube/kube.h"
#include "systemd/unit.h"

static const Action *const rotations[_ROTATE_METHOD_MAX] = {
        [ROTATE_NONE] = NULL,
        [ROTATE_SIGNAL] = &action_rotate_signal,
        [ROTATE_HOOK] = &action_rotate_hook,
        [ROTATE_UNIT] = &action_rotate_unit,
        [ROTATE_KUBERNETES] = &action_rotate_kubernetes,
};

const Action *actions_for(Rung rung, const ActionOptions *options) {
        if (rung == RUNG_RECLAIM)
                return &action_reclaim;
        if (rung == RUNG_ROTATE && (unsigned)options->rotate_method < ELEMENTSOF(rotations))
                return rotations[options->rotate_method];
        return NULL;
}
