/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of what a rung can do. Back ends of other folders implement action/action.h; here they meet, because
 * only the daemon's layer may know them all.
 */
#pragma once

#include "action/action.h"

/* actions_for() - what @rung does under @options; NULL: nothing (alerts are report's, and a rotation needs a method).
 */
const Action *actions_for(Rung rung, const ActionOptions *options);
