/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a Java heap that grows a leak? A collector need not run before the heap has come to its bound, so growth below
 * that says nothing. What does: that more is used after each collection than after the one before, or that the heap
 * stays full. Pure; for diagnose.c alone.
 */
#pragma once

#include "diagnose/diagnose.h"

/* java_has_room() - the heap's bound is known, and nothing says that what is live in it grows. @least_bytes: less is
 * noise. */
bool java_has_room(const DiagnoseInput *in, double least_bytes);
/* java_bound() - what would count against the limit with that heap at its bound; 0 = not known. @usage_bytes: now. */
double java_bound(const DiagnoseLook *l, double usage_bytes);
