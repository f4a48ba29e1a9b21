/* SPDX-License-Identifier: Apache-2.0
 *
 * The two kinds of string in the Kubernetes API that are figures: quantities of memory and times. Pure, strict and
 * exact: what is not of the form, or does not fit, is refused instead of rounded or cut.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define KUBE_TIME_MAX 32

/**
 * kube_quantity_parse() - "4.5Gi", "4608Mi", "1e9", "128M", "1500m", "0.5E"
 * Units: whole units (bytes); a fraction of one counts as one, as Quantity.Value() rounds
 * Return: 0; -EINVAL: not of the form, or below zero; -ERANGE: more than 64 bits, or than 38 digits. @ret untouched
 * then. Source: k8s.io/apimachinery pkg/api/resource/quantity.go. Test: tests/unit/test-kube-scalars.c
 */
int kube_quantity_parse(const char *s, uint64_t *ret) _must_check_;

/**
 * kube_time_parse() - RFC 3339: "2026-09-01T10:00:00Z", with a fraction, with an offset
 * Units: CLOCK_REALTIME microseconds; digits beyond are dropped
 * Return: 0; -EINVAL: not of the form, no such day, or before 1970.
 */
int kube_time_parse(const char *s, uint64_t *ret_real_usec) _must_check_;

/**
 * kube_time_format() - RFC 3339 in UTC
 * @micro: with six digits, which a MicroTime must have (leases, events); else whole seconds (metav1.Time)
 * Return: @buf, "" for a time after the year 9999.
 */
const char *kube_time_format(char buf[static KUBE_TIME_MAX], uint64_t real_usec, bool micro);
